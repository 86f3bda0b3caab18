"""The manifest: the only pointer to a workspace's artefacts, with a format version and migrations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmrec.errors import UserError, WorkspaceError
from llmrec.workspace.files import TEMPORARY, FileRecord, write_atomically

FORMAT = 1
FILE = "manifest.json"
RECORD = "artefact.json"

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From the content of a manifest of format n to that of format n + 1; applied on reading, written by the next build."""


class Pointer(BaseModel):
    """Where an artefact lies, relative to the workspace, and the SHA-256 of its record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    record: str


class Manifest(BaseModel):
    """Step name to artefact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    artefacts: dict[str, Pointer] = Field(default_factory=dict)

    def folders(self) -> list[str]:
        return [pointer.folder for pointer in self.artefacts.values()]


class Record(BaseModel):
    """What an artefact says about itself: `artefact.json` in its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    hash: str
    version: int
    settings: dict[str, Any]
    needs: dict[str, str]
    files: dict[str, FileRecord]


def read_manifest(workspace: Path) -> Manifest:
    """Read and migrate; `UserError` where there is no workspace, `WorkspaceError` where it cannot be understood."""
    try:
        content = json.loads((workspace / FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"there is no workspace at {workspace}: make one with 'llmrec build DATA -w {workspace}'"
        ) from None
    except (OSError, ValueError) as error:
        raise WorkspaceError(_unreadable(workspace, error)) from None
    version = content.get("format") if isinstance(content, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise WorkspaceError(f"the workspace {workspace} was made by a newer llmrec: upgrade llmrec, or build it again")
    try:
        while isinstance(version, int) and version < FORMAT:
            content = MIGRATIONS[version](content) | {"format": version + 1}
            version += 1
        return Manifest.model_validate(content)
    except (KeyError, ValidationError) as error:
        raise WorkspaceError(_unreadable(workspace, error)) from None


def _unreadable(workspace: Path, error: Exception) -> str:
    reason = str(error).splitlines()[0]
    return f"the manifest of the workspace {workspace} cannot be read ({reason}): remove {FILE} and build it again"


def write_manifest(workspace: Path, manifest: Manifest) -> None:
    """Replace the manifest atomically; only the holder of the writer's lock does."""
    (workspace / TEMPORARY).mkdir(exist_ok=True)
    data = manifest.model_dump_json(indent=1).encode() + b"\n"
    write_atomically(workspace / FILE, data, unfinished=workspace / TEMPORARY / FILE)


def write_record(folder: Path, record: Record) -> None:
    """Write `artefact.json` into a finished artefact."""
    (folder / RECORD).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_record(folder: Path) -> Record | None:
    """The artefact's record, or None where it is absent or unreadable."""
    try:
        return Record.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        return None


def record_digest(folder: Path) -> str:
    """SHA-256 of the artefact's record, hex."""
    return hashlib.sha256((folder / RECORD).read_bytes()).hexdigest()
