"""`bench adapters`: tokens a second of one vLLM server without adapters, with one, and with many at the same time."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from llmrec.contracts import Config, Progress, Row, no_progress
from llmrec.errors import EngineError

if TYPE_CHECKING:
    from llmrec.language.vllm.engine import VLLMEngine

_PATIENCE = 600.0
_TARGETS = ("q_proj", "v_proj")


class AdaptersBench(Config):
    """Generates its model (random weights of a preset) and its adapters (random LoRA of rank 8 on q and v).

    `tokens_per_second` counts generated tokens, all requests at once and of the same length. `one` runs on a server
    with one slot for adapters, all other rows on one with as many slots as there are `distinct` adapters;
    `ratio_to_one` compares with one adapter there (`one-64-slots`). `1000-stream` is so many adapters one after the
    other, each used once, and counts what it takes to find, check, publish and load them. All rows but this are
    the median of rounds that take turns.
    """

    name: ClassVar[str] = "adapters"

    preset: str = "nano"
    """Size of the model: a name of llmrec.language.training.presets."""
    distinct: int = Field(default=64, ge=2)
    """Slots of the server, requests at once, and different adapters in them."""
    stream: int = Field(default=1000, ge=1)
    """Adapters of the stream."""
    prompt: int = Field(default=32, ge=1)
    """Tokens of a prompt."""
    tokens: int = Field(default=64, ge=1)
    """Tokens that a request generates."""
    rounds: int = Field(default=3, ge=1)
    modules: str = ",".join(_TARGETS)
    """What the server is told that adapters may have; `all` shows what that costs."""
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
        many, slots = f"{self.distinct}-distinct", f"one-{self.distinct}-slots"
        few: dict[str, Sequence[str | None]] = {"base": [None], "one": ["user:0"]}
        full: dict[str, Sequence[str | None]] = {
            "base": [None],
            slots: ["user:0"],
            many: [f"user:{number}" for number in range(self.distinct)],
        }
        _, one = await self._rounds(folder, dtype, source, 1, few, progress)
        rows = await self._rounds(folder, dtype, source, self.distinct, full, progress)
        by_name = {row.name: row for row in [one, *rows]}
        base, reference = (by_name[name].metrics["tokens_per_second"] for name in ("base", slots))
        ordered = [by_name[name] for name in dict.fromkeys(["base", "one", *by_name])]
        return [
            replace(
                row,
                metrics={
                    "tokens_per_second": row.metrics["tokens_per_second"],
                    "ratio_to_base": row.metrics["tokens_per_second"] / base,
                    "ratio_to_one": row.metrics["tokens_per_second"] / reference,
                    "failed": row.metrics["failed"],
                },
            )
            for row in ordered
        ]

    async def _rounds(
        self,
        folder: Path,
        dtype: str,
        source: _Generated,
        slots: int,
        rows: dict[str, Sequence[str | None]],
        progress: Progress,
    ) -> list[Row]:
        """The rows of one server, and on the one with many slots the stream."""
        from llmrec.language.vllm.engine import VLLMEngine

        options = f"dtype={dtype}&max_loras={slots}&max_lora_rank=8&lora_modules={self.modules}"
        engine = VLLMEngine(f"{folder / 'model'}?{options}", timeout=_PATIENCE, adapters=source, folder=folder)
        rng = np.random.default_rng(self.seed)
        prompts = rng.integers(1, 200, (self.distinct, self.prompt)).tolist()
        room = f"{slots} {'slot' if slots == 1 else 'slots'} for {self.modules}"
        protocol = (
            f"{self.preset} in {dtype}, {room}, adapters of rank 8 on q and v; {self.distinct} requests at once, "
            f"{self.prompt} tokens in, {self.tokens} out"
        )
        tallies = {name: _Tally() for name in rows}
        try:
            for turn in range(self.rounds + 1):  # the first warms up
                for name, adapters in rows.items():
                    progress(f"{name}, {slots} slots", turn, self.rounds + 1)
                    requests = [
                        (adapters[number % len(adapters)], prompt[turn:] + prompt[:turn])
                        for number, prompt in enumerate(prompts)
                    ]
                    tally = _Tally() if turn == 0 else tallies[name]
                    await self._together(engine, requests, tally)
            found = [tallies[name].row(name, protocol) for name in rows]
            if slots > 1:
                tally = _Tally()
                users = range(self.distinct, self.distinct + self.stream)
                stream = [(f"user:{user}", prompts[user % len(prompts)]) for user in users]
                progress(f"{self.stream} adapters", 0, 1)
                for user, _ in stream:
                    await asyncio.to_thread(source.resolve, user)  # makes it
                await self._together(engine, stream, tally)
                found.append(tally.row(f"{self.stream}-stream", protocol))
            return found
        finally:
            await engine.aclose()

    async def _together(
        self, engine: VLLMEngine, requests: Sequence[tuple[str | None, list[int]]], tally: _Tally
    ) -> None:
        """All requests, `distinct` at a time."""
        places = asyncio.Semaphore(self.distinct)

        async def one(adapter: str | None, prompt: list[int]) -> int:
            async with places:
                try:
                    async with engine.serving(adapter) as (endpoint, model):
                        body = {"model": model, "prompt": prompt, "max_tokens": self.tokens, "temperature": 0.0}
                        answer = await endpoint.post("/completions", {**body, "ignore_eos": True})
                except EngineError:
                    return 0
            return int(answer["usage"]["completion_tokens"])

        began = time.perf_counter()
        counts = await asyncio.gather(*(one(*request) for request in requests))
        seconds = time.perf_counter() - began
        tally.rates.append(sum(counts) / seconds)
        tally.failed += sum(count < self.tokens for count in counts)
        tally.seconds += seconds


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
