"""A build that is killed at any moment, or finds the disk full, and is started again ends in the same workspace."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import sqlite3
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmrec.errors import VectorStoreError, WorkspaceError
from llmrec.workspace import Step, StepContext, Workspace

CALLS = ("open", "mkdir", "rename", "replace", "unlink", "rmdir", "fsync", "ftruncate", "pwrite")
"""Every system call by which a workspace changes goes through one of these functions of `os`."""


def steps(value: int) -> list[Step]:
    def build(context: StepContext) -> None:
        for n in range(3):
            (context.folder / f"{n}.txt").write_text(f"{value} {sorted(context.inputs)} {n}" * 50)

    return [
        Step("data/catalogue", build=build, settings={"value": value}),
        Step("retrieval/ease", build=build, needs=("data/catalogue",)),
        Step("retrieval/bm25", build=build, needs=("data/catalogue",)),
        Step("other/constant", build=build, settings={"value": 0 * value}),
    ]


def tree(path: Path) -> dict[str, bytes]:
    """Everything in a workspace but locks and leases."""
    files = (p for p in sorted(path.rglob("*")) if p.is_file())
    return {
        str(p.relative_to(path)): p.read_bytes()
        for p in files
        if p.relative_to(path).parts[0] not in (".lock", ".leases")
    }


def build(path: Path, value: int, **options: Any) -> None:
    with Workspace.create(path) as workspace:
        workspace.build(steps(value), **options)


def at_call(number: int, action: Callable[[], None]) -> Callable[[], int]:
    """Make `action` happen before the call of this number among CALLS; returns a function that counts the calls."""
    count = 0

    def before(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                action()
            return original(*args, **options)

        return call

    for name in CALLS:
        setattr(os, name, before(getattr(os, name)))
    return lambda: count


def in_child(work: Callable[[], None]) -> int:
    """Run in a forked process; returns its wait status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process has written survives its death without being synced, so the tests need not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, bytes]:
    """The tree of a workspace that was built undisturbed, twice."""
    build(tmp_path / "expected", 1)
    build(tmp_path / "expected", 2)
    return tree(tmp_path / "expected")


def test_killed_before_every_single_call(tmp_path: Path, expected: dict[str, bytes]) -> None:
    build(tmp_path / "old", 1)
    old = tree(tmp_path / "old")
    number, finished = 0, False
    while not finished:
        number += 1
        path = Path(shutil.copytree(tmp_path / "old", tmp_path / f"ws{number}"))

        def killed(path: Path = path, number: int = number) -> None:
            at_call(number, kill_self)
            build(path, 2)

        finished = in_child(killed) == 0
        with Workspace.open(path) as workspace:
            assert workspace.verify() == [], f"killed before call {number}: the workspace is whole"
        if (path / "manifest.json").read_bytes() == old["manifest.json"]:
            assert old.items() <= tree(path).items(), f"killed before call {number}: it is the old one"
        build(path, 2)
        assert tree(path) == expected, f"killed before call {number}: the next build ends in the same workspace"
    assert number > 60


def test_killed_in_the_first_build_of_all(tmp_path: Path) -> None:
    build(tmp_path / "expected", 1)
    number, finished = 0, False
    while not finished:
        number += 3
        path = tmp_path / f"ws{number}"

        def killed(path: Path = path, number: int = number) -> None:
            at_call(number, kill_self)
            build(path, 1)

        finished = in_child(killed) == 0
        build(path, 1)
        assert tree(path) == tree(tmp_path / "expected"), f"killed before call {number}"
    assert number > 60


def test_killed_again_and_again_at_random_times(tmp_path: Path, expected: dict[str, bytes]) -> None:
    chance = random.Random(0)
    path = tmp_path / "ws"
    build(path, 1)
    status, kills = 1, 0
    while status != 0:
        child = os.fork()
        if child == 0:
            try:
                build(path, 2)
                os._exit(0)
            finally:
                os._exit(1)
        time.sleep(chance.uniform(0, 0.004) * (1 + kills / 20))
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        kills += 1
    assert tree(path) == expected


def test_a_killed_rebuild_ends_the_same(tmp_path: Path) -> None:
    build(tmp_path / "expected", 1)
    build(tmp_path / "expected", 1, rebuild=True)
    build(tmp_path / "old", 1)
    for number in range(1, 60, 7):
        path = Path(shutil.copytree(tmp_path / "old", tmp_path / f"ws{number}"))

        def killed(path: Path = path, number: int = number) -> None:
            at_call(number, kill_self)
            build(path, 1, rebuild=True)

        assert in_child(killed) != 0
        with Workspace.open(path) as workspace:
            assert workspace.verify() == []
        build(path, 1, rebuild=True)
        assert tree(path) == tree(tmp_path / "expected")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_disk_full_at_every_single_call(tmp_path: Path, expected: dict[str, bytes], code: int) -> None:
    path = tmp_path / "ws"
    build(path, 1)
    failures = 0
    for number in range(1, 400):

        def full(number: int = number) -> None:
            def fail() -> None:
                raise OSError(code, os.strerror(code))

            with Workspace.open(path) as workspace:
                counted = at_call(number, fail)
                try:
                    workspace.build(steps(2))
                except WorkspaceError as error:
                    assert "disk was full" in str(error) and "free some space" in str(error), error
                    assert not any((path / ".tmp").glob("*")), "what was unfinished is removed"
                    os._exit(3)
                assert counted() < number or (path / "manifest.json").read_bytes() == expected["manifest.json"]

        status = os.waitstatus_to_exitcode(in_child(full))
        assert status in (0, 3), f"disk full at call {number}"
        failures += status == 3
        with Workspace.open(path) as workspace:
            assert workspace.verify() == [], f"disk full at call {number}: the workspace is whole"
        if status == 0:
            break
    assert failures > 20
    build(path, 2)
    assert tree(path) == expected


def test_a_file_that_the_system_refuses_to_let_grow(tmp_path: Path) -> None:
    def big(context: StepContext) -> None:
        (context.folder / "big.bin").write_bytes(b"x" * 1_000_000)

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        with Workspace.open(tmp_path / "ws") as workspace, pytest.raises(WorkspaceError, match="disk was full"):
            workspace.build([*steps(1), Step("kind/big", build=big)])

    build(tmp_path / "ws", 1)
    before = tree(tmp_path / "ws")
    assert in_child(full) == 0
    assert tree(tmp_path / "ws") == before


def test_a_database_that_finds_the_disk_full(tmp_path: Path) -> None:
    def database(context: StepContext) -> None:
        with closing(sqlite3.connect(context.folder / "big.db")) as connection:
            connection.execute("CREATE TABLE t (x)")
            connection.execute("PRAGMA max_page_count = 10")
            try:
                connection.execute("INSERT INTO t VALUES (?)", ("x" * 1_000_000,))
            except sqlite3.OperationalError as error:  # as a library would
                raise VectorStoreError("the collection cannot be written") from error

    build(tmp_path / "ws", 1)
    before = tree(tmp_path / "ws")
    with Workspace.open(tmp_path / "ws") as workspace, pytest.raises(WorkspaceError, match="disk was full"):
        workspace.build([*steps(1), Step("kind/database", build=database)])
    assert tree(tmp_path / "ws") == before
