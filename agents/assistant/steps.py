"""From a folder of data to a workspace: the steps of all floors, put together."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from llmrec.agents.assistant.people import People
from llmrec.contracts import Progress, Recommender, no_progress
from llmrec.data.catalogue import Catalogue
from llmrec.data.dataset import Dataset
from llmrec.data.facets import derive_facets
from llmrec.data.read import read_dataset, write_dataset
from llmrec.retrieval.search_steps import search_steps
from llmrec.settings import Settings
from llmrec.workspace import BuildReport, Step, StepContext, StepReport, Workspace

DATASET, CATALOGUE, PRIOR = "data/dataset", "data/catalogue", "conversation/prior"
LANGUAGE = "language/model"
"""The workspace's own language model, which `llmrec train` makes and a build keeps."""
POLICIES = "policies"
"""What policies have learnt, an artefact for each, which `llmrec train` makes and a build keeps."""
ABOUT = "about.json"
"""In the dataset's artefact: its name."""
_PLAIN_NAMES = ("data", "dataset", "export")


def recommenders() -> Mapping[str, type[Recommender]]:
    """What is fitted on the interactions, by name; the artefact is `retrieval/<name>`."""
    from llmrec.retrieval.collaborative import EASE, IALS, ItemToItem, Popularity
    from llmrec.retrieval.content import Content

    return {"popularity": Popularity, "ease": EASE, "item-to-item": ItemToItem, "ials": IALS, "content": Content}


def policy_artefact(policy: str) -> str:
    """The name of what a policy has learnt."""
    return f"{POLICIES}/{policy}"


def artefact(recommender: str) -> str:
    """The name of a recommender's artefact."""
    return f"retrieval/{recommender}"


@dataclass(frozen=True)
class Built:
    """How a build went."""

    report: BuildReport
    warnings: tuple[str, ...]
    """What was left out of the data or repaired, one sentence each."""

    @property
    def steps(self) -> tuple[StepReport, ...]:
        return self.report.steps

    def to_json(self) -> dict[str, Any]:
        """The steps with status, seconds and peak memory in megabytes."""
        return {
            "steps": [vars(step) for step in self.steps],
            "seconds": self.report.seconds,
            "peak_mb": self.report.peak_mb,
            "removed": list(self.report.removed),
            "warnings": list(self.warnings),
        }


def build_workspace(
    data: Path,
    workspace: Path,
    progress: Progress = no_progress,
    settings: Settings | None = None,
    rebuild: bool | Collection[str] = False,
) -> Built:
    """Build or update the workspace from the dataset in the folder `data`; goes on where a killed build stopped.

    Raises `UserError` for wrong data and `WorkspaceError` where the workspace cannot be written.
    """
    settings = settings or Settings.load(workspace)
    progress("reading the data", 0, 1)
    dataset = read_dataset(data)
    with Workspace.create(workspace) as built:
        trained = [name for name in built.names if name == LANGUAGE or name.startswith(f"{POLICIES}/")]
        report = built.build(workspace_steps(dataset, dataset_name(data), settings), progress, rebuild, keep=trained)
    return Built(report, dataset.warnings)


def dataset_name(folder: Path) -> str:
    """The folder's name; its parent's where that says more than "data"."""
    folder = folder.resolve()
    return folder.parent.name if folder.name in _PLAIN_NAMES and folder.parent.name else folder.name


def workspace_steps(dataset: Dataset, name: str, settings: Settings) -> list[Step]:
    """All steps for a dataset. Without interactions there are no collaborative ones: content and search remain."""
    derived = cache(lambda: derive_facets(dataset))

    def write(context: StepContext) -> None:
        write_dataset(derived(), context.folder)
        (context.folder / ABOUT).write_text(json.dumps({"name": name}, ensure_ascii=False) + "\n", encoding="utf-8")

    def catalogue(context: StepContext) -> None:
        Catalogue.from_dataset(derived()).save(context.folder)

    def prior(context: StepContext) -> None:
        People.of(derived()).save(context.folder)

    steps = [
        Step(name=DATASET, build=write, settings={"fingerprint": dataset.fingerprint(), "name": name}),
        Step(name=CATALOGUE, build=catalogue, needs=(DATASET,)),
        Step(name=PRIOR, build=prior, needs=(DATASET,)),
    ]
    if len(dataset.positives):
        steps += [_fitting(key, kind, derived) for key, kind in recommenders().items()]
    return [*steps, *search_steps(CATALOGUE, settings.embeddings, settings.vectors)]


def _fitting(name: str, kind: type[Recommender], dataset: Any) -> Step:
    def fit(context: StepContext) -> None:
        kind().fit(dataset(), context.progress).save(context.folder)

    defaults = kind().config
    return Step(name=artefact(name), build=fit, needs=(DATASET,), settings=defaults)
