"""A language model of a workspace's own: trained beside whatever serves it, published when it is whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmrec.adapters import AdapterStore
from llmrec.agents.assistant import steps
from llmrec.contracts import Progress, no_progress
from llmrec.data.dataset import Dataset
from llmrec.data.read import read_dataset
from llmrec.errors import UserError
from llmrec.language.training.base import LoraSettings
from llmrec.language.training.presets import PRESETS
from llmrec.language.training.recipe import FACTS, Report, continue_model, train_from_scratch
from llmrec.workspace import Step, StepContext, Workspace

WORK = "training"
"""Folder of a workspace where trainings that have not ended lie; no build touches it."""
ADAPTER = "language"
"""Name of the adapter that training with LoRA adds to a workspace."""
_PATIENCE = 600.0
"""Seconds to wait for a build that is under way when a model is to be published."""


@dataclass(frozen=True)
class Recipe:
    """What `llmrec train language` is told."""

    preset: str = "nano"
    """The size of a model from scratch, where there is no `base`."""
    base: str | None = None
    """Folder or hub name of a model to continue."""
    lora: LoraSettings | None = None
    """Train this adapter on `base` and leave the base as it is."""
    tokens: int | None = None
    minutes: float | None = None
    learning_rate: float | None = None
    """Of a continued model."""
    seed: int = 0

    def train(self, dataset: Dataset, folder: Path, progress: Progress = no_progress) -> Report:
        """Into `folder`; goes on where the same recipe was interrupted. Raises what `training.recipe` does."""
        how: dict[str, Any] = {"tokens": self.tokens, "minutes": self.minutes, "seed": self.seed, "progress": progress}
        if self.base is None:
            return train_from_scratch(dataset, folder, self.preset, **how)
        return continue_model(dataset, self.base, folder, lora=self.lora, learning_rate=self.learning_rate, **how)


@dataclass(frozen=True)
class OwnModel:
    """A workspace's own language model."""

    folder: Path
    name: str
    """The preset, or what it was continued from."""
    instructed: bool
    """Whether it may know how to follow instructions, having been continued from a model that does."""

    @property
    def uri(self) -> str:
        return f"transformers:{self.folder}"


def own_model(workspace: Workspace) -> OwnModel | None:
    """The workspace's own language model, None where it has none."""
    if not workspace.has(steps.LANGUAGE):
        return None
    base = str(workspace.record(steps.LANGUAGE).settings["base"])
    return OwnModel(workspace.artefact(steps.LANGUAGE).resolve(), Path(base).name, base not in PRESETS)


def dataset_of(workspace: Workspace) -> Dataset:
    """The dataset that the workspace was built from, under its name."""
    folder = workspace.artefact(steps.DATASET)
    name = json.loads((folder / steps.ABOUT).read_text("utf-8"))["name"]
    return replace(read_dataset(folder), name=str(name))


def train_for_workspace(
    path: Path, recipe: Recipe, dataset: Dataset | None = None, progress: Progress = no_progress
) -> Report:
    """Train a language model, or an adapter for one, and make it the workspace's own.

    On `dataset`, by default the workspace's. An adapter without a base in its recipe is one for the workspace's own
    model. The workspace is locked only for the moment of publishing: a server goes on, and switches to the new model
    at its next turn. The same call goes on where one was killed.
    """
    with Workspace.open(path) as workspace:
        if recipe.lora is not None and recipe.base is None:
            own = own_model(workspace)
            if own is None:
                raise UserError(
                    f"the workspace {path} has no language model to adapt: train one first, or give a --base"
                )
            recipe = replace(recipe, base=str(own.folder))
        dataset = dataset or dataset_of(workspace)
        work = workspace.path / WORK / _key(recipe, dataset)
        report = recipe.train(dataset, work, progress)
        progress("publishing", 0, 1)
        if report.kind == "adapter":
            AdapterStore(workspace.path / "adapters").add(ADAPTER, work, recipe.base, replace=True)
            folder = AdapterStore(workspace.path / "adapters").resolve(ADAPTER)
        else:
            workspace.build([_publishing(work)], keep=True, patience=_PATIENCE)
            folder = workspace.artefact(steps.LANGUAGE)
        shutil.rmtree(work, ignore_errors=True)
        return replace(report, folder=str(folder))


def _key(recipe: Recipe, dataset: Dataset) -> str:
    return hashlib.sha256(f"{recipe!r} {dataset.fingerprint()}".encode()).hexdigest()[:16]


def _publishing(work: Path) -> Step:
    """The step whose artefact is the finished model in `work`."""

    def copy(context: StepContext) -> None:
        shutil.copytree(work, context.folder, dirs_exist_ok=True, copy_function=_link)

    return Step(steps.LANGUAGE, build=copy, settings=json.loads((work / FACTS).read_text("utf-8"))["run"])


def _link(source: str, target: str) -> None:
    """A second name for the file, so that a large model is not written twice; a copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
