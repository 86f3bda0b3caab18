"""Steps: what a build consists of, their order and the hashes that name their artefacts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from llmrec.contracts import Progress
from llmrec.errors import WorkspaceError

PRECIOUS = frozenset({"state", "adapters", "feedback"})
"""Folders of a workspace that no build touches."""

_NAME = re.compile(r"[a-z][a-z0-9_-]*/[a-z0-9][a-z0-9_.-]*")


@dataclass(frozen=True)
class StepContext:
    """What a step's `build` gets."""

    folder: Path
    """An empty folder for the artefact. It is renamed afterwards: write no absolute paths, close all files."""
    inputs: Mapping[str, Path]
    """The folder of every artefact in `needs`, by step name; read only."""
    progress: Progress


@dataclass(frozen=True)
class Step:
    """One artefact to build.

    The artefact is named by a hash over `name`, `version`, `settings` and the hashes of `needs`; a root step puts the
    fingerprint of its data into its settings. Raise `version` when the code changes what it writes.
    """

    name: str
    """`kind/name`, such as `retrieval/ease`."""
    _: KW_ONLY
    build: Callable[[StepContext], None]
    needs: tuple[str, ...] = ()
    settings: BaseModel | Mapping[str, Any] = field(default_factory=dict)
    """JSON-able, kept in the artefact's record."""
    version: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name.split("/")[0] in PRECIOUS:
            raise ValueError(f"a step is named kind/name, in lower case, in no precious folder: not {self.name!r}")

    def settings_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        if isinstance(self.settings, BaseModel):
            return self.settings.model_dump(mode="json")
        return json.loads(json.dumps(dict(self.settings), allow_nan=False))


def in_order(steps: Sequence[Step]) -> list[Step]:
    """The steps with every need before its user, otherwise in the given order."""
    by_name = {step.name: step for step in steps}
    if len(by_name) != len(steps):
        raise WorkspaceError("two steps have the same name: give each its own")
    for step in steps:
        for need in step.needs:
            if need not in by_name:
                raise WorkspaceError(f"the step {step.name} needs {need}, which is not among the steps: add it")
    try:
        return [by_name[name] for name in TopologicalSorter({s.name: s.needs for s in steps}).static_order()]
    except CycleError as error:
        raise WorkspaceError(f"the steps need each other in a circle: {' -> '.join(error.args[1])}") from None


def artefact_hashes(ordered: Sequence[Step]) -> dict[str, str]:
    """Step name to the hash of its artefact: 16 hex digits of SHA-256."""
    hashes: dict[str, str] = {}
    for step in ordered:
        content = {
            "name": step.name,
            "version": step.version,
            "settings": step.settings_json(),
            "needs": {need: hashes[need] for need in step.needs},
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        hashes[step.name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return hashes
