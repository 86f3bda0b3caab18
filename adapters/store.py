"""`AdapterStore`: named adapters in one folder; in a workspace its `adapters`, which no build touches.

    <store>/<hash of the name>/adapter.json        the pointer: replaced atomically, holds the name
    <store>/<hash of the name>/<version>/          an immutable PEFT folder

Names stay out of paths, and a version is never used twice, so caches can be keyed by `StoredAdapter.version`.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from llmrec.adapters.check import FILES, check_adapter, check_files, open_plain
from llmrec.errors import UnknownName, UserError, WorkspaceError
from llmrec.workspace.files import (
    TEMPORARY,
    FileRecord,
    has_files,
    record_files,
    remove_tree,
    saying_disk_full,
    sync,
    sync_tree,
    write_atomically,
)
from llmrec.workspace.locks import FileLock, HeldError

POINTER = "adapter.json"
_LOCK = ".lock"
_PATIENCE = 60.0  # seconds to wait for another writer, who needs a moment for each adapter

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}(:[^\s/\\]{1,200})?")


class StoredAdapter(BaseModel):
    """What the store knows of one adapter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str
    version: str
    """32 hex digits, new with every `add`."""
    base: str
    """Folder or hub name of the model that it was trained on."""
    rank: int
    """The largest rank of its matrices."""
    target_modules: tuple[str, ...]
    added: AwareDatetime
    files: dict[str, FileRecord]

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(record.size or 0 for record in self.files.values())


def is_name(name: str) -> bool:
    """Whether this can name an adapter: `search`, `user:42`."""
    return bool(_NAME.fullmatch(name)) and name.isprintable()


class AdapterStore:
    """Adds, lists, removes and resolves named adapters (`contracts.AdapterSource`); safe between processes.

    A reader needs no lock: what `resolve` returned stays until the adapter is removed or replaced twice.
    """

    def __init__(self, folder: Path | str) -> None:
        """Nothing is made before the first `add`; an absent folder is an empty store."""
        self.folder = Path(folder).absolute()

    def list(self) -> Sequence[StoredAdapter]:
        """All adapters, by name."""
        found = (self._read(path) for path in self.folder.glob(f"*/{POINTER}"))
        return sorted((adapter for adapter in found if adapter), key=lambda adapter: adapter.name)

    def get(self, name: str) -> StoredAdapter | None:
        """The adapter of this name, or None."""
        return self._read(self._home(name) / POINTER) if is_name(name) else None

    def resolve(self, name: str) -> Path | None:
        """The PEFT folder of the adapter's version in force, or None where the store has no such name."""
        adapter = self.get(name)
        if adapter is None:
            return None
        folder = self._home(name) / adapter.version
        if not has_files(folder, adapter.files):
            if self.get(name) != adapter:  # it was replaced or removed since
                return self.resolve(name)
            raise WorkspaceError(f"the stored files of the adapter {name!r} are damaged: add it again with --replace")
        return folder

    def add(
        self, name: str, peft_folder: Path | str, base: str | Path | None = None, *, replace: bool = False
    ) -> StoredAdapter:
        """Check a PEFT folder (trained on `base` where that is given), copy its two files, switch the name to them.

        `UserError` where the adapter, its name, or a name already taken speak against it. Whatever fails, the store
        is as it was.
        """
        if not is_name(name):
            raise UserError(f"{name[:80]!r} cannot name an adapter: use a name such as search or user:42")
        home = self._home(name)
        with self._writing(f"adding the adapter {name}") as temporary:
            before = self._read(home / POINTER)
            if before and not replace:
                raise UserError(f"there is an adapter {name!r} already: choose another name, or replace it (--replace)")
            check_files(Path(peft_folder))
            # The copy is what is checked in depth, so the source cannot change in between.
            copy = temporary / "copy"
            copy.mkdir()
            for file in FILES:
                with open_plain(Path(peft_folder) / file) as source, (copy / file).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
            facts = check_adapter(copy, base)
            adapter = StoredAdapter(
                name=name,
                version=uuid.uuid4().hex,
                base=facts.base,
                rank=facts.rank,
                target_modules=facts.target_modules,
                added=datetime.now(UTC),
                files=record_files(copy),
            )
            sync_tree(copy)
            self._publish(adapter, copy, temporary)
            kept = {POINTER, adapter.version, before.version if before else ""}
            for old in [path for path in home.iterdir() if path.name not in kept]:
                remove_tree(old, temporary=temporary)
        return adapter

    def remove(self, name: str) -> None:
        """Forget an adapter and delete all its versions; `UnknownName` where there is none.

        An engine that has loaded it keeps what it has in memory.
        """
        home = self._home(name)
        with self._writing(f"removing the adapter {name}") as temporary:
            if not (home / POINTER).exists():
                known = [adapter.name for adapter in self.list()]
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]}?" if near else "llmrec adapters list shows what there is"
                raise UnknownName(f"there is no adapter {name!r}: {hint}")
            remove_tree(home, temporary=temporary)
            sync(self.folder)

    def _home(self, name: str) -> Path:
        return self.folder / hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]

    def _read(self, pointer: Path) -> StoredAdapter | None:
        try:
            return StoredAdapter.model_validate_json(pointer.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            raise WorkspaceError(
                f"{pointer} is damaged: remove that adapter, or its folder, and add it again"
            ) from None

    def _publish(self, adapter: StoredAdapter, copy: Path, temporary: Path) -> None:
        home = self._home(adapter.name)
        version = home / adapter.version
        try:
            home.mkdir(exist_ok=True)
            copy.rename(version)
            for folder in (home, self.folder):
                sync(folder)
            content = adapter.model_dump_json(indent=1).encode()
            write_atomically(home / POINTER, content, unfinished=temporary / "pointer")
        except BaseException:
            remove_tree(version, temporary=temporary)
            with suppress(OSError):
                home.rmdir()
            raise

    @contextmanager
    def _writing(self, doing: str) -> Iterator[Path]:
        """Hold the writer's lock; yields an empty folder for what is unfinished."""
        temporary = self.folder / TEMPORARY
        try:
            with saying_disk_full(self.folder, doing):
                self.folder.mkdir(parents=True, exist_ok=True)
                with self._lock():
                    shutil.rmtree(temporary, ignore_errors=True)  # of a writer that was killed
                    temporary.mkdir()
                    try:
                        yield temporary
                    finally:
                        shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise WorkspaceError(
                f"the adapter store {self.folder} cannot be written ({error.strerror}): check its permissions"
            ) from error

    def _lock(self) -> FileLock:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return FileLock(self.folder / _LOCK)
            except HeldError as held:
                if time.monotonic() > deadline:
                    pid = held.holder.get("pid", "unknown")
                    raise WorkspaceError(
                        f"the adapter store {self.folder} is being written by process {pid}: wait until it ends"
                    ) from None
            time.sleep(0.02)
