"""The training loop: any causal language model of transformers, all of it or the parts that ask for gradients.

Simple on purpose: batches by step number, bfloat16 autocast where the device is fast at it, AdamW, a learning rate that
warms up, stays and falls to zero, clipped gradients, validation at intervals. A killed run goes on from its last
checkpoint and ends in the same weights as one that was never killed (same machine, same number of threads).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch.nn import functional

from llmrec.contracts import Config, Progress, no_progress
from llmrec.errors import LlmrecError
from llmrec.language.training import checkpoint
from llmrec.language.training.batches import IGNORED, Batch, Batches
from llmrec.language.training.checkpoint import State
from llmrec.workspace.files import saying_disk_full

METRICS = "metrics.jsonl"
Row = dict[str, float]
"""`step`, `tokens`, `seconds`, `learning_rate`, `loss` (mean since the row before; none at step 0), and in some
`validation_loss`; losses are nats for each token."""

_ROWS = 100
_SAVING_SHARE = 0.02


class LoopSettings(Config):
    """How to train, apart from what on and how long."""

    learning_rate: float = Field(default=1e-3, gt=0)
    warmup: float = Field(default=0.05, ge=0, le=1)
    """Share of the steps in which the learning rate rises to its peak."""
    cooldown: float = Field(default=0.5, ge=0, le=1)
    """Share of the steps at the end in which it falls to zero."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Of matrices; vectors, such as norms, have none."""
    clip: float = Field(default=1.0, gt=0)
    """The largest norm of a step's gradient."""
    validations: int = Field(default=10, ge=1)
    """How often the validation loss is measured after the start."""
    checkpoint_seconds: float = Field(default=30.0, ge=0)
    """Least time between two checkpoints; saving never takes more than a fiftieth of the whole."""


@dataclass(frozen=True)
class Trained:
    """What a run measured."""

    steps: int
    tokens: int
    seconds: float
    rows: list[Row]

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / max(self.seconds, 1e-9)

    @property
    def validation_loss(self) -> float | None:
        """The last one; None without validation data."""
        return next((row["validation_loss"] for row in reversed(self.rows) if "validation_loss" in row), None)


def find_device() -> torch.device:
    """CUDA where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes with bfloat16 natively; elsewhere it would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def train(
    model: torch.nn.Module,
    batches: Batches,
    folder: Path,
    settings: LoopSettings,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    validation: Sequence[Batch] = (),
    run: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> Trained:
    """Train `model` in place for `steps`, or for about so many `minutes`; goes on from a checkpoint in `folder`.

    `folder` gets `metrics.jsonl`, and checkpoints until the run ends. `run` (JSON) says what the run is besides its
    settings, so that only a checkpoint of the same run is used. Trainable parameters must be float32. Raises
    `DiskFullError`, and `LlmrecError` where the loss is no number any more.
    """
    with saying_disk_full(folder, "training"):
        return _Run(model, batches, folder, settings, steps, minutes, validation, dict(run or {}), progress).go()


class _Run:
    def __init__(
        self,
        model: torch.nn.Module,
        batches: Batches,
        folder: Path,
        settings: LoopSettings,
        steps: int | None,
        minutes: float | None,
        validation: Sequence[Batch],
        run: dict[str, Any],
        progress: Progress,
    ) -> None:
        self.model, self.batches, self.folder, self.settings = model, batches, folder, settings
        self.validation, self.progress = validation, progress
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.device = next(iter(self.parameters.values())).device
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=has_bfloat16(self.device))
        matrices = [p for p in self.parameters.values() if p.dim() > 1]
        vectors = [p for p in self.parameters.values() if p.dim() <= 1]
        groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.95), fused=True)
        run |= {"settings": settings.model_dump(), "steps": steps, "minutes": minutes}
        folder.mkdir(parents=True, exist_ok=True)
        state = checkpoint.load(folder, run, self.parameters, self.optimizer)
        self.state = state or State(run, steps if steps is not None else self._steps_in(minutes or 0.0))

    def go(self) -> Trained:
        state, total = self.state, self.state.steps
        report_every = max(total // _ROWS, 1)
        validate_every = max(total // self.settings.validations, 1)
        self._write_rows()
        if not state.rows:
            self._measure({}, validate=True)
        self.model.train()
        began, before = time.perf_counter(), state.seconds
        saved, saving = began, 0.0
        told = began
        sum_of_losses, counted = torch.zeros((), device=self.device), 0
        while state.step < total:
            sum_of_losses += self._step(state.step)
            counted += 1
            state.step += 1
            now = time.perf_counter()
            state.seconds = before + now - began
            at_end = state.step == total
            reporting = state.step % report_every == 0 or at_end
            validating = state.step % validate_every == 0 or at_end
            if reporting or validating:
                loss = sum_of_losses.item() / counted
                if not math.isfinite(loss):
                    raise LlmrecError("the loss is no number any more: train with a lower learning rate")
                self._measure({"loss": loss}, validating)
                sum_of_losses.zero_()
                counted = 0
            if now - told > 0.5 and state.rows[-1].get("loss"):
                told = now
                tokens = self.batches.tokens
                self.progress(
                    f"training, loss {state.rows[-1]['loss']:.1f}", int(state.step * tokens), int(total * tokens)
                )
            # A checkpoint falls between two reports only where nothing would be lost of the sum of losses.
            if (
                counted == 0
                and not at_end
                and now - saved > max(self.settings.checkpoint_seconds, saving / _SAVING_SHARE)
            ):
                checkpoint.save(self.folder, state, self.parameters, self.optimizer)
                saved = time.perf_counter()
                saving = saved - now
        return Trained(total, int(total * self.batches.tokens), state.seconds, state.rows)

    def _step(self, step: int) -> torch.Tensor:
        """One step; returns its loss, still on the device."""
        rate = self._learning_rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(step)  # dropout must not depend on where a run was killed
        loss = self._loss(*self.batches.batch(step))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def _loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with self.autocast:
            logits = self.model(input_ids=inputs.to(self.device), use_cache=False).logits
        targets = targets.to(self.device)
        return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)

    def _learning_rate(self, step: int) -> float:
        peak, total = self.settings.learning_rate, self.state.steps
        rise = (step + 1) / max(self.settings.warmup * total, 1)
        fall = (total - step) / max(self.settings.cooldown * total, 1)
        return peak * min(rise, fall, 1.0)

    def _measure(self, row: Row, validate: bool) -> None:
        """Append a row, with the validation loss where that is asked for and can be had."""
        state = self.state
        facts = {
            "step": state.step,
            "tokens": int(state.step * self.batches.tokens),
            "seconds": round(state.seconds, 3),
        }
        row = {**facts, "learning_rate": self._learning_rate(max(state.step - 1, 0)), **row}
        if validate and self.validation:
            row["validation_loss"] = self._validation_loss()
        state.rows.append(row)
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _write_rows(self) -> None:
        """The metrics as they were at the checkpoint: what came after it comes again."""
        text = "".join(json.dumps(row) + "\n" for row in self.state.rows)
        (self.folder / METRICS).write_text(text, encoding="utf-8")

    @torch.no_grad()
    def _validation_loss(self) -> float:
        self.model.eval()
        losses, counts = 0.0, 0
        for inputs, targets in self.validation:
            count = int((targets != IGNORED).sum())
            losses += self._loss(inputs, targets).item() * count
            counts += count
        self.model.train()
        return losses / counts

    def _steps_in(self, minutes: float) -> int:
        """How many steps fit, by trying some without changing the model."""
        self.progress("measuring the speed", 0, 1)
        seconds = []
        for step in range(8):
            started = time.perf_counter()
            self._loss(*self.batches.batch(step)).backward()
            self.optimizer.zero_grad()
            seconds.append(time.perf_counter() - started)
        per_step = sum(seconds[3:]) / len(seconds[3:])
        return max(int(60 * minutes / per_step), 1)
