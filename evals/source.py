"""What a suite is pointed at: a folder of data, or a workspace built from one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from llmrec.data.dataset import Dataset
from llmrec.data.read import read_dataset
from llmrec.workspace import Workspace
from llmrec.workspace.manifest import FILE


def read_source(source: str) -> Dataset:
    """The dataset of a data folder or of a workspace, under its own name."""
    folder = Path(source)
    if not (folder / FILE).exists():
        return read_dataset(folder)
    from llmrec.agents.assistant.steps import ABOUT, DATASET

    with Workspace.open(folder) as workspace:
        artefact = workspace.artefact(DATASET)
        name = json.loads((artefact / ABOUT).read_text(encoding="utf-8"))["name"]
        return replace(read_dataset(artefact), name=name)
