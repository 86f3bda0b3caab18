"""Locks and leases between processes, by `flock`: the kernel releases them when a process ends, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from llmrec.errors import WorkspaceError


class HeldError(WorkspaceError):
    """Another process holds the lock; `holder` is what it wrote about itself, maybe empty."""

    def __init__(self, holder: dict[str, Any]) -> None:
        super().__init__(f"held by process {holder.get('pid', 'unknown')}")
        self.holder = holder


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class FileLock:
    """An exclusive lock on a file, which holds a note about its holder. Not reentrant."""

    def __init__(self, path: Path) -> None:
        """Take the lock at once, or raise `HeldError`."""
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _try_lock(self._handle, fcntl.LOCK_EX):
            holder = _read_note(self._handle)
            os.close(self._handle)
            raise HeldError(holder)
        _write_note(self._handle, {"pid": os.getpid()})

    @property
    def held(self) -> bool:
        return self._handle >= 0

    def release(self) -> None:
        """Give the lock back; the file stays."""
        if self.held:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Whether some process holds the `FileLock` on this path."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


class Lease:
    """A reader's word that it uses some folders: a locked file that lists them."""

    def __init__(self, leases: Path, folders: Sequence[str]) -> None:
        self._handle, self._pid = -1, os.getpid()
        leases.mkdir(exist_ok=True)
        while True:
            self._path = leases / uuid.uuid4().hex
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            _write_note(self._handle, {"pid": os.getpid(), "folders": sorted(folders)})
            # Between creation and lock the file looked abandoned, and `leased` may have removed it.
            if self._path.exists():
                return
            os.close(self._handle)

    def release(self) -> None:
        """End the lease; safe to call twice."""
        if self._handle >= 0:
            if os.getpid() == self._pid:  # not in a forked child, whose parent still reads
                self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1

    def __del__(self) -> None:
        self.release()


def leased(leases: Path) -> set[str]:
    """All folders that living readers use; leases of processes that died are removed."""
    folders: set[str] = set()
    for path in leases.iterdir() if leases.is_dir() else ():
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            if _try_lock(handle, fcntl.LOCK_EX):
                path.unlink(missing_ok=True)
            else:
                folders.update(_read_note(handle).get("folders", ()))
        finally:
            os.close(handle)
    return folders


def _write_note(handle: int, note: dict[str, Any]) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(note).encode(), 0)


def _read_note(handle: int) -> dict[str, Any]:
    try:
        return dict(json.loads(os.pread(handle, 1 << 20, 0)))
    except ValueError:  # its holder is just writing it
        return {}
