"""What goes wrong with databases: locked, damaged, unreachable, full, closed, without their driver."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
import time
from pathlib import Path

import pytest

from llmrec.agents.memory import MemoryEntry, StateStore
from llmrec.agents.memory.sqlite import SqliteDatabase
from llmrec.errors import MissingExtra, StateError, UserError

ENTRY = MemoryEntry(user="ann", kind="like", item_id="i1", message_id="m1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


async def test_a_locked_file_is_an_error_that_says_so_and_passes(path: Path) -> None:
    async with StateStore(await SqliteDatabase.open(path, patience=0.2)) as store:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match="locked by another process: try again"):
            await store.remember([ENTRY])
        with pytest.raises(StateError, match="locked by another process"):
            await store.checkpointer().aput_writes(
                {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c"}}, [("a", 1)], "task"
            )
        assert await store.memory("", "ann") == [], "reading goes on"
        blocker.execute("COMMIT")
        blocker.close()
        assert await store.remember([ENTRY]) == 1


async def test_a_lock_that_ends_in_time_is_waited_for(path: Path) -> None:
    async with StateStore(await SqliteDatabase.open(path, patience=5)) as store:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(store.remember([ENTRY]))
        await asyncio.sleep(0.3)
        assert not writing.done()
        blocker.execute("COMMIT")
        blocker.close()
        assert await writing == 1


async def test_many_who_wait_for_a_locked_file_do_not_wait_one_after_the_other(path: Path) -> None:
    async with StateStore(await SqliteDatabase.open(path, patience=0.3)) as store:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        results = await asyncio.gather(*(store.remember([ENTRY]) for _ in range(40)), return_exceptions=True)
        assert all(isinstance(result, StateError) for result in results)
        assert time.monotonic() - started < 0.3 * 40 / 2
        blocker.close()


def test_a_damaged_file_is_said_to_be_damaged(path: Path) -> None:
    path.write_bytes(b"this is no database, " * 500)
    with pytest.raises(StateError, match="is damaged: restore a backup"):
        asyncio.run(StateStore.open(f"sqlite:{path}"))


async def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be used"):
        await StateStore.open(f"sqlite:{tmp_path / 'file' / 'state.sqlite'}")


async def test_a_full_disk_is_said_and_nothing_is_lost(path: Path) -> None:
    database = await SqliteDatabase.open(path)
    async with StateStore(database) as store:
        await store.remember([ENTRY])
        pages = (await database._writer.execute_fetchall("PRAGMA page_count"))[0][0]  # type: ignore[index]
        await database._writer.execute_fetchall(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StateError, match="disk is full"):
            await store.upsert_items([{"item_id": f"i{n}", "text": "x" * 1000} for n in range(50)])
        assert await store.changes_since(0) == []
        assert await store.memory("", "ann") == [ENTRY]


async def test_only_the_owner_may_read_the_file(path: Path) -> None:
    async with await StateStore.open(f"sqlite:{path}") as store:
        await store.remember([ENTRY])
        for file in path.parent.glob("state.sqlite*"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_closed_store_says_so(path: Path) -> None:
    store = await StateStore.open(f"sqlite:{path}")
    await store.aclose()
    for call in (store.memory("", "ann"), store.remember([ENTRY])):
        with pytest.raises(StateError, match="closed"):
            await call


async def test_other_uris_are_refused() -> None:
    for uri in ("mysql://me:secret@host/db", "sqlite:", "state.sqlite"):
        with pytest.raises(UserError, match="use sqlite:<file> or postgresql://") as caught:
            await StateStore.open(uri)
        assert "secret" not in str(caught.value)


async def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "llmrec.agents.memory.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'llmrec\[postgres\]'"):
        await StateStore.open("postgresql://localhost/db")


async def test_an_unreachable_server_is_said_without_the_password(postgres_server: str) -> None:
    host = postgres_server.partition("@")[2].rpartition("/")[0]
    for uri in ("postgresql://me:hidden@127.0.0.1:1/db", f"postgresql://nobody:hidden@{host}/none"):
        with pytest.raises(StateError, match="check that the server runs") as caught:
            await StateStore.open(uri)
        assert "hidden" not in str(caught.value)


async def test_connections_that_the_server_dropped_are_replaced(postgres_uri: str) -> None:
    import psycopg

    async with await StateStore.open(postgres_uri) as store:
        await asyncio.gather(*(store.memory("", "ann") for _ in range(8)))
        async with await psycopg.AsyncConnection.connect(postgres_uri, autocommit=True) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert await store.remember([ENTRY]) == 1
        assert await store.checkpointer().aget_tuple({"configurable": {"thread_id": "t"}}) is None
