"""Sizes of models that are trained from scratch. One dial, the depth, gives all the rest."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmrec.contracts import Config
from llmrec.errors import UnknownName

if TYPE_CHECKING:
    from transformers import Qwen3Config, Qwen3ForCausalLM

HEAD = 64
"""Width of an attention head."""


class Preset(Config):
    """A Qwen3 model of `depth` layers (even): the width is 64 a layer, the vocabulary 256 times the depth squared."""

    depth: int
    tokens: int
    """Tokens to train on where nobody says how many."""
    length: int = 512
    """Tokens of one training sequence."""
    batch: int = 4
    """Sequences of one step."""
    learning_rate: float = 3e-3

    @property
    def width(self) -> int:
        return HEAD * self.depth

    @property
    def vocabulary(self) -> int:
        """The most tokens that the tokenizer may have; from little text it learns fewer."""
        return 256 * self.depth**2

    def config(self, vocabulary: int) -> Qwen3Config:
        """The architecture, for a tokenizer of so many tokens; the caller sets the ids of special tokens."""
        from transformers import Qwen3Config

        return Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=self.width,
            intermediate_size=3 * self.width,
            num_hidden_layers=self.depth,
            num_attention_heads=self.depth,
            num_key_value_heads=self.depth // 2,
            head_dim=HEAD,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            dtype="float32",
        )


PRESETS: Mapping[str, Preset] = {
    "nano": Preset(depth=4, tokens=1_000_000),
    "micro": Preset(depth=6, tokens=20_000_000, batch=16, learning_rate=2e-3),
    "mini": Preset(depth=20, tokens=10_000_000_000, batch=16, learning_rate=6e-4),
}
"""`nano` has about 4 million parameters, `micro` about 15, `mini`, which needs a GPU, about 520."""


def preset(name: str) -> Preset:
    """The preset of this name; raises `UnknownName`."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(PRESETS)}"
        raise UnknownName(f"there is no preset {name!r}: {hint}")
    return PRESETS[name]


def random_model(name: str, seed: int = 0) -> Qwen3ForCausalLM:
    """A model of a preset with its full vocabulary and random float32 weights, the same for the same seed."""
    import torch
    from transformers import Qwen3ForCausalLM

    chosen = preset(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(chosen.config(chosen.vocabulary))
