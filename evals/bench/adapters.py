"""`bench adapters`: tokens a second of a language model without adapters, with one, and with many at the same time."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field

from llmrec.contracts import Config, Ending, Message, Progress, Row, no_progress
from llmrec.errors import EngineError

_PATIENCE = 600.0
_TARGETS = ("q_proj", "v_proj")


class AdaptersBench(Config):
    """Generates its model (random weights of a preset) and its adapters (random LoRA of rank 8 on q and v).

    `tokens_per_second` counts generated tokens, all requests at once and of the same length. `64-distinct` has as many
    adapters as requests, `1000-stream` so many one after the other, each used once; it counts what it takes to find,
    check and load them. All rows but this are the median of rounds that take turns.

    On vLLM `one` runs on a server with one slot for adapters, all other rows on one with as many slots as there are
    `distinct` adapters, and `ratio_to_one` compares with one adapter there (`one-64-slots`).
    """

    name: ClassVar[str] = "adapters"

    engine: Literal["vllm", "in-process"] = "vllm"
    preset: str = "nano"
    """Size of the model: a name of llmrec.language.training.presets."""
    distinct: int = Field(default=64, ge=2)
    """Requests at once, and different adapters in them."""
    stream: int = Field(default=1000, ge=1)
    """Adapters of the stream."""
    prompt: int = Field(default=32, ge=1)
    """Tokens of a prompt."""
    tokens: int = Field(default=64, ge=1)
    """Tokens that a request generates."""
    rounds: int = Field(default=3, ge=1)
    modules: str = ",".join(_TARGETS)
    """What a vLLM server is told that adapters may have; `all` shows what that costs."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """The rows; `source` is not read."""
        with tempfile.TemporaryDirectory(prefix="llmrec-bench-") as temporary:
            folder = Path(temporary)
            dtype = _write_model(folder / "model", self.preset, self.dtype, self.seed)
            return asyncio.run(self._measure(folder, dtype, progress))

    async def _measure(self, folder: Path, dtype: str, progress: Progress) -> list[Row]:
        source = _Generated(folder / "model", folder / "adapters", self.seed)
        every = [f"user:{number}" for number in range(self.distinct)]
        rows: dict[str, Sequence[str | None]] = {"base": [None], "one": every[:1], f"{self.distinct}-distinct": every}
        reference = "one"
        if self.engine == "in-process":
            found = await self._rounds(_InProcess(source, dtype), dtype, source, rows, progress)
        else:
            reference = f"one-{self.distinct}-slots"
            few = {"base": rows["base"], "one": rows["one"]}
            full = {"base": rows["base"], reference: rows["one"], f"{self.distinct}-distinct": every}
            one_slot, many_slots = (_OnVLLM(source, dtype, slots, self.modules, folder) for slots in (1, self.distinct))
            [_, one] = await self._rounds(one_slot, dtype, source, few, progress)
            found = [one, *await self._rounds(many_slots, dtype, source, full, progress)]
        by_name = {row.name: row for row in found}
        base, of_one = (by_name[name].metrics["tokens_per_second"] for name in ("base", reference))
        return [
            replace(
                row,
                metrics={
                    "tokens_per_second": row.metrics["tokens_per_second"],
                    "ratio_to_base": row.metrics["tokens_per_second"] / base,
                    "ratio_to_one": row.metrics["tokens_per_second"] / of_one,
                    "failed": row.metrics["failed"],
                },
            )
            for row in (by_name[name] for name in dict.fromkeys(["base", "one", *by_name]))
        ]

    async def _rounds(
        self,
        served: _Served,
        dtype: str,
        source: _Generated,
        rows: dict[str, Sequence[str | None]],
        progress: Progress,
    ) -> list[Row]:
        """The rows of one engine; where there are many adapters in them, the stream too."""
        rng = np.random.default_rng(self.seed)
        prompts = rng.integers(1, 200, (self.distinct, self.prompt)).tolist()
        protocol = (
            f"{self.preset} in {dtype}, {served.room}, adapters of rank 8 on q and v; {self.distinct} requests at "
            f"once, {self.prompt} tokens in, {self.tokens} out"
        )
        tallies = {name: _Tally() for name in rows}
        try:
            for turn in range(self.rounds + 1):  # the first warms up
                for name, adapters in rows.items():
                    progress(f"{name}, {served.room}", turn, self.rounds + 1)
                    requests = [
                        (adapters[number % len(adapters)], prompt[turn:] + prompt[:turn])
                        for number, prompt in enumerate(prompts)
                    ]
                    tally = _Tally() if turn == 0 else tallies[name]
                    await self._together(served, requests, tally)
            found = [tallies[name].row(name, protocol) for name in rows]
            if len(rows) > 2:
                tally = _Tally()
                users = range(self.distinct, self.distinct + self.stream)
                stream = [(f"user:{user}", prompts[user % len(prompts)]) for user in users]
                progress(f"{self.stream} adapters", 0, 1)
                for user, _ in stream:
                    await asyncio.to_thread(source.resolve, user)  # makes it
                await self._together(served, stream, tally)
                found.append(tally.row(f"{self.stream}-stream", protocol))
            return found
        finally:
            await served.aclose()

    async def _together(self, served: _Served, requests: Sequence[tuple[str | None, list[int]]], tally: _Tally) -> None:
        """All requests, `distinct` at a time."""
        places = asyncio.Semaphore(self.distinct)

        async def one(adapter: str | None, prompt: list[int]) -> int:
            async with places:
                try:
                    return await served.generate(adapter, prompt, self.tokens)
                except EngineError:
                    return 0

        began = time.perf_counter()
        counts = await asyncio.gather(*(one(*request) for request in requests))
        seconds = time.perf_counter() - began
        tally.rates.append(sum(counts) / seconds)
        tally.failed += sum(count < self.tokens for count in counts)
        tally.seconds += seconds


class _Served(Protocol):
    """An engine with adapters."""

    room: str

    async def generate(self, adapter: str | None, prompt: list[int], tokens: int) -> int:
        """Write so many tokens; how many there were."""
        ...

    async def aclose(self) -> None: ...


class _OnVLLM:
    def __init__(self, source: _Generated, dtype: str, slots: int, modules: str, folder: Path) -> None:
        from llmrec.language.vllm.engine import VLLMEngine

        self.room = f"{slots} {'slot' if slots == 1 else 'slots'} for {modules}"
        options = f"dtype={dtype}&max_loras={slots}&max_lora_rank=8&lora_modules={modules}"
        self._engine = VLLMEngine(f"{source.model}?{options}", timeout=_PATIENCE, adapters=source, folder=folder)

    async def generate(self, adapter: str | None, prompt: list[int], tokens: int) -> int:
        async with self._engine.serving(adapter) as (endpoint, model):
            body = {"model": model, "prompt": prompt, "max_tokens": tokens, "temperature": 0.0, "ignore_eos": True}
            answer = await endpoint.post("/completions", body)
        return int(answer["usage"]["completion_tokens"])

    async def aclose(self) -> None:
        await self._engine.aclose()


class _InProcess:
    room = "in process"

    def __init__(self, source: _Generated, dtype: str) -> None:
        from llmrec.language.in_process.engine import TransformersEngine

        self._engine = TransformersEngine(f"{source.model}?dtype={dtype}", timeout=_PATIENCE, adapters=source)

    async def generate(self, adapter: str | None, prompt: list[int], tokens: int) -> int:
        words = " ".join(f"w{token}" for token in prompt)  # a word is a token; the model has none that ends an answer
        pieces = [
            piece async for piece in self._engine.chat([Message("user", words)], max_tokens=tokens, adapter=adapter)
        ]
        ending = pieces[-1]
        assert isinstance(ending, Ending) and ending.completion_tokens is not None
        return ending.completion_tokens

    async def aclose(self) -> None:
        await self._engine.aclose()


@dataclass
class _Tally:
    rates: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0

    def row(self, name: str, protocol: str) -> Row:
        metrics = {"tokens_per_second": statistics.median(self.rates), "failed": self.failed}
        rounds = f"; median of {len(self.rates)}" if len(self.rates) > 1 else ""
        return Row(name, "ours", metrics=metrics, protocol=protocol + rounds, seconds=self.seconds)


@dataclass
class _Generated:
    """An `AdapterSource` that makes an adapter when it is first asked for."""

    model: Path
    folder: Path
    seed: int
    shapes: list[tuple[str, int, int]] = field(default_factory=list)
    """(module, out, in) of what is adapted."""

    def __post_init__(self) -> None:
        from safetensors import safe_open

        with safe_open(self.model / "model.safetensors", framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118
                module = name.removesuffix(".weight")
                if module.endswith(_TARGETS):
                    self.shapes.append((module, *file.get_slice(name).get_shape()))

    def resolve(self, name: str) -> Path | None:
        """See `AdapterSource`."""
        from safetensors.numpy import save_file

        folder = self.folder / name.replace(":", "-")
        if not folder.is_dir():
            rng = np.random.default_rng([self.seed, *name.encode()])
            tensors = {}
            for module, rows, columns in self.shapes:
                for side, shape in (("A", (8, columns)), ("B", (rows, 8))):
                    tensor = rng.normal(scale=0.05, size=shape).astype(np.float32)
                    tensors[f"base_model.model.{module}.lora_{side}.weight"] = tensor
            config = {
                "peft_type": "LORA",
                "base_model_name_or_path": str(self.model),
                "r": 8,
                "lora_alpha": 16,
                "target_modules": list(_TARGETS),
            }
            folder.mkdir(parents=True)
            save_file(tensors, folder / "adapter_model.safetensors")
            (folder / "adapter_config.json").write_text(json.dumps(config))
        return folder


def _write_model(folder: Path, preset_name: str, dtype: str, seed: int) -> str:
    """Random weights and a tokenizer; returns the precision."""
    import torch
    from transformers import Qwen3ForCausalLM

    from llmrec.evals.bench.beams import write_tokenizer
    from llmrec.language.in_process.loading import has_fast_bfloat16
    from llmrec.language.training.presets import preset

    if dtype == "auto":
        dtype = "bfloat16" if torch.cuda.is_available() or has_fast_bfloat16() else "float32"
    size = preset(preset_name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        Qwen3ForCausalLM(size.config(size.vocabulary)).to(getattr(torch, dtype)).save_pretrained(folder)
    write_tokenizer(folder, size.vocabulary)
    return dtype
