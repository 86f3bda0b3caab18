"""Checkpoints of a run: weights and optimizer state as safetensors, the rest as JSON; the newest whole one counts."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from llmrec.workspace.files import sync_tree

logger = logging.getLogger("llmrec.training")

_PREFIX = "checkpoint-"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass
class State:
    """Where a run is."""

    run: dict[str, Any]
    """What names the run: a checkpoint of another one is not gone on from."""
    steps: int
    """Steps of the whole run."""
    step: int = 0
    """Steps done."""
    seconds: float = 0.0
    """Time they took, over all processes."""
    rows: list[dict[str, float]] = field(default_factory=list)
    """What was measured so far, see `loop.Row`."""


def save(
    folder: Path, state: State, parameters: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.AdamW
) -> None:
    """Write a checkpoint into `folder`, then remove those before."""
    target = folder / f"{_PREFIX}{state.step:09d}"
    unfinished = folder / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    save_file(
        {name: p.detach().cpu().contiguous() for name, p in parameters.items()}, unfinished / "weights.safetensors"
    )
    moments = {
        f"{moment}.{name}": optimizer.state[p][moment].cpu().contiguous()
        for name, p in parameters.items()
        if p in optimizer.state  # a parameter that never had a gradient has none
        for moment in _MOMENTS
    }
    save_file(moments, unfinished / "optimizer.safetensors")
    (unfinished / "state.json").write_text(json.dumps(asdict(state)), encoding="utf-8")
    sync_tree(unfinished)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    for old in folder.glob(f"{_PREFIX}*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def load(
    folder: Path, run: Mapping[str, Any], parameters: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.AdamW
) -> State | None:
    """Put the newest checkpoint of `run` into model and optimizer; None where there is none."""
    for path in sorted(folder.glob(f"{_PREFIX}*"), reverse=True):
        try:
            state = State(**json.loads((path / "state.json").read_text("utf-8")))
            if state.run != json.loads(json.dumps(run)):
                continue
            weights = load_file(path / "weights.safetensors")
            moments = load_file(path / "optimizer.safetensors")
        except (OSError, ValueError, TypeError, SafetensorError) as error:
            logger.warning("the checkpoint %s cannot be read and is left out: %s", path, error)
            continue
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(weights[name])
                if f"{_MOMENTS[0]}.{name}" in moments:
                    optimizer.state[p] = {
                        "step": torch.tensor(float(state.step), device=p.device),
                        **{moment: moments[f"{moment}.{name}"].to(p.device) for moment in _MOMENTS},
                    }
        return state
    return None


def remove(folder: Path) -> None:
    """Remove all checkpoints: the run has ended."""
    for path in [*folder.glob(f"{_PREFIX}*"), folder / ".unfinished"]:
        shutil.rmtree(path, ignore_errors=True)
