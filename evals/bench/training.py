"""`bench training`: tokens a second of our training loop, and of the barest loop on the same model."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from llmrec.contracts import Config, Progress, Row, no_progress
from llmrec.language.training.presets import preset, random_model


class TrainingBench(Config):
    """Random tokens, a random model of a preset; SOURCE is not read.

    `ours` is the loop of `llmrec train` with all that it does: batches, learning rate, clipping, validation, metrics
    and checkpoints. `bare-loop` is forward, backward and AdamW on one batch again and again. They run by turns, so that
    a busy machine slows both; the ratio is the median over the pairs.
    """

    name: ClassVar[str] = "training"

    preset: str = "nano"
    steps: int = Field(default=100, ge=20, description="steps of one measurement")
    repeats: int = Field(default=3, ge=1, description="pairs of measurements")
    threads: int = Field(default=0, ge=0, description="of torch; 0 leaves its default")
    seed: int = 0

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """The rows `bare-loop` and `ours`."""
        import torch

        if self.threads:
            torch.set_num_threads(self.threads)
        chosen = preset(self.preset)
        measured: dict[str, list[float]] = {"bare-loop": [], "ours": []}
        for repeat in range(self.repeats):
            for number, (name, loop) in enumerate((("bare-loop", self._bare), ("ours", self._ours))):
                progress(name, 2 * repeat + number, 2 * self.repeats)
                measured[name].append(chosen.batch * chosen.length * self.steps / loop())
        ratios = [ours / bare for bare, ours in zip(*measured.values(), strict=True)]
        protocol = (
            f"{self.preset}, {chosen.batch} x {chosen.length} tokens, {self.steps} steps, "
            f"{torch.get_num_threads()} threads, median of {self.repeats}"
        )
        bare, ours = (statistics.median(values) for values in measured.values())
        return [
            Row("bare-loop", "floor", {"tokens_per_second": bare}, protocol),
            Row("ours", "ours", {"tokens_per_second": ours, "ratio": statistics.median(ratios)}, protocol),
        ]

    def _model(self) -> Any:
        from llmrec.language.training.loop import find_device

        model: Any = random_model(self.preset, self.seed)
        return model.to(find_device()).train()

    def _tokens(self, count: int) -> np.ndarray[Any, np.dtype[np.int32]]:
        size = preset(self.preset).vocabulary
        return np.random.default_rng(self.seed).integers(size, size=count, dtype=np.int32)

    def _ours(self) -> float:
        """Seconds of a whole run."""
        from llmrec.language.training.batches import Packed, packed_once
        from llmrec.language.training.loop import LoopSettings, train

        chosen = preset(self.preset)
        batches = Packed(self._tokens(500_000), chosen.length, chosen.batch, self.seed)
        validation = packed_once(self._tokens(2_048), chosen.length, chosen.batch, 2_048)
        with tempfile.TemporaryDirectory(prefix="llmrec-bench-") as folder:
            model = self._model()
            done = train(model, batches, Path(folder), LoopSettings(), steps=self.steps, validation=validation)
            return done.seconds

    def _bare(self) -> float:
        """Seconds of as many steps with nothing around them."""
        import torch

        from llmrec.language.training.loop import find_device, has_bfloat16

        chosen, device, model = preset(self.preset), find_device(), self._model()
        ids = torch.from_numpy(self._tokens(chosen.batch * chosen.length).astype(np.int64))
        ids = ids.view(chosen.batch, chosen.length).to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        cast = torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))
        started = time.perf_counter()
        for _ in range(self.steps):
            with cast:
                loss = model(input_ids=ids, labels=ids).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        loss.item()  # waits for a device that works on its own
        return time.perf_counter() - started
