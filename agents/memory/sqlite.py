"""State in one SQLite file: WAL, one connection that writes and one that reads."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from llmrec.agents.memory.database import Guarded, Rows, T, Transaction, migrate, serializer
from llmrec.errors import StateError, UserError

PATIENCE = 5.0
"""Seconds to wait for a lock that another process holds; SQLite retries in between."""


class _Turnstile(asyncio.Lock):
    """One writer at a time in this process; waiting ends with an error, so that a stuck file does not pile up turns."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__()
        self._path, self._seconds = path, seconds

    async def __aenter__(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self.acquire()
        except TimeoutError:
            raise StateError(_locked(self._path)) from None


class _Connection:
    """`Transaction` on the writing connection."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        return [tuple(row) for row in await self._connection.execute_fetchall(sql, parameters)]

    async def execute(self, sql: str, *rows: Sequence[Any]) -> int:
        if len(rows) == 1:
            return (await self._connection.execute(sql, rows[0])).rowcount
        return (await self._connection.executemany(sql, rows)).rowcount


class _Saver(Guarded, AsyncSqliteSaver):
    pass


class SqliteDatabase:
    """`Database` in a file that several processes may use at once."""

    _writer: aiosqlite.Connection
    _reader: aiosqlite.Connection
    _saver: _Saver

    def __init__(self, path: Path, patience: float) -> None:
        """Use `open`."""
        self._path, self._patience = path, patience
        self._turnstile = _Turnstile(path, 2 * patience)

    @classmethod
    async def open(cls, path: Path, patience: float = PATIENCE) -> Self:
        """Open or make the file, readable by its owner only; `StateError` where that is impossible."""
        database = cls(path, patience)
        with database._guard():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            database._writer = await aiosqlite.connect(path, isolation_level=None, timeout=patience)
            try:
                await database._become_wal()
                await database._writer.execute("PRAGMA synchronous=NORMAL")
                await database.write(lambda t: migrate(t, "INTEGER PRIMARY KEY AUTOINCREMENT"))
                database._saver = _Saver(database._writer, serde=serializer())
                database._saver.lock = database._turnstile
                database._saver.guard = database._guard
                await database._saver.setup()
                database._reader = await aiosqlite.connect(path, isolation_level=None, timeout=patience)
                await database._reader.execute("PRAGMA query_only=ON")
            except BaseException:
                await database._writer.close()
                raise
        return database

    async def _become_wal(self) -> None:
        # SQLite does not wait by itself when two processes switch the mode of a new file at once.
        for pause in (0.02, 0.05, 0.1, 0.2, 0.5, None):
            try:
                await self._writer.execute_fetchall("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if pause is None or "locked" not in str(error):
                    raise
                await asyncio.sleep(pause)

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        with self._guard():
            return [tuple(row) for row in await self._reader.execute_fetchall(sql, parameters)]

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        # Shielded: a client that leaves must not end a transaction in its middle.
        return await asyncio.shield(self._write(work))

    async def _write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        with self._guard():
            async with self._turnstile:
                try:
                    await self._writer.execute("BEGIN IMMEDIATE")
                    result = await work(_Connection(self._writer))
                    await self._writer.execute("COMMIT")
                    return result
                except BaseException:
                    with suppress(sqlite3.OperationalError, ValueError):  # nothing was begun, or it is closed
                        await self._writer.execute("ROLLBACK")
                    raise

    def checkpointer(self) -> AsyncSqliteSaver:
        return self._saver

    async def aclose(self) -> None:
        async with self._turnstile:
            await self._writer.close()
            await self._reader.close()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StateError(_explain(self._path, error)) from error
        except UnicodeEncodeError:
            raise UserError("an id or text holds characters that cannot be stored: remove them") from None
        except ValueError as error:
            if "onnection" in str(error):  # aiosqlite: "Connection closed", "no active connection"
                raise StateError(f"the state database {self._path} is closed: open it again") from None
            raise


def _locked(path: Path) -> str:
    return f"the state database {path} is locked by another process: try again, or end that process"


def _explain(path: Path, error: Exception) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return _locked(path)
    if "full" in text or "No space" in text:
        return f"the disk is full, so the state database {path} cannot be written: free some space"
    if "not a database" in text or "malformed" in text:
        return f"the state database {path} is damaged: restore a backup, or move it away to begin anew"
    return f"the state database {path} cannot be used ({text}): check the file and its permissions"
