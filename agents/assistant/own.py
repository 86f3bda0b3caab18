"""A workspace's own language model: which one it is, without loading it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmrec.agents.assistant import steps
from llmrec.workspace import Workspace


@dataclass(frozen=True)
class OwnModel:
    """A workspace's own language model."""

    folder: Path
    name: str
    """The preset, or what it was continued from."""
    stale: bool
    """Whether the workspace has been built from other data since."""

    @property
    def uri(self) -> str:
        return f"transformers:{self.folder}"


def own_model(workspace: Workspace) -> OwnModel | None:
    """The workspace's own language model, None where it has none."""
    if not workspace.has(steps.LANGUAGE):
        return None
    settings = workspace.record(steps.LANGUAGE).settings
    base = str(settings["base"])
    return OwnModel(
        folder=workspace.artefact(steps.LANGUAGE).resolve(),
        name=Path(base).name,
        stale=settings["dataset"] != fingerprint_of(workspace),
    )


def fingerprint_of(workspace: Workspace) -> str:
    """Of the data that the workspace was built from."""
    return str(workspace.record(steps.DATASET).settings["fingerprint"])
