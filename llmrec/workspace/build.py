"""Building: steps become artefacts one by one, and the manifest is replaced once at the end."""

from __future__ import annotations

import resource
import shutil
import sys
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from llmrec.contracts import Progress
from llmrec.errors import LlmrecError, WorkspaceError
from llmrec.workspace.files import TEMPORARY, has_files, record_files, remove_tree, saying_disk_full, sync, sync_tree
from llmrec.workspace.locks import leased
from llmrec.workspace.manifest import (
    RECORD,
    Manifest,
    Pointer,
    Record,
    read_record,
    record_digest,
    write_manifest,
    write_record,
)
from llmrec.workspace.step import PRECIOUS, Step, StepContext, artefact_hashes

LEASES = ".leases"


@dataclass(frozen=True)
class StepReport:
    """How one step went; `peak_mb` is the highest resident memory of the process during it, in megabytes."""

    name: str
    status: Literal["built", "reused"]
    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class BuildReport:
    """How a build went, step by step."""

    steps: tuple[StepReport, ...]
    removed: tuple[str, ...]
    """Folders of old versions that were removed."""

    @property
    def built(self) -> list[str]:
        return [step.name for step in self.steps if step.status == "built"]

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    @property
    def peak_mb(self) -> float:
        return max((step.peak_mb for step in self.steps), default=0.0)


def build_steps(
    workspace: Path,
    old: Manifest,
    ordered: Sequence[Step],
    forced: Collection[str],
    kept: Mapping[str, Pointer],
    progress: Progress,
) -> tuple[Manifest, list[StepReport]]:
    """Build or find every artefact and point the manifest to them and to those that are `kept`. The caller holds the
    writer's lock."""
    shutil.rmtree(workspace / TEMPORARY, ignore_errors=True)
    hashes = artefact_hashes(ordered)
    folders: dict[str, Path] = {}
    reports: list[StepReport] = []
    for done, step in enumerate(ordered):
        progress(step.name, done, len(ordered))
        reset_peak()
        started = time.perf_counter()
        found = None if step.name in forced else _find(workspace, old, step, hashes[step.name])
        if found is None:
            found = _place(workspace, old, step, hashes[step.name])
            inputs = {need: folders[need] for need in step.needs}
            _build_step(workspace, step, found, hashes, inputs, progress)
            status: Literal["built", "reused"] = "built"
        else:
            status = "reused"
        folders[step.name] = found
        reports.append(StepReport(step.name, status, time.perf_counter() - started, peak_mb()))
    pointers = {
        name: Pointer(folder=folder.relative_to(workspace).as_posix(), record=record_digest(folder))
        for name, folder in folders.items()
    }
    manifest = Manifest(artefacts=dict(sorted({**kept, **pointers}.items())))
    if manifest != old:
        write_manifest(workspace, manifest)
    progress("done", len(ordered), len(ordered))
    return manifest, reports


def _find(workspace: Path, manifest: Manifest, step: Step, digest: str) -> Path | None:
    """A complete artefact of this hash: the manifest's, or one that an interrupted build left."""
    pointer = manifest.artefacts.get(step.name)
    candidates = [workspace / pointer.folder] if pointer else []
    candidates += sorted((workspace / step.name).glob(f"{digest}*"))
    for folder in candidates:
        record = read_record(folder)
        if record is not None and record.hash == digest and has_files(folder, record.files):
            return folder
    return None


def _place(workspace: Path, manifest: Manifest, step: Step, digest: str) -> Path:
    """Where to put a new artefact: never where the manifest or a reader still looks."""
    in_use = {*manifest.folders(), *leased(workspace / LEASES)}
    for revision in count():
        folder = workspace / step.name / (digest if revision == 0 else f"{digest}.{revision}")
        if folder.relative_to(workspace).as_posix() not in in_use:
            remove_tree(folder, temporary=workspace / TEMPORARY)
            return folder
    raise AssertionError("unreachable")


def _build_step(
    workspace: Path, step: Step, target: Path, hashes: Mapping[str, str], inputs: Mapping[str, Path], progress: Progress
) -> None:
    unfinished = workspace / TEMPORARY / uuid.uuid4().hex
    try:
        with saying_disk_full(workspace, f"building {step.name}"):
            unfinished.mkdir(parents=True)
            step.build(StepContext(unfinished, inputs, _prefixed(progress, step.name)))
            if (unfinished / RECORD).exists():
                raise WorkspaceError(f"the step {step.name} wrote a file named {RECORD}: give it another name")
            record = Record(
                name=step.name,
                hash=hashes[step.name],
                version=step.version,
                settings=step.settings_json(),
                needs={need: hashes[need] for need in step.needs},
                files=record_files(unfinished),
            )
            write_record(unfinished, record)
            sync_tree(unfinished)
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished.rename(target)
            for folder in (target.parent, target.parent.parent, workspace):
                sync(folder)
    except LlmrecError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise WorkspaceError(f"building {step.name} failed ({reason}): the workspace is unchanged") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        _remove_if_empty(target.parent, target.parent.parent)


def _prefixed(progress: Progress, name: str) -> Progress:
    def inner(what: str, done: int, total: int) -> None:
        progress(f"{name}: {what}", done, total)

    return inner


def prune(workspace: Path, manifest: Manifest) -> list[str]:
    """Remove artefacts that neither the manifest nor a living reader uses; returns their folders."""
    kept = {*manifest.folders(), *leased(workspace / LEASES)}
    removed = []
    for folder in _artefact_folders(workspace):
        name = folder.relative_to(workspace).as_posix()
        if name not in kept:
            remove_tree(folder, temporary=workspace / TEMPORARY)
            removed.append(name)
            _remove_if_empty(folder.parent, folder.parent.parent)
    shutil.rmtree(workspace / TEMPORARY, ignore_errors=True)
    return removed


def _artefact_folders(workspace: Path) -> Iterator[Path]:
    """All `<kind>/<name>/<hash>` that hold a record, except in what is precious."""
    for record in sorted(workspace.glob(f"[a-z]*/*/*/{RECORD}")):
        if record.relative_to(workspace).parts[0] not in PRECIOUS:
            yield record.parent


def _remove_if_empty(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def reset_peak() -> None:
    """Forget the highest memory so far, where the system can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Highest resident memory of this process since `reset_peak`, or since its start where that cannot be told."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
