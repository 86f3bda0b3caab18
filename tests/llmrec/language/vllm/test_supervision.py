"""What happens to a server that llmrec starts: crashes, silence, nonsense, and llmrec's own end. Against a fake one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from llmrec.contracts import Message
from llmrec.errors import EngineError, EngineNonsense, EngineTimeout, EngineUnavailable
from llmrec.language.trie import TokenTrie
from llmrec.language.vllm import server, target
from llmrec.language.vllm.engine import VLLMEngine
from llmrec.testing.models import Folders, TinyModel

FAKE = Path(__file__).with_name("fake_server.py")
Open = Callable[..., VLLMEngine]


async def ask(engine: VLLMEngine, text: str = "hello", **options: Any) -> str:
    return "".join([piece async for piece in engine.chat([Message("user", text)], **options)])


def facts(folder: Path) -> dict[str, Any]:
    """What the servers below a folder wrote; there is one."""
    [file] = folder.glob("vllm-*/facts.json")
    return json.loads(file.read_text())


def inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.02)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`start(mode)`: engines start the fake server in this mode."""

    def choose(mode: str) -> None:
        command = [sys.executable, str(FAKE)]
        monkeypatch.setattr(target.Started, "command", lambda self, package, port: [*command, str(port), mode])

    monkeypatch.setattr(server, "FIRST_WAIT", 0.1)
    choose("")
    return choose


@pytest.fixture
async def opened(start: object, tiny_model: TinyModel, tmp_path: Path) -> AsyncIterator[Open]:
    """Engines that are closed at the end."""
    engines = []

    def make(folder: Path | None = tmp_path, **options: Any) -> VLLMEngine:
        engines.append(VLLMEngine(str(tiny_model.folder), folder=folder, **({"timeout": 20} | options)))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.aclose()


async def test_the_first_call_starts_it_with_a_key_that_shows_nowhere(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMREC_KEYS", '{"secret": "*"}')
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    engine = opened()
    await asyncio.sleep(0.1)
    assert not inside(tmp_path)
    assert await ask(engine) == "base base base base "
    found = facts(tmp_path)
    key = found["environment"]["VLLM_API_KEY"]
    assert len(key) >= 32 and key not in " ".join(found["argv"]) + repr(engine)
    assert "secret" not in json.dumps(found)
    [folder] = inside(tmp_path)
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["die", "die in the middle"])
async def test_a_server_that_dies_is_unavailable_and_comes_back(opened: Open, tmp_path: Path, text: str) -> None:
    engine = opened()
    await ask(engine)
    before = facts(tmp_path)
    with pytest.raises(EngineUnavailable):
        await ask(engine, text)
    await until(lambda: not runs(before["worker"]))  # its other processes do not stay behind
    await until(lambda: facts(tmp_path)["server"] != before["server"])
    await until(lambda: not engine._server._problem)  # type: ignore[union-attr]
    assert await ask(engine) == "base base base base "


async def test_a_server_that_is_killed_comes_back(opened: Open, tmp_path: Path) -> None:
    engine = opened()
    await ask(engine)
    before = facts(tmp_path)
    os.kill(before["server"], signal.SIGKILL)
    await until(lambda: not runs(before["worker"]) and facts(tmp_path)["server"] != before["server"])
    assert await ask(engine)


async def test_a_server_that_cannot_start_says_why_and_is_tried_again(
    opened: Open, start: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    start("broken")
    engine = opened()
    with pytest.raises(EngineUnavailable, match=r"did not start.*ValueError: there is no such model"):
        await ask(engine)
    start("")
    await until(lambda: not engine._server._problem)  # type: ignore[union-attr]
    assert await ask(engine)


async def test_it_waits_longer_after_each_failure(
    opened: Open, start: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    start("broken")
    monkeypatch.setattr(server, "FIRST_WAIT", 0.15)
    monkeypatch.setattr(server, "LONGEST_WAIT", 0.4)
    waited = []
    sleep = asyncio.sleep

    async def record(seconds: float) -> None:
        if seconds != server._POLL:
            waited.append(seconds)
        await sleep(min(seconds, 0.01))

    monkeypatch.setattr(server.asyncio, "sleep", record)
    engine = opened()
    with pytest.raises(EngineUnavailable):
        await ask(engine)
    await until(lambda: len([w for w in waited if w >= 0.1]) >= 4)
    assert [w for w in waited if w >= 0.1][:4] == [0.15, 0.3, 0.4, 0.4]


@pytest.mark.parametrize("text", ["hang", "slowly"])
async def test_a_server_that_never_ends_is_left_after_the_deadline(opened: Open, tmp_path: Path, text: str) -> None:
    engine = opened()
    await ask(engine)
    with pytest.raises(EngineTimeout):
        await ask(engine, text, timeout=0.3)
    assert await ask(engine)


async def test_chat_waits_for_the_start_no_longer_than_its_timeout(
    opened: Open, start: Callable[[str], None], tmp_path: Path
) -> None:
    start("deaf")
    engine = opened()
    with pytest.raises(EngineTimeout, match="not ready"):
        await ask(engine, timeout=1)
    await until(lambda: bool(list(tmp_path.glob("vllm-*/facts.json"))))
    await engine.aclose()
    assert not runs(facts(tmp_path)["server"])


async def test_garbage_is_nonsense(opened: Open) -> None:
    with pytest.raises((EngineNonsense, EngineUnavailable)):
        await ask(opened(), "garbage")


async def test_who_leaves_ends_the_request(opened: Open, tmp_path: Path) -> None:
    engine = opened()
    stream = engine.chat([Message("user", "slowly")], max_tokens=1000)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    await until(lambda: bool(list(tmp_path.glob("vllm-*/left.json"))))


async def test_two_at_once_do_not_meet(opened: Open, tmp_path: Path) -> None:
    one, two = opened(), opened()
    assert await asyncio.gather(ask(one), ask(two)) == ["base base base base "] * 2
    assert one._server.key != two._server.key  # type: ignore[union-attr]
    urls = {(await engine._endpoint()).url for engine in (one, two)}
    assert len(urls) == 2
    await one.aclose()
    assert await ask(two)


async def test_closing_ends_every_process_and_keeps_the_log(
    opened: Open, tmp_path: Path, tiny_model: TinyModel
) -> None:
    engine = opened(adapters=Folders(dict(tiny_model.adapters)))
    await ask(engine, adapter="warm")
    found = facts(tmp_path)
    assert runs(found["server"]) and runs(found["worker"])
    await engine.aclose()
    assert not runs(found["server"])
    await until(lambda: not runs(found["worker"]))
    [folder] = inside(tmp_path)
    assert {"server.log", "adapters"} & {path.name for path in inside(folder)} == {"server.log"}
    with pytest.raises(EngineError, match="stopped"):
        await ask(engine)


async def test_without_a_folder_nothing_is_left(opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    engine = opened(folder=None)
    await ask(engine)
    assert inside(tmp_path)
    await engine.aclose()
    assert not inside(tmp_path)


_OTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from llmrec.contracts import Message
from llmrec.language.vllm import target
from llmrec.language.vllm.engine import VLLMEngine

async def main():
    target.Started.command = lambda self, package, port: [sys.executable, sys.argv[1], str(port)]
    engine = VLLMEngine(sys.argv[2], folder=Path(sys.argv[3]), timeout=60)
    print("".join([piece async for piece in engine.chat([Message("user", "hello")])]), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
async def test_the_server_ends_with_llmrec(tiny_model: TinyModel, tmp_path: Path, sign: signal.Signals) -> None:
    """However it ends; what it leaves is cleared up by the next one."""
    arguments = [str(FAKE), str(tiny_model.folder), str(tmp_path)]
    command = [sys.executable, "-c", _OTHER_PROCESS, *arguments]
    other = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert other.stdout is not None
        assert await asyncio.to_thread(other.stdout.readline) == b"base base base base \n"
        found = facts(tmp_path)
        other.send_signal(sign)
        await asyncio.to_thread(other.wait, 20)
        await until(lambda: not runs(found["server"]) and not runs(found["worker"]))
    finally:
        other.kill()
        await asyncio.to_thread(other.wait)
    [left] = inside(tmp_path)
    assert (left / "adapters").is_dir()
    server.RunFolder(tmp_path).close()
    assert not (left / "adapters").exists() and (left / "server.log").exists()


async def test_beams_and_scores_are_made_of_what_the_server_says(opened: Open) -> None:
    """The fake's log-probability of a token is minus its number."""
    engine = opened()
    trie = TokenTrie([[5, 6], [5, 7], [300, 1], [4]])
    assert await engine.beam([1, 2], trie, 3) == [(3, -4.0), (0, -11.0), (1, -12.0)]
    assert await engine.score([1], [[2, 3], [2], [9, 9, 9]]) == [-5.0, -2.0, -27.0]
    many = TokenTrie([[token] for token in range(3, 503)])  # more than one request takes
    assert await engine.beam([1], many, 500) == [(number, -float(number + 3)) for number in range(500)]
