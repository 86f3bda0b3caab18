"""The files of one server that llmrec starts: its log, and the adapters that are published to it."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path

from llmrec.errors import EngineError
from llmrec.workspace.locks import FileLock, is_held

_KEPT = 3
"""Folders of earlier servers whose logs are kept."""
_PREFIX = "vllm-"
_ADAPTERS = "adapters"
_LOCK = "lock"


class RunFolder:
    """A folder of its own for each server, so that processes which share a workspace do not meet.

    It is locked while its process lives; what a process that was killed left is cleared up by the next one.
    """

    def __init__(self, parent: Path | None) -> None:
        """Make it below `parent`, or below a temporary folder that goes with it. `EngineError` where that fails."""
        self._temporary = parent is None
        try:
            above = Path(tempfile.mkdtemp(prefix="llmrec-")) if parent is None else parent
            self.path = above.absolute() / f"{_PREFIX}{secrets.token_hex(4)}"
            # Under another name until it is locked: without a lock it would be taken for one that was left behind.
            unlocked = self.path.with_name(f".{self.path.name}")
            (unlocked / _ADAPTERS).mkdir(parents=True)
            unlocked.chmod(0o700)
            self._lock = FileLock(unlocked / _LOCK)
            unlocked.rename(self.path)
            self._clear_up()
        except OSError as error:
            raise EngineError(
                f"the files of a vLLM server cannot be written below {parent or tempfile.gettempdir()} "
                f"({error.strerror}): check its permissions and space"
            ) from None

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.path / "server.log"

    @property
    def adapters(self) -> Path:
        """Where adapters are published."""
        return self.path / _ADAPTERS

    def last_words(self) -> str:
        """The last error that the server printed, or else its last line, shortened."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - (1 << 14)))
                lines = [line.strip() for line in file.read().decode(errors="replace").split("\n") if line.strip()]
        except OSError:
            return ""
        errors = [line for line in lines if "Error: " in line]
        return (errors or lines or [""])[-1][:200]

    def close(self) -> None:
        """Remove the adapters, and the whole where it is temporary; the log stays otherwise."""
        shutil.rmtree(self.adapters, ignore_errors=True)
        self._lock.release()
        if self._temporary:
            shutil.rmtree(self.path.parent, ignore_errors=True)

    def _clear_up(self) -> None:
        ended = [other for other in self.path.parent.glob(f"{_PREFIX}*") if not is_held(other / _LOCK)]
        ended.sort(key=lambda folder: folder.stat().st_mtime)
        for other in ended:
            shutil.rmtree(other / _ADAPTERS, ignore_errors=True)
        for other in ended[:-_KEPT]:
            shutil.rmtree(other, ignore_errors=True)
