"""Workspaces: what is built, reused, switched, kept, found damaged, refused."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmrec.contracts import Config
from llmrec.errors import UnknownName, UserError, WorkspaceError
from llmrec.workspace import Step, StepContext, Workspace
from llmrec.workspace.manifest import FORMAT, MIGRATIONS


def writes(text: str, calls: list[str] | None = None, name: str = "") -> Callable[[StepContext], None]:
    def build(context: StepContext) -> None:
        if calls is not None:
            calls.append(name)
        inputs = [(folder / "out.txt").read_text() for _, folder in sorted(context.inputs.items())]
        (context.folder / "inner").mkdir()
        (context.folder / "inner" / "empty").touch()
        (context.folder / "out.txt").write_text("+".join([text, *inputs]))

    return build


def chain(calls: list[str] | None = None, **settings: Any) -> list[Step]:
    """Three steps, given in the wrong order: c needs a and b, b needs a."""
    names = {"a": (), "b": ("kind/a",), "c": ("kind/a", "kind/b")}
    return [
        Step(f"kind/{name}", build=writes(name, calls, name), needs=needs, settings={"value": settings.get(name, 0)})
        for name, needs in reversed(names.items())
    ]


def test_steps_see_their_needs_and_artefacts_are_found(tmp_path: Path) -> None:
    calls: list[str] = []
    with Workspace.create(tmp_path / "new" / "ws") as workspace:
        report = workspace.build(chain(calls))
        assert calls == ["a", "b", "c"]
        assert report.built == ["kind/a", "kind/b", "kind/c"]
        assert all(step.seconds >= 0 and step.peak_mb > 5 for step in report.steps)
        assert (workspace.artefact("kind/c") / "out.txt").read_text() == "c+a+b+a"
        assert workspace.record("kind/b").settings == {"value": 0}
    with Workspace.open(tmp_path / "new" / "ws") as workspace:
        assert workspace.names == ["kind/a", "kind/b", "kind/c"]
        assert workspace.has("kind/a") and not workspace.has("kind/x")
        with pytest.raises(UnknownName, match=r"did you mean kind/a\?"):
            workspace.artefact("kinds/a")


def test_nothing_is_built_twice_and_only_what_changed_is_built(tmp_path: Path) -> None:
    calls: list[str] = []
    with Workspace.create(tmp_path) as workspace:
        workspace.build(chain())
        before = (tmp_path / "manifest.json").stat()
        assert workspace.build(chain(calls)).built == []
        assert (tmp_path / "manifest.json").stat() == before
        workspace.build(chain(calls, b=1))
        assert calls == ["b", "c"]
        workspace.build([replace(s, version=2) for s in chain(calls, b=1)])
        assert calls == ["b", "c", "a", "b", "c"]


def test_hashes_depend_on_every_part_and_on_nothing_else(tmp_path: Path) -> None:
    class Settings(Config):
        value: int = 0
        name: str = "x"

    def folder(step: Step) -> str:
        with Workspace.create(tmp_path / "ws") as workspace:
            workspace.build([Step("kind/z", build=writes("z")), step])
            return workspace.artefact(step.name).name

    base = folder(Step("kind/a", build=writes("a"), settings=Settings()))
    assert folder(Step("kind/a", build=writes("other"), settings={"name": "x", "value": 0})) == base
    others = [
        Step("kind/a", build=writes("a"), settings=Settings(value=1)),
        Step("kind/a", build=writes("a"), settings=Settings(), version=2),
        Step("kind/a", build=writes("a"), settings=Settings(), needs=("kind/z",)),
        Step("kind/b", build=writes("a"), settings=Settings()),
    ]
    assert len({base, *map(folder, others)}) == 5


def test_rebuild_makes_a_new_version_beside_the_old(tmp_path: Path) -> None:
    calls: list[str] = []
    with Workspace.create(tmp_path) as workspace:
        workspace.build(chain())
        first = workspace.artefact("kind/a")
        assert workspace.build(chain(calls), rebuild=["kind/a"]).built == ["kind/a"]
        second = workspace.artefact("kind/a")
        assert second != first and not first.exists()
        workspace.build(chain(calls), rebuild=True)
        assert calls == ["a", "a", "b", "c"]
        assert workspace.verify() == []
        with pytest.raises(UnknownName, match="kind/x"):
            workspace.build(chain(), rebuild=["kind/x"])


def test_a_failing_step_leaves_the_workspace_as_it_was_and_the_next_build_goes_on(tmp_path: Path) -> None:
    calls: list[str] = []

    def fails(context: StepContext) -> None:
        (context.folder / "half").write_text("half")
        raise KeyError("something inside")

    with Workspace.create(tmp_path) as workspace:
        workspace.build(chain())
        manifest = (tmp_path / "manifest.json").read_bytes()
        steps = chain(calls, a=1)
        broken = [replace(s, build=fails) if s.name == "kind/b" else s for s in steps]
        with pytest.raises(WorkspaceError, match=r"building kind/b failed .KeyError: 'something inside'"):
            workspace.build(broken)
        assert (tmp_path / "manifest.json").read_bytes() == manifest
        assert workspace.verify() == [] and not list((tmp_path / ".tmp").iterdir())
        assert (workspace.artefact("kind/c") / "out.txt").exists()
        calls.clear()
        workspace.build(steps)
        assert calls == ["b", "c"], "what was complete is found again"


def test_errors_of_steps_that_speak_for_themselves_are_kept(tmp_path: Path) -> None:
    def fails(context: StepContext) -> None:
        raise UserError("the file x is missing: give another")

    with Workspace.create(tmp_path) as workspace, pytest.raises(UserError, match=r"^the file x is missing"):
        workspace.build([Step("kind/a", build=fails)])


def test_readers_keep_their_version_until_they_close(tmp_path: Path) -> None:
    with Workspace.create(tmp_path) as builder:
        builder.build(chain())
        reader, other = Workspace.open(tmp_path), Workspace.open(tmp_path)
        assert not reader.changed()
        old = reader.artefact("kind/b")
        builder.build(chain(b=1))
        assert reader.changed() and not builder.changed()
        assert reader.artefact("kind/b") == old and (old / "out.txt").exists()
        assert reader.artefact("kind/a") == builder.artefact("kind/a")
        other.close()
        assert builder.prune() == [], "one reader still holds it"
        reader.close()
        assert {Path(folder).parent.name for folder in builder.prune()} == {"b", "c"}
        assert not old.exists() and builder.verify() == []
        with Workspace.open(tmp_path) as switched:
            assert switched.artefact("kind/b") == builder.artefact("kind/b")


def test_a_reader_that_died_holds_nothing(tmp_path: Path) -> None:
    with Workspace.create(tmp_path) as builder:
        builder.build(chain())
        child = os.fork()
        if child == 0:
            reader = Workspace.open(tmp_path)
            os.kill(os.getpid(), 9)
            reader.close()
        os.waitpid(child, 0)
        assert len(list((tmp_path / ".leases").iterdir())) == 2
        assert len(builder.build(chain(a=1)).removed) == 3
        assert len(list((tmp_path / ".leases").iterdir())) == 1


def test_artefacts_of_steps_that_are_gone_are_removed_and_precious_things_kept(tmp_path: Path) -> None:
    with Workspace.create(tmp_path) as workspace:
        workspace.build(chain())
        precious = [workspace.state_folder / "state.sqlite", tmp_path / "adapters" / "user" / "42" / "artefact.json"]
        precious += [tmp_path / "feedback" / "a" / "b" / "artefact.json", tmp_path / "llmrec.toml"]
        for path in precious:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")
        workspace.build([Step("kind/other", build=writes("other"))], rebuild=True)
        assert workspace.names == ["kind/other"]
        assert sorted(p.name for p in (tmp_path / "kind").iterdir()) == ["other"]
        assert all(path.read_text() == "mine" for path in precious)
    for kind in ("state", "adapters", "feedback"):
        with pytest.raises(ValueError, match="precious"):
            Step(f"{kind}/x", build=writes("x"))


def test_artefacts_of_other_steps_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    own = Step("language/model", build=writes("trained"))
    with Workspace.create(tmp_path) as workspace:
        workspace.build(chain())
        workspace.build([own], keep=True)
        assert workspace.names == ["kind/a", "kind/b", "kind/c", "language/model"]
        folder = workspace.artefact("language/model")
        workspace.build(chain(a=1), keep=["language/model", "no/such"])
        assert workspace.artefact("language/model") == folder and (folder / "out.txt").read_text() == "trained"
        assert workspace.verify() == []
        workspace.build([replace(own, version=2)], keep=["kind/a"])
        assert workspace.names == ["kind/a", "language/model"], "a step replaces what is kept of its name"
        assert workspace.artefact("language/model") != folder


@pytest.mark.parametrize("name", ["ease", "a/b/c", "../a", "A/b", "a/", "/a", "a/..", ".tmp/x"])
def test_names_of_steps_are_safe_paths(name: str) -> None:
    with pytest.raises(ValueError, match="kind/name"):
        Step(name, build=writes("x"))


def test_steps_that_do_not_fit_together(tmp_path: Path) -> None:
    def refuse(steps: Sequence[Step], text: str) -> None:
        with Workspace.create(tmp_path) as workspace, pytest.raises(WorkspaceError, match=text):
            workspace.build(steps)

    refuse([Step("k/a", build=writes("a"), needs=("k/b",))], "k/a needs k/b")
    refuse([Step("k/a", build=writes("a"), needs=("k/b",)), Step("k/b", build=writes("b"), needs=("k/a",))], "circle")
    refuse([Step("k/a", build=writes("a")), Step("k/a", build=writes("a"))], "same name")


def test_verify_finds_every_damage_and_a_build_repairs_what_it_sees(tmp_path: Path) -> None:
    def database(context: StepContext) -> None:
        with sqlite3.connect(context.folder / "chroma.sqlite3") as connection:
            connection.execute("CREATE TABLE t (x)")
            connection.executemany("INSERT INTO t VALUES (?)", [("x" * 500,) for _ in range(100)])
        connection.close()

    steps = [*chain(), Step("kind/database", build=database)]
    with Workspace.create(tmp_path) as workspace:
        workspace.build(steps)
        file = workspace.artefact("kind/database") / "chroma.sqlite3"
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA user_version = 7")  # as libraries do that only read
        connection.close()
        assert workspace.verify() == []
        assert workspace.build(steps).built == []

        file.write_bytes(file.read_bytes()[:8192] + b"\xff" * 8192 + file.read_bytes()[16384:])
        (workspace.artefact("kind/a") / "out.txt").write_text("A")
        (workspace.artefact("kind/b") / "inner" / "empty").unlink()
        (workspace.artefact("kind/c") / "artefact.json").write_text("{}")
        problems = workspace.verify()
        for name, text in {
            "kind/a": "out.txt has changed",
            "kind/b": "inner/empty is missing",
            "kind/c": "its record is missing or damaged",
            "kind/database": "chroma.sqlite3 is a damaged database",
        }.items():
            assert any(p.startswith(f"{name}: ") and text in p and p.endswith("rebuild it") for p in problems), text
        assert len(problems) == 4

        assert workspace.build(steps).built == ["kind/b", "kind/c"], "what misses is seen without reading everything"
        assert workspace.build(steps, rebuild=["kind/a", "kind/database"]).built == ["kind/a", "kind/database"]
        assert workspace.verify() == []


def test_opening_what_is_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no workspace at .*: make one with 'llmrec build DATA -w"):
        Workspace.open(tmp_path / "absent")
    with pytest.raises(UserError, match="there is no workspace"):
        Workspace.open(tmp_path)
    Workspace.create(tmp_path / "ws").close()
    with pytest.raises(UserError, match="is empty: build it with"):
        Workspace.open(tmp_path / "ws")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        Workspace.create(tmp_path / "file")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.doc").write_text("x")
    with pytest.raises(UserError, match="holds other files"):
        Workspace.create(tmp_path / "home")
    with pytest.raises(WorkspaceError, match="cannot make a workspace"):
        Workspace.create(tmp_path / "file" / "ws")


def test_settings_may_be_there_before_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "llmrec.toml").write_text("port = 1")
    with Workspace.create(tmp_path) as workspace:
        workspace.build(chain())
    assert (tmp_path / "llmrec.toml").read_text() == "port = 1"


def test_formats_of_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Workspace.create(tmp_path) as workspace:
        workspace.build(chain())
    manifest = tmp_path / "manifest.json"
    current = manifest.read_text()

    manifest.write_text(current.replace(f'"format": {FORMAT}', f'"format": {FORMAT + 1}'))
    with pytest.raises(WorkspaceError, match="newer llmrec: upgrade"):
        Workspace.open(tmp_path)

    manifest.write_text(current.replace(f'"format": {FORMAT}', '"format": 0').replace('"artefacts"', '"things"'))
    with pytest.raises(WorkspaceError, match="cannot be read"):
        Workspace.open(tmp_path)
    monkeypatch.setitem(MIGRATIONS, 0, lambda content: {"artefacts": content["things"]})
    with Workspace.open(tmp_path) as workspace:
        assert workspace.verify() == [] and len(workspace.names) == 3

    for damage in ("", "{", "[]", '{"format": 1, "artefacts": {"a": 3}}', "{}" + "\0" * 10):
        manifest.write_text(damage)
        with pytest.raises(WorkspaceError, match=r"remove manifest.json and build it again"):
            Workspace.open(tmp_path)


def test_progress_names_steps_and_what_they_do(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []

    def slow(context: StepContext) -> None:
        context.progress("rows", 1, 2)

    with Workspace.create(tmp_path) as workspace:
        workspace.build([Step("kind/a", build=slow)], lambda *what: heard.append(what))
    assert heard == [("kind/a", 0, 1), ("kind/a: rows", 1, 2), ("done", 1, 1)]


# --- Locks and servers ------------------------------------------------------------------------------------------------


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    with Workspace.create(tmp_path) as workspace:

        def build_inside(context: StepContext) -> None:
            with Workspace.create(tmp_path) as other:
                with pytest.raises(WorkspaceError, match=f"being written by process {os.getpid()}: wait"):
                    other.build(chain())
                with pytest.raises(WorkspaceError, match="being written"):
                    other.prune()

        workspace.build([Step("kind/a", build=build_inside)])
        workspace.build(chain())


def test_a_patient_writer_waits_for_the_other(tmp_path: Path) -> None:
    with Workspace.create(tmp_path) as workspace, Workspace.create(tmp_path) as other, ThreadPoolExecutor() as pool:
        begun = threading.Event()

        def slow(context: StepContext) -> None:
            begun.set()
            time.sleep(0.3)

        building = pool.submit(workspace.build, [Step("kind/slow", build=slow)])
        assert begun.wait(10)
        other.build([Step("kind/b", build=writes("b"))], keep=True, patience=60)
        building.result()
        assert other.names == ["kind/b", "kind/slow"], "kept is what is there when its turn comes"


def test_a_server_is_found_and_a_second_one_refused(tmp_path: Path) -> None:
    with Workspace.create(tmp_path) as workspace, Workspace.create(tmp_path) as beside:
        workspace.build(chain())
        assert beside.server() is None
        with workspace.announce("http://127.0.0.1:7860") as announcement:
            server = beside.server()
            assert server == announcement.server
            assert server is not None and server.pid == os.getpid() and len(server.token) > 20
            assert server.token not in repr(server)
            assert (tmp_path / "server.json").stat().st_mode & 0o777 == 0o600
            with pytest.raises(
                WorkspaceError, match=f"already served by process {os.getpid()} at http://127.0.0.1:7860"
            ):
                beside.announce("http://127.0.0.1:1")
            assert beside.server() == server
            assert workspace.build(chain(a=1)).built, "a build beside a server is a switch"
        assert beside.server() is None and not (tmp_path / "server.json").exists()
        with beside.announce("http://127.0.0.1:2"):
            assert workspace.server() is not None


def test_a_server_that_died_does_not_count(tmp_path: Path) -> None:
    with Workspace.create(tmp_path) as workspace:
        child = os.fork()
        if child == 0:
            kept = Workspace.create(tmp_path).announce("http://127.0.0.1:7860")
            os.kill(os.getpid(), 9)
            kept.close()
        os.waitpid(child, 0)
        assert (tmp_path / "server.json").exists()
        assert workspace.server() is None
        with workspace.announce("http://127.0.0.1:1"):
            server = workspace.server()
            assert server is not None and server.address == "http://127.0.0.1:1"
