"""Models of a workspace's own: trained beside whatever serves it, published when they are whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmrec import plugins
from llmrec.adapters import AdapterStore
from llmrec.agents.assistant import steps
from llmrec.agents.assistant.own import fingerprint_of, own_model
from llmrec.agents.conversation.policies.lessons import Learner, Lessons
from llmrec.contracts import Progress, no_progress
from llmrec.data.dataset import Dataset
from llmrec.data.facets import derive_facets
from llmrec.data.read import read_dataset
from llmrec.errors import UserError
from llmrec.language.training.base import LoraSettings
from llmrec.language.training.facts import FACTS
from llmrec.language.training.recipe import Report, continue_model, train_from_scratch
from llmrec.workspace import Step, StepContext, Workspace
from llmrec.workspace.manifest import FILE

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


def read_texts(source: Path) -> Dataset:
    """The dataset of a data folder or workspace, under its name, as a workspace has it."""
    if not is_workspace(source):
        return derive_facets(replace(read_dataset(source), name=steps.dataset_name(source)))
    with Workspace.open(source) as workspace:
        folder = workspace.artefact(steps.DATASET)
        name = json.loads((folder / steps.ABOUT).read_text("utf-8"))["name"]
        return replace(read_dataset(folder), name=str(name))


def is_workspace(source: Path) -> bool:
    """Whether this is a workspace, not a folder of data."""
    return (source / FILE).exists()


def train_for_workspace(
    path: Path, recipe: Recipe, data: Path | None = None, progress: Progress = no_progress
) -> Report:
    """Train a language model, or an adapter for one, and make it the workspace's own.

    On the text of the workspace, or of the folder `data`. An adapter without a base in its recipe is one for the
    workspace's own model. The workspace is locked only for the moment of publishing: a server goes on, and switches to
    the new model at its next turn. The same call goes on where one was killed.
    """
    with Workspace.open(path) as workspace:
        recipe = with_base(recipe, workspace)
        fingerprint = fingerprint_of(workspace) if data is None else read_dataset(data).fingerprint()
        key = hashlib.sha256(f"{recipe!r} {fingerprint}".encode()).hexdigest()[:16]
        work = path / WORK / key
        report = recipe.train(read_texts(data or path), work, progress)
        progress("publishing", 0, 1)
        if report.kind == "adapter":
            store = AdapterStore(path / "adapters")
            store.add(ADAPTER, work, recipe.base, replace=True)
            folder = store.resolve(ADAPTER)
        else:
            workspace.build([_publishing(work, fingerprint)], keep=True, patience=_PATIENCE)
            folder = workspace.artefact(steps.LANGUAGE)
        shutil.rmtree(work, ignore_errors=True)
        with suppress(OSError):
            work.parent.rmdir()  # unless another training lies there
        return replace(report, folder=str(folder))


def train_policy(path: Path, name: str, teach: Callable[[], Lessons], progress: Progress = no_progress) -> Path:
    """Let the policy `name` learn, and keep what it has learnt in the workspace at `path`: this folder.

    `teach` makes the lessons, once it is clear that they are needed; `UserError` where they are not. The workspace is
    locked only for the moment of keeping.
    """
    policy = plugins.load("llmrec.policies", name)()
    if not isinstance(policy, Learner) or not policy.needs_lessons:
        raise UserError(f"the policy {name} needs no lessons: serve it as it is, llmrec serve --policy {name}")

    lessons = teach()

    def keep(context: StepContext) -> None:
        lessons.graph.save(context.folder)
        policy.save(context.folder)

    with Workspace.open(path) as workspace:
        policy.learn(lessons, progress)
        learnt = {"dataset": fingerprint_of(workspace), **policy.config.model_dump(mode="json")}
        step = Step(steps.policy_artefact(name), build=keep, settings=learnt)
        workspace.build([step], progress, rebuild=True, keep=True, patience=_PATIENCE)
        return workspace.artefact(step.name)


def with_base(recipe: Recipe, workspace: Workspace) -> Recipe:
    """The recipe; an adapter without a base gets the workspace's own model."""
    if recipe.lora is None or recipe.base is not None:
        return recipe
    own = own_model(workspace)
    if own is None:
        raise UserError(f"the workspace {workspace.path} has no language model to adapt: train one, or give a --base")
    return replace(recipe, base=str(own.folder))


def _publishing(work: Path, fingerprint: str) -> Step:
    """The step whose artefact is the finished model in `work`."""

    def copy(context: StepContext) -> None:
        shutil.copytree(work, context.folder, dirs_exist_ok=True, copy_function=_link)

    run = json.loads((work / FACTS).read_text("utf-8"))["run"]
    return Step(steps.LANGUAGE, build=copy, settings={**run, "dataset": fingerprint})


def _link(source: str, target: str) -> None:
    """A second name for the file, so that a large model is not written twice; a copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
