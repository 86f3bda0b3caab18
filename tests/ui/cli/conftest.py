"""The command line in this process, a workspace of its own, and a real `llmrec serve` with keys."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KEYS = '{"sk-shop": "*", "sk-anna": ["anna"]}'


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def mistake(self) -> str:
        """The sentence of a user's mistake; nothing else was printed."""
        assert (self.code, self.out) == (2, ""), self
        sentence = self.err.strip()
        assert sentence.startswith("error: ") and "\n" not in sentence and "Traceback" not in sentence, self
        return sentence.removeprefix("error: ")


Llmrec = Callable[..., Outcome]


@pytest.fixture
def llmrec(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Llmrec:
    """Runs a command in an empty folder."""
    from llmrec.ui.cli.main import run

    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return invoke


@pytest.fixture(scope="session")
def cli_workspace(demo_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with its own state and server."""
    return Path(shutil.copytree(demo_workspace, tmp_path_factory.mktemp("cli") / "ws", ignore=_no_state))


def _no_state(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("state", "server.json") or name.startswith(".")]


@dataclass
class Process:
    """A command in a process of its own; `address` is where it serves."""

    process: subprocess.Popen[str]
    address: str = ""

    def end(self, signal: int) -> tuple[int, str]:
        """Exit code and what else was printed."""
        self.process.send_signal(signal)
        rest = self.process.communicate(timeout=60)[0]
        return self.process.returncode, rest


_SPAWNED: list[subprocess.Popen[str]] = []


@pytest.fixture(scope="session", autouse=True)
def _no_process_outlives_the_tests() -> Iterator[None]:
    yield
    for process in _SPAWNED:
        process.kill()
        process.communicate()


def spawn(*arguments: object, **environment: str) -> Process:
    """`llmrec ...` with both outputs in one pipe."""
    command = [sys.executable, "-m", "llmrec.ui.cli.main", *map(str, arguments)]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LLMREC_")} | environment
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables)
    _SPAWNED.append(process)
    return Process(process)


def serving(*arguments: object, **environment: str) -> Process:
    """The same for a command that serves, once it is ready."""
    process = spawn(*arguments, **environment)
    said = []
    for line in process.process.stdout or ():
        said.append(line)
        if "chat page" in line:
            process.address = line.split()[-1].rstrip("/")
        if "stop" in line:
            return process
    raise AssertionError(f"it does not serve: {''.join(said)}")


@pytest.fixture(scope="session")
def served(cli_workspace: Path) -> Process:
    """`llmrec serve` with API keys on a free port."""
    return serving("serve", "-w", cli_workspace, "--port", 0, LLMREC_KEYS=KEYS)


def write(file: Path, text: str) -> Path:
    """A file with this content."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


Json = dict[str, Any]
