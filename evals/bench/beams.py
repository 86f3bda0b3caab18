"""`bench beams`: items a second by beam search that stays inside a catalogue of item ids."""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from llmrec.contracts import Config, Progress, Row, no_progress
from llmrec.language.engines import open_engine
from llmrec.language.trie import TokenTrie

_LEVELS = 3
_CODES = 256
_MILLION = 1_000_000
_PATIENCE = 1800.0

Name = Literal["in-process", "vllm", "hf-generate", "trie-1m"]


class BeamsBench(Config):
    """Generates its model (random weights of a preset), its item ids (distinct random triples of 3 x 256 tokens) and
    its prompts. `items_per_second` counts items returned for all prompts together, `ratio_to_generate` compares it with
    Hugging Face's `generate` on the same weights and prompts, `invalid` counts items that do not exist or are missing.
    `vllm` is left out where vLLM is not installed. `trie-1m` is the trie of a million item ids of 3 and 4 tokens.
    """

    name: ClassVar[str] = "beams"

    preset: str = "nano"
    """Size of the model: a name of llmrec.language.training.presets."""
    items: int = Field(default=100_000, ge=1, le=_CODES**_LEVELS // 4)
    prompts: int = Field(default=32, ge=1)
    length: int = Field(default=200, ge=1)
    """Tokens of a prompt."""
    beams: int = Field(default=32, ge=1)
    """Beams, and items for each prompt."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """The same for all rows; auto is bfloat16 where the processor multiplies it."""
    generate_batch: int = Field(default=2, ge=1)
    """Prompts that `generate` reads at once, each repeated for every beam. On 2 cores 2 were the fastest of 1 to 32."""
    rows: tuple[Name, ...] = get_args(Name)
    seed: int = 0

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """One row for each of `rows`; `source` is not read."""
        rng = np.random.default_rng(self.seed)
        rows: list[Row] = []
        with tempfile.TemporaryDirectory(prefix="llmrec-bench-") as temporary:
            work = self._work(Path(temporary), rng)
            for done, name in enumerate(self.rows):
                progress(name, done, len(self.rows))
                if name == "trie-1m":
                    rows.append(_trie_row(rng))
                elif name == "hf-generate":
                    rows.append(self._generate(work))
                elif name == "in-process":
                    rows.append(asyncio.run(self._engine(name, f"transformers:{work.model}?dtype={work.dtype}", work)))
                elif importlib.util.find_spec("vllm"):
                    rows.append(asyncio.run(self._engine(name, f"vllm:{work.model}?dtype={work.dtype}", work)))
        generate = next((row.metrics["items_per_second"] for row in rows if row.name == "hf-generate"), None)
        if generate is not None:
            rows = [_with_ratio(row, generate) if "items_per_second" in row.metrics else row for row in rows]
        return rows

    def _work(self, folder: Path, rng: np.random.Generator) -> _Work:
        dtype, vocabulary = self._write_model(folder / "model")
        codes = vocabulary - _LEVELS * _CODES
        prompts = rng.integers(codes, size=(self.prompts, self.length)).tolist()
        protocol = (
            f"{self.preset} in {dtype}, {self.items:,} item ids of {_LEVELS} tokens, {self.beams} beams, "
            f"{self.prompts} prompts of {self.length} tokens, one run"
        )
        if "vllm" in self.rows and not importlib.util.find_spec("vllm"):
            protocol += "; vllm is not installed"
        return _Work(folder / "model", dtype, _item_ids(rng, self.items) + codes, prompts, protocol)

    def _write_model(self, folder: Path) -> tuple[str, int]:
        """Random weights, whose tokens are the preset's and then the codes; returns (precision, vocabulary)."""
        import torch
        from transformers import Qwen3ForCausalLM

        from llmrec.language.in_process.loading import has_fast_bfloat16
        from llmrec.language.training.presets import preset

        dtype = self.dtype
        if dtype == "auto":
            dtype = "bfloat16" if torch.cuda.is_available() or has_fast_bfloat16() else "float32"
        size = preset(self.preset)
        vocabulary = size.vocabulary + _LEVELS * _CODES
        config = size.config(vocabulary)
        config.dtype = dtype
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            Qwen3ForCausalLM(config).to(getattr(torch, dtype)).save_pretrained(folder)
        write_tokenizer(folder, vocabulary)
        return dtype, vocabulary

    async def _engine(self, name: str, uri: str, work: _Work) -> Row:
        ids, prompts = work.ids, work.prompts
        trie = TokenTrie(ids)
        engine = open_engine(uri, timeout=_PATIENCE, folder=work.model.parent)
        assert engine is not None
        try:
            await engine.beam(prompts[0], trie, self.beams)  # loads the model
            await asyncio.gather(*(engine.beam(prompt[::-1], trie, self.beams) for prompt in prompts))
            started = time.perf_counter()
            found = await asyncio.gather(*(engine.beam(prompt, trie, self.beams) for prompt in prompts))
            seconds = time.perf_counter() - started
        finally:
            await engine.aclose()
        wanted = min(self.beams, len(ids))
        returned = sum(map(len, found))
        distinct = sum(len({number for number, _ in row if 0 <= number < len(ids)}) for row in found)
        invalid = returned - distinct + self.prompts * wanted - returned  # what is missing counts too
        return Row(
            name,
            "ours",
            metrics={"items_per_second": returned / seconds, "invalid": invalid},
            protocol=work.protocol,
            seconds=seconds,
        )

    def _generate(self, work: _Work) -> Row:
        import torch
        from transformers import AutoModelForCausalLM

        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModelForCausalLM.from_pretrained(work.model, dtype=work.dtype).eval().to(device)
        allowed = _successors(work.ids)

        def successors(_: int, tokens: torch.Tensor) -> list[int]:
            return allowed[tuple(tokens[self.length :].tolist())]

        def search(some: Sequence[Sequence[int]]) -> NDArray[np.int64]:
            given = torch.tensor(some, device=device)
            with torch.inference_mode():
                found = model.generate(
                    given,
                    attention_mask=torch.ones_like(given),
                    num_beams=self.beams,
                    num_return_sequences=self.beams,
                    max_new_tokens=_LEVELS,
                    do_sample=False,
                    prefix_allowed_tokens_fn=successors,
                    eos_token_id=None,
                    pad_token_id=0,
                )
            return found[:, self.length :].cpu().numpy()

        prompts, batch = work.prompts, self.generate_batch
        search(prompts[:batch])
        started = time.perf_counter()
        found = [search(prompts[start : start + batch]) for start in range(0, len(prompts), batch)]
        seconds = time.perf_counter() - started
        items = {tuple(item) for item in work.ids.tolist()}
        returned = [tuple(item) for part in found for item in part.tolist()]
        return Row(
            "hf-generate",
            "floor",
            metrics={
                "items_per_second": len(returned) / seconds,
                "invalid": sum(item not in items for item in returned),
            },
            protocol=f"{work.protocol}; {batch} prompts at once",
            seconds=seconds,
        )


@dataclass(frozen=True)
class _Work:
    """What every row has to do."""

    model: Path
    dtype: str
    ids: NDArray[np.int64]
    """(items, 3)"""
    prompts: list[list[int]]
    protocol: str


def _with_ratio(row: Row, generate: float) -> Row:
    return replace(row, metrics={**row.metrics, "ratio_to_generate": row.metrics["items_per_second"] / generate})


def _item_ids(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """(count, 3) distinct random triples, each level with tokens of its own from 0."""
    codes = rng.choice(_CODES**_LEVELS, count, replace=False)
    return np.stack([codes // _CODES**2, codes // _CODES % _CODES, codes % _CODES], axis=1) + _CODES * np.arange(
        _LEVELS
    )


def _successors(ids: NDArray[np.int64]) -> dict[tuple[int, ...], list[int]]:
    """Every beginning of an item id, and the tokens that may follow."""
    found: dict[tuple[int, ...], dict[int, None]] = {}
    for item in ids.tolist():
        for end in range(len(item)):
            found.setdefault(tuple(item[:end]), {})[item[end]] = None
    return {beginning: list(tokens) for beginning, tokens in found.items()}


def _trie_row(rng: np.random.Generator) -> Row:
    """Memory counts what building allocates at its highest point, the trie itself included, the ids not."""
    ids = rng.integers(_CODES, size=(_MILLION, 4), dtype=np.int32) + _CODES * np.arange(4, dtype=np.int32)
    sequences = [row[: 3 + number % 2] for number, row in enumerate(ids.tolist())]
    started = time.perf_counter()
    trie = TokenTrie(sequences)
    seconds = time.perf_counter() - started
    tracemalloc.start()  # after the timing, which it slows
    TokenTrie(sequences)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return Row(
        "trie-1m",
        "ours",
        metrics={"peak_mb": peak},
        protocol=f"{_MILLION:,} random item ids of 3 and 4 tokens in lists, {len(trie):,} different ones",
        seconds=seconds,
    )


def write_tokenizer(folder: Path, vocabulary: int) -> None:
    """Servers want one: a token is a word w<number>."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = WordLevel({f"w{number}": number for number in range(vocabulary)}, unk_token="w0")
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="w0").save_pretrained(folder)
