"""State stores of both kinds; PostgreSQL is a real server that the tests start."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from llmrec.agents.memory import StateStore


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.fail("these tests need PostgreSQL: install the Debian package postgresql")
    return found[-1].parent if found else Path(str(on_path)).parent


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URI of a fresh PostgreSQL server's `postgres` database; it refuses root, so root starts it as its own user."""
    folder = Path(tempfile.mkdtemp(prefix="llmrec-pg-"))
    as_user: list[str] = []
    user = pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:
        as_user, user = ["runuser", "-u", "postgres", "--"], "postgres"
        shutil.chown(folder, "postgres", "postgres")
    port, binaries, data = free_port(), _binaries(), folder / "data"

    def run(*command: str | Path) -> None:
        done = subprocess.run(
            [*as_user, *map(str, command)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert done.returncode == 0, f"{command}: {done.stdout}"

    try:
        run(binaries / "initdb", "-D", data, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
        run(binaries / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "-t", "60", "start")
        yield f"postgresql://{user}@127.0.0.1:{port}/postgres"
        run(binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def postgres_uri(postgres_server: str) -> AsyncIterator[str]:
    """URI of an empty database."""
    import psycopg

    name = f"test_{os.urandom(6).hex()}"
    async with await psycopg.AsyncConnection.connect(postgres_server, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
        yield postgres_server.removesuffix("postgres") + name
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def state_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URI of empty state, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'state' / 'state.sqlite'}"
    return request.getfixturevalue("postgres_uri")


@pytest.fixture
async def store(state_uri: str) -> AsyncIterator[StateStore]:
    async with await StateStore.open(state_uri) as opened:
        yield opened
