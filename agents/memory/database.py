"""What the state store needs from a database, the tables in it, and guarded checkpointers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from llmrec import acts, filters, turn

T = TypeVar("T")
Rows = list[tuple[Any, ...]]

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE llmrec_turns (
            seq {identity}, owner TEXT NOT NULL, user_id TEXT NOT NULL, thread TEXT NOT NULL, message_id TEXT NOT NULL,
            request TEXT NOT NULL, turn TEXT NOT NULL, created DOUBLE PRECISION NOT NULL,
            UNIQUE (owner, user_id, thread, message_id))""",
        """CREATE TABLE llmrec_transcripts (
            owner TEXT NOT NULL, user_id TEXT NOT NULL, hash TEXT NOT NULL, thread TEXT NOT NULL,
            message_id TEXT NOT NULL, created DOUBLE PRECISION NOT NULL, PRIMARY KEY (owner, user_id, hash))""",
        """CREATE TABLE llmrec_memory (
            seq {identity}, owner TEXT NOT NULL, user_id TEXT NOT NULL, id TEXT NOT NULL, topic TEXT NOT NULL,
            target TEXT NOT NULL, thread TEXT NOT NULL, message_id TEXT NOT NULL, entry TEXT NOT NULL,
            UNIQUE (owner, user_id, id))""",
        """CREATE TABLE llmrec_live (
            seq BIGINT PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL, user_id TEXT NOT NULL,
            data TEXT NOT NULL, updated DOUBLE PRECISION NOT NULL, UNIQUE (kind, id))""",
        "CREATE TABLE llmrec_sequence (value BIGINT NOT NULL)",
        "INSERT INTO llmrec_sequence VALUES (0)",
    ),
)
"""Statements that lead from schema version n to n + 1. `{identity}` is a growing integer key."""


class Transaction(Protocol):
    """Statements that happen together; `?` marks a parameter in both databases."""

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a statement and return its rows."""
        ...

    async def execute(self, sql: str, *rows: Sequence[Any]) -> int:
        """Run a statement once for each row of parameters; returns how many rows of the table it touched."""
        ...


class Database(Protocol):
    """A database behind one URI. Failures raise `StateError`, never a library's exception."""

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run one query outside of any transaction."""
        ...

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction, committed when it returns; it may be run again, so it changes nothing else."""
        ...

    def checkpointer(self) -> BaseCheckpointSaver[Any]:
        """The LangGraph checkpointer on the same database, ready for use."""
        ...

    async def aclose(self) -> None: ...


async def migrate(transaction: Transaction, identity: str) -> None:
    """Bring the tables to the newest version; the caller makes sure that one process at a time does this."""
    await transaction.execute("CREATE TABLE IF NOT EXISTS llmrec_schema (version BIGINT NOT NULL)", ())
    rows = await transaction.fetch("SELECT version FROM llmrec_schema")
    version = int(rows[0][0]) if rows else 0
    if not rows:
        await transaction.execute("INSERT INTO llmrec_schema VALUES (0)", ())
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            await transaction.execute(statement.format(identity=identity), ())
    if version < len(MIGRATIONS):
        await transaction.execute("UPDATE llmrec_schema SET version = ?", (len(MIGRATIONS),))


def serializer() -> JsonPlusSerializer:
    """Reads back our own types and LangGraph's safe ones: what lies in the database cannot run other code."""
    ours = [
        (module.__name__, name)
        for module in (acts, filters, turn)
        for name, thing in vars(module).items()
        if isinstance(thing, type) and thing.__module__ == module.__name__
    ]
    return JsonPlusSerializer(allowed_msgpack_modules=ours)


class Guarded:
    """Before a LangGraph checkpointer: turns the database's exceptions into `StateError`."""

    guard: Callable[[], AbstractContextManager[None]]

    async def aget_tuple(self, config: Any) -> Any:
        with self.guard():
            return await super().aget_tuple(config)  # type: ignore[misc]

    async def alist(self, config: Any, **options: Any) -> AsyncIterator[Any]:
        # Collected first: the checkpointer holds its lock while it lists, and the caller may want to write.
        with self.guard():
            found = [checkpoint async for checkpoint in super().alist(config, **options)]  # type: ignore[misc]
        for checkpoint in found:
            yield checkpoint

    async def aput(self, *args: Any, **options: Any) -> Any:
        with self.guard():
            return await super().aput(*args, **options)  # type: ignore[misc]

    async def aput_writes(self, *args: Any, **options: Any) -> None:
        with self.guard():
            await super().aput_writes(*args, **options)  # type: ignore[misc]

    async def adelete_thread(self, thread_id: str) -> None:
        with self.guard():
            await super().adelete_thread(thread_id)  # type: ignore[misc]
