"""Durable files: atomic replacement, syncing of trees, content records, disks that are full."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from llmrec.errors import WorkspaceError

TEMPORARY = ".tmp"
"""Folder for everything unfinished; a writer empties it first."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded", "File too large", "database or disk is full")
_DATABASES = (".sqlite", ".sqlite3", ".db")
_DATABASE_EXTRAS = ("-wal", "-shm", "-journal")


class FileRecord(BaseModel):
    """Size in bytes and SHA-256 of one file; a database, which its library rewrites when it reads, has neither."""

    model_config = ConfigDict(frozen=True)

    size: int | None
    sha256: str | None


def write_atomically(path: Path, data: bytes, *, unfinished: Path, mode: int = 0o644) -> None:
    """Replace `path` by `data`: after a crash it holds the old or the new content, never a mixture.

    `unfinished` is a path on the same file system that only this writer uses.
    """
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make one file, or the entries of one folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Make a folder with all its files durable."""
    for root, _, files in os.walk(folder):
        for name in files:
            sync(Path(root, name))
        sync(Path(root))


def remove_tree(folder: Path, *, temporary: Path) -> None:
    """Remove a folder so that no half of it is ever seen under its name."""
    temporary.mkdir(exist_ok=True)
    doomed = temporary / f"removed.{uuid.uuid4().hex}"
    with suppress(FileNotFoundError):
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def record_files(folder: Path) -> dict[str, FileRecord]:
    """Relative path to record of every file, sorted; the side files of databases are left out."""
    records = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.name.endswith(tuple(d + e for d in _DATABASES for e in _DATABASE_EXTRAS)):
            continue
        record = FileRecord(size=None, sha256=None)
        if path.suffix not in _DATABASES:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            record = FileRecord(size=path.stat().st_size, sha256=digest)
        records[path.relative_to(folder).as_posix()] = record
    return records


def has_files(folder: Path, records: dict[str, FileRecord]) -> bool:
    """Whether every recorded file is there with its size: the quick check."""
    for name, record in records.items():
        try:
            size = (folder / name).stat().st_size
        except OSError:
            return False
        if record.size is not None and size != record.size:
            return False
    return True


def file_problem(path: Path, record: FileRecord) -> str | None:
    """What is wrong with one file, or None: contents are compared, databases checked by SQLite."""
    if not path.is_file():
        return "is missing"
    try:
        if record.sha256 is None:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
                answer = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
            return None if answer == "ok" else "is a damaged database"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except sqlite3.DatabaseError:
        return "is a damaged database"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if digest == record.sha256 else "has changed since it was built"


class DiskFullError(WorkspaceError):
    """No more can be written; the workspace is what it was before."""


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an exception, or one that it came from, says that no more can be written."""
    while error is not None:
        if getattr(error, "errno", None) in _FULL or any(text in str(error) for text in _FULL_TEXTS):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def saying_disk_full(path: Path, doing: str) -> Iterator[None]:
    """Turn an error of a full disk into one sentence."""
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise DiskFullError(
                f"the disk was full while {doing} in {path}: free some space and run it again, nothing was lost"
            ) from error
        raise
