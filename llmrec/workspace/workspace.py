"""`Workspace`: the front door in Python. It knows artefacts only; what they mean is for the floors above."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from llmrec.contracts import Progress, no_progress
from llmrec.errors import UnknownName, UserError, WorkspaceError
from llmrec.workspace import build as building
from llmrec.workspace import server as serving
from llmrec.workspace.files import TEMPORARY, file_problem, saying_disk_full
from llmrec.workspace.locks import FileLock, HeldError, Lease
from llmrec.workspace.manifest import FILE, Manifest, Record, read_manifest, read_record, record_digest, write_manifest
from llmrec.workspace.server import Announcement, Server
from llmrec.workspace.step import PRECIOUS, Step, in_order

SETTINGS_FILE = "llmrec.toml"
_LOCK = ".lock"
_ALLOWED_BEFORE = PRECIOUS | {SETTINGS_FILE, TEMPORARY, _LOCK, building.LEASES, serving.LOCK, serving.FILE}


class Workspace:
    """A view of a workspace as its manifest was when it was opened.

    As long as the view lives (until `close`, or the end of the process), no build removes its artefacts. A server
    asks `changed()` now and then, and opens the workspace anew to switch to the result of a rebuild.
    """

    def __init__(self, path: Path) -> None:
        """Use `open` or `create`."""
        self.path = path
        self._lease: Lease | None = None
        self._read()

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a workspace that was built; `UserError` where there is none, `WorkspaceError` where it is damaged."""
        workspace = cls(Path(path))
        if not workspace.names:
            workspace.close()
            raise UserError(f"the workspace {path} is empty: build it with 'llmrec build DATA -w {path}'")
        return workspace

    @classmethod
    def create(cls, path: Path | str) -> Self:
        """Open a workspace to build it; makes the folder where it is absent. A folder with other things is refused."""
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file: name a folder for the workspace")
        if not (path / FILE).exists():
            others = sorted(entry.name for entry in path.iterdir() if path.is_dir()) if path.exists() else []
            if any(name not in _ALLOWED_BEFORE for name in others):
                raise UserError(f"{path} holds other files and is no workspace: name an empty or new folder")
            try:
                path.mkdir(parents=True, exist_ok=True)
                with saying_disk_full(path, "making the workspace"), _writing(path):
                    if not (path / FILE).exists():
                        write_manifest(path, Manifest())
            except OSError as error:
                raise WorkspaceError(
                    f"cannot make a workspace at {path} ({error.strerror}): name another folder"
                ) from None
        return cls(path)

    def close(self) -> None:
        """Let go of the artefacts; safe to call twice."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- Reading ------------------------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """Names of all artefacts, `kind/name`, sorted."""
        return sorted(self._manifest.artefacts)

    def has(self, name: str) -> bool:
        """Whether the workspace has this artefact."""
        return name in self._manifest.artefacts

    def artefact(self, name: str) -> Path:
        """The folder of an artefact; `UnknownName` where the workspace has none of this name."""
        pointer = self._manifest.artefacts.get(name)
        if pointer is None:
            near = difflib.get_close_matches(name, self.names, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.names) or 'none'}"
            raise UnknownName(f"the workspace {self.path} has no artefact {name!r}: {hint}")
        return self.path / pointer.folder

    def record(self, name: str) -> Record:
        """Version, settings, needs and files of an artefact."""
        record = read_record(self.artefact(name))
        if record is None:
            raise WorkspaceError(f"the artefact {name} of the workspace {self.path} is damaged: rebuild it")
        return record

    @property
    def state_folder(self) -> Path:
        """The folder for conversations and memory, made where it is absent; no build touches it."""
        folder = self.path / "state"
        folder.mkdir(exist_ok=True)
        return folder

    def changed(self) -> bool:
        """Whether a build has replaced the manifest since this view was opened; one `stat`, cheap enough to poll."""
        return _signature(self.path) != self._signature

    def verify(self, progress: Progress = no_progress) -> list[str]:
        """Check every file of every artefact; one sentence for each problem, none where all is well."""
        problems = []
        for done, name in enumerate(self.names):
            progress(f"verify {name}", done, len(self.names))
            folder = self.artefact(name)
            record = read_record(folder)
            if record is None or record_digest(folder) != self._manifest.artefacts[name].record:
                problems.append(f"{name}: its record is missing or damaged: rebuild it")
                continue
            for file, expected in record.files.items():
                if problem := file_problem(folder / file, expected):
                    problems.append(f"{name}: the file {file} {problem}: rebuild it")
        return problems

    # --- Writing ------------------------------------------------------------------------------------------------------

    def build(
        self,
        steps: Sequence[Step],
        progress: Progress = no_progress,
        rebuild: bool | Collection[str] = False,
        *,
        keep: bool | Collection[str] = False,
        patience: float = 0.0,
    ) -> building.BuildReport:
        """Make the workspace hold the artefacts of `steps`, and remove versions that nobody uses any more.

        What is complete already is reused, also from a build that was killed; what is damaged is built again, as are
        the artefacts named in `rebuild` (all, where it is True). Other artefacts go, except those named in `keep` (all
        stay, where it is True). Until the end the workspace is what it was before, and it stays that where a step
        fails. `patience`: seconds to wait for another process that writes.
        """
        ordered = in_order(steps)
        names = {step.name for step in ordered}
        forced = names if rebuild is True else set(rebuild or ())
        if unknown := forced - names:
            raise UnknownName(f"cannot rebuild {', '.join(sorted(unknown))}: the steps are {', '.join(sorted(names))}")
        with _writing(self.path, patience), saying_disk_full(self.path, "building"):
            old = read_manifest(self.path)
            wanted = old.artefacts.keys() if keep is True else set(keep or ())
            kept = {name: old.artefacts[name] for name in old.artefacts if name in wanted - names}
            _, reports = building.build_steps(self.path, old, ordered, forced, kept, progress)
            self._read()
            removed = building.prune(self.path, self._manifest)
        return building.BuildReport(tuple(reports), tuple(removed))

    def prune(self) -> list[str]:
        """Remove versions that nobody uses any more, such as those that a server held during the last build."""
        with _writing(self.path):
            return building.prune(self.path, read_manifest(self.path))

    # --- Serving ------------------------------------------------------------------------------------------------------

    def announce(self, address: str) -> Announcement:
        """Claim the workspace for the server at this base URL; `WorkspaceError` where another one serves it."""
        return Announcement(self.path, address)

    def server(self) -> Server | None:
        """The server that serves this workspace now, or None."""
        return serving.find_server(self.path)

    def _read(self) -> None:
        """Read the manifest and lease its artefacts, so that it is sure that they were there after the lease began."""
        while True:
            signature = _signature(self.path)
            manifest = read_manifest(self.path)
            lease = _lease(self.path, manifest)
            if _signature(self.path) == signature:
                break
            if lease is not None:
                lease.release()
        self.close()
        self._signature, self._manifest, self._lease = signature, manifest, lease


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = (path / FILE).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _lease(path: Path, manifest: Manifest) -> Lease | None:
    try:
        return Lease(path / building.LEASES, manifest.folders())
    except OSError as error:
        # A workspace that this process may only read cannot be pruned by its own user either.
        if os.access(path, os.W_OK):
            with saying_disk_full(path, "opening the workspace"):
                raise WorkspaceError(f"the workspace {path} cannot be opened ({error.strerror})") from error
        return None


@contextmanager
def _writing(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the writer's lock."""
    deadline = time.monotonic() + patience
    try:
        with saying_disk_full(path, "locking the workspace"):
            while True:
                try:
                    lock = FileLock(path / _LOCK)
                    break
                except HeldError:
                    if time.monotonic() >= deadline:
                        raise
                time.sleep(0.1)
    except HeldError as held:
        pid = held.holder.get("pid", "unknown")
        raise WorkspaceError(f"the workspace {path} is being written by process {pid}: wait until it ends") from None
    except OSError as error:
        raise WorkspaceError(
            f"the workspace {path} cannot be written ({error.strerror}): check its permissions"
        ) from error
    with lock:
        yield
