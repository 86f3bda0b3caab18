"""State in PostgreSQL, for several servers: one pool of connections; the extra `postgres` brings the driver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from llmrec.agents.memory.database import Guarded, Rows, T, Transaction, migrate, serializer
from llmrec.errors import MissingExtra, StateError, UserError
from llmrec.settings import redact

try:
    import psycopg
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row, tuple_row
    from psycopg_pool import AsyncConnectionPool
except ImportError as error:
    raise MissingExtra("postgres", "state in PostgreSQL") from error

CONNECTIONS = 8
PATIENCE = 10.0
"""Seconds to wait for the server or for a free connection."""
_ATTEMPTS = 3
_SETUP_LOCK = 0x6C6C6D726563  # "llmrec"


class _Connection:
    """`Transaction` on one connection."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        async with self._connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(_translate(sql), parameters)
            return await cursor.fetchall()

    async def execute(self, sql: str, *rows: Sequence[Any]) -> int:
        async with self._connection.cursor() as cursor:
            if len(rows) == 1:
                await cursor.execute(_translate(sql), rows[0])
            else:
                await cursor.executemany(_translate(sql), rows)
            return cursor.rowcount


class _Saver(Guarded, AsyncPostgresSaver):
    pass


class PostgresDatabase:
    """`Database` on a PostgreSQL server; give each workspace its own database or schema."""

    _saver: _Saver

    def __init__(self, uri: str) -> None:
        """Use `open`."""
        self._uri = uri
        self._pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            uri,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=PATIENCE,
            open=False,
            check=AsyncConnectionPool.check_connection,  # the server may have been restarted
            kwargs={"autocommit": True, "row_factory": dict_row, "connect_timeout": int(PATIENCE)},
        )

    @classmethod
    async def open(cls, uri: str) -> Self:
        """Connect and make the tables; `StateError` where the server cannot be reached or refuses."""
        database = cls(uri)
        with database._guard():
            # The pool retries silently until its timeout: one connection first says at once what is wrong.
            await (await psycopg.AsyncConnection.connect(uri, connect_timeout=int(PATIENCE))).close()
            try:
                await database._pool.open(wait=True, timeout=PATIENCE)
                await database._setup()
                database._saver = _Saver(database._pool, serde=serializer())
                database._saver.guard = database._guard
            except BaseException:
                await database._pool.close()
                raise
        return database

    async def _setup(self) -> None:
        async with self._pool.connection() as connection:
            # Tried again and again rather than waited for: LangGraph's setup builds indexes concurrently, which
            # waits for every open statement, also for one that waits for this lock.
            one = _Connection(connection)
            while not (await one.fetch("SELECT pg_try_advisory_lock(?)", (_SETUP_LOCK,)))[0][0]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            try:
                async with connection.transaction():
                    await migrate(one, "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
                await AsyncPostgresSaver(connection).setup()
            finally:
                await one.fetch("SELECT pg_advisory_unlock(?)", (_SETUP_LOCK,))

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        with self._guard():
            async with self._pool.connection() as connection:
                return await _Connection(connection).fetch(sql, parameters)

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        with self._guard():
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    async with self._pool.connection() as connection, connection.transaction():
                        return await work(_Connection(connection))
                except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
                    if attempt == _ATTEMPTS:
                        raise
        raise AssertionError("unreachable")

    def checkpointer(self) -> AsyncPostgresSaver:
        return self._saver

    async def aclose(self) -> None:
        await self._pool.close()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.DataError, UnicodeEncodeError):
            raise UserError("an id or text holds characters that cannot be stored, such as NUL: remove them") from None
        except psycopg.Error as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            where = redact(self._uri)
            raise StateError(f"the state in {where} cannot be used ({reason}): check that the server runs") from error


def _translate(sql: str) -> str:
    return sql.replace("?", "%s")
