"""A tiny language model with a tokenizer and two adapters, made in a second, the same for the same seed."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from llmrec.contracts import Message

SPECIAL = ("<|unk|>", "<|im_start|>", "<|im_end|>")
"""Ids 0, 1 and 2; the last ends a message and every answer."""
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTEXT = 512
"""Tokens that the model reads."""


@dataclass
class Folders:
    """An `AdapterSource` over a dictionary that a test may change."""

    folders: dict[str, Path] = field(default_factory=dict)

    def resolve(self, name: str) -> Path | None:
        """See `AdapterSource`."""
        return self.folders.get(name)


@dataclass(frozen=True)
class TinyModel:
    """What `make_tiny_model` wrote."""

    folder: Path
    """A Qwen3 of two layers with random float32 weights. A token is one printable ASCII character, so that text and
    tokens tell the same; special tokens are in the vocabulary, but never the most probable."""
    adapters: dict[str, Path]
    """PEFT LoRA folders: `warm` and `cold` change the model much, and differently."""

    @cached_property
    def reference(self) -> Reference:
        """The same weights by a plain forward pass."""
        return Reference(self.folder, self.adapters)


def make_tiny_model(folder: Path, seed: int = 0, width: int = 128) -> TinyModel:
    """Write model, tokenizer and adapters into `folder`/{model,warm,cold}. `width`: a multiple of 64, one head each."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3Config, Qwen3ForCausalLM

    model_folder = folder / "model"
    tokens = [*SPECIAL, "\n", *(c for c in string.printable[:95])]
    _save_tokenizer(model_folder, tokens)
    config = Qwen3Config(
        vocab_size=len(tokens),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=width // 64,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        initializer_range=0.2,  # far from uniform, so that the most probable token has a margin
        bos_token_id=None,
        eos_token_id=SPECIAL.index("<|im_end|>"),
        pad_token_id=SPECIAL.index("<|im_end|>"),
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config).eval()
        with torch.no_grad():
            model.lm_head.weight[: len(SPECIAL)] = 0
        model.save_pretrained(model_folder)
        adapters = {}
        for name in ("warm", "cold"):
            base = Qwen3ForCausalLM.from_pretrained(model_folder, dtype="float32")
            lora = LoraConfig(r=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
            adapted = get_peft_model(base, lora)
            for parameter, weight in adapted.named_parameters():
                if "lora_" in parameter:
                    torch.nn.init.normal_(weight, std=0.3)
            adapters[name] = folder / name
            adapted.save_pretrained(str(adapters[name]), save_embedding_layers=False)
    return TinyModel(model_folder, adapters)


def _save_tokenizer(folder: Path, tokens: Sequence[str]) -> None:
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    blanks = {" ": "Ġ", "\n": "Ċ"}  # as byte-level tokenizers write them
    vocabulary = {blanks.get(token, token): number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[], unk_token=SPECIAL[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=SPECIAL[0],
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[2],
        additional_special_tokens=[SPECIAL[1]],
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


class Reference:
    """Log-probabilities by one plain float32 forward pass for each sequence: slow, and nothing that could be wrong."""

    def __init__(self, folder: Path, adapters: dict[str, Path]) -> None:
        from transformers import AutoTokenizer

        self._folder, self._adapters = folder, adapters
        self._models: dict[str | None, Any] = {}
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a chat up to where the answer begins."""
        chat = [{"role": m.role, "content": m.content} for m in messages]
        return list(self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False))

    def tokens(self, text: str) -> list[int]:
        """Tokens of a plain text."""
        return self.tokenizer.encode(text, add_special_tokens=False)

    def logprobs(self, tokens: Sequence[int], adapter: str | None = None) -> Any:
        """(n, vocabulary) float32: row i tells what follows tokens[: i + 1]."""
        import torch

        with torch.inference_mode():
            logits = self._model(adapter)(input_ids=torch.tensor([list(tokens)])).logits[0]
        return torch.log_softmax(logits.float(), -1).numpy()

    def score(self, prompt: Sequence[int], continuation: Sequence[int], adapter: str | None = None) -> float:
        """Log-probability of the continuation, summed over its tokens."""
        rows = self.logprobs([*prompt, *continuation], adapter)[len(prompt) - 1 : -1]
        return float(sum(row[token] for row, token in zip(rows, continuation, strict=True)))

    def _model(self, adapter: str | None) -> Any:
        if adapter not in self._models:
            from peft import PeftModel
            from transformers import AutoModelForCausalLM

            model = AutoModelForCausalLM.from_pretrained(self._folder, dtype="float32", attn_implementation="eager")
            if adapter is not None:
                model = PeftModel.from_pretrained(model, str(self._adapters[adapter])).merge_and_unload()
            self._models[adapter] = model.eval()
        return self._models[adapter]


def adapter_for_another_base(folder: Path, adapter: Path) -> Path:
    """A copy of an adapter that says it was trained on another model."""
    import shutil

    copied = Path(shutil.copytree(adapter, folder))
    config = json.loads((copied / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "somebody/another-model"
    (copied / "adapter_config.json").write_text(json.dumps(config))
    return copied
