"""What a suite is pointed at: a folder of data, or a workspace built from one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from llmrec.data.dataset import Dataset
from llmrec.data.read import read_dataset
from llmrec.workspace import Workspace
from llmrec.workspace.manifest import FILE


def read_source(source: str) -> Dataset:
    """The dataset of a data folder or of a workspace, under its own name."""
    if not _is_workspace(source):
        return read_dataset(Path(source))
    with _artefact(source) as artefact:
        return replace(read_dataset(artefact), name=_name(artefact))


def source_name(source: str) -> str:
    """What results call a source: the workspace's dataset, else the folder or file itself; "" for none."""
    if not _is_workspace(source):
        return Path(source).resolve().name if source else ""
    with _artefact(source) as artefact:
        return _name(artefact)


def _is_workspace(source: str) -> bool:
    return bool(source) and (Path(source) / FILE).exists()


@contextmanager
def _artefact(source: str) -> Iterator[Path]:
    from llmrec.agents.assistant.steps import DATASET

    with Workspace.open(Path(source)) as workspace:
        yield workspace.artefact(DATASET)


def _name(artefact: Path) -> str:
    from llmrec.agents.assistant.steps import ABOUT

    name: str = json.loads((artefact / ABOUT).read_text(encoding="utf-8"))["name"]
    return name
