"""The server of a workspace: how commands beside it find it, and how a second one is refused."""

from __future__ import annotations

import json
import os
import secrets
import time
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmrec.errors import WorkspaceError
from llmrec.workspace.files import write_atomically
from llmrec.workspace.locks import FileLock, HeldError, is_held

FILE = "server.json"
LOCK = ".server.lock"


class Server(BaseModel):
    """A running server, as `server.json` (readable by its owner only) describes it."""

    model_config = ConfigDict(frozen=True)

    address: str
    """Base URL, such as `http://127.0.0.1:7860`."""
    pid: int
    token: str = Field(repr=False)
    """Bearer token that the server takes from commands on the same machine; it may act for every user."""


class Announcement:
    """A server's claim on its workspace; held until `close` or the end of the process."""

    def __init__(self, workspace: Path, address: str) -> None:
        self._file = workspace / FILE
        self._lock = _claim(workspace)
        self.server = Server(address=address, pid=os.getpid(), token=secrets.token_urlsafe(32))
        try:
            data = json.dumps(self.server.model_dump()).encode()
            write_atomically(self._file, data, unfinished=workspace / f".{FILE}", mode=0o600)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Withdraw the announcement; safe to call twice."""
        if self._lock.held:
            self._file.unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _claim(workspace: Path) -> FileLock:
    for wait in (0.05,) * 8 + (0.0,):
        try:
            return FileLock(workspace / LOCK)
        except HeldError as held:
            holder = held.holder
        time.sleep(wait)  # a command that looks whether a server lives holds the lock for an instant
    server = find_server(workspace)
    where = f" at {server.address}" if server else ""
    raise WorkspaceError(
        f"the workspace {workspace} is already served by process {holder.get('pid', 'unknown')}{where}: "
        "use that server, or stop it first"
    )


def find_server(workspace: Path) -> Server | None:
    """The living server of a workspace, or None; a file left by a server that died does not count."""
    if not is_held(workspace / LOCK):
        return None
    try:
        return Server.model_validate_json((workspace / FILE).read_bytes())
    except (OSError, ValidationError):  # it is just starting or stopping
        return None
