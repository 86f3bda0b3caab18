"""Help, mistakes and exit codes, whatever the command."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from llmrec.errors import WorkspaceError
from llmrec.ui.cli import main

from .conftest import Llmrec

COMMANDS = [
    "demo",
    "serve",
    "build",
    "chat",
    "recommend",
    "search",
    "events",
    "items",
    "memory",
    "adapters",
    "eval",
    "bench",
    "doctor",
]
HEAVY = {"numpy", "polars", "pydantic", "httpx", "torch", "gradio", "chromadb", "langgraph", "fastapi", "uvicorn"}


def test_help_lists_every_command(llmrec: Llmrec) -> None:
    for words in (["--help"], ["-h"]):
        outcome = llmrec(*words)
        assert outcome.code == 0 and not outcome.err
        assert all(command in outcome.out for command in COMMANDS)
    assert llmrec("--version").out.startswith("llmrec ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(llmrec: Llmrec, command: str) -> None:
    outcome = llmrec(command, "--help")
    assert outcome.code == 0 and "usage" in outcome.out.lower() and not outcome.err


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, llmrec.ui.cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["serch", "x"], "no such command 'serch': did you mean 'search'"),
        (["memory", "shw"], "did you mean 'show'"),
        (["search"], "missing argument 'query': see llmrec search --help"),
        (["memory", "show"], "missing option '--user'"),
        (["search", "x", "--wrkspace", "w"], "did you mean (--workspace)"),
        (["search", "x", "-k", "0"], "greater than or equal to 1"),
        (["search", "x", "-k", "many"], "valid integer"),
        (["search", "x", "--json", "."], "cannot write .: Is a directory"),
        (["search", "x"], "there is no workspace at workspace: make one with 'llmrec build DATA -w workspace'"),
        (["recommend", "-w", "no/such/place"], "there is no workspace at no/such/place"),
    ],
)
def test_mistakes_are_one_sentence(llmrec: Llmrec, words: list[str], sentence: str) -> None:
    assert sentence in llmrec(*words).mistake


def test_wrong_settings_name_their_source(llmrec: Llmrec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "llmrec.toml").write_text("prot = 1")
    assert "llmrec.toml: there is no setting 'prot': did you mean 'port'?" in llmrec("build", tmp_path).mistake
    (tmp_path / "llmrec.toml").write_text("port = ")
    assert "llmrec.toml cannot be read" in llmrec("build", tmp_path).mistake
    (tmp_path / "llmrec.toml").unlink()
    monkeypatch.setenv("LLMREC_EMBEDINGS", "x")
    assert "LLMREC_EMBEDINGS" in llmrec("build", tmp_path).mistake


def test_failures_have_their_own_exit_codes(llmrec: Llmrec, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(error: BaseException) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("llmrec.evals.runner.suite", fail)

    failing(WorkspaceError("the workspace is damaged: build it again"))
    outcome = llmrec("eval", "topn", "x")
    assert (outcome.code, outcome.err) == (1, "error: the workspace is damaged: build it again\n")
    failing(ZeroDivisionError("[bold]by zero[/]"))
    outcome = llmrec("eval", "topn", "x")
    assert outcome.code == 1 and "ZeroDivisionError: [bold]by zero[/]" in outcome.err
    assert "--debug" in outcome.err and "Traceback" not in outcome.err
    failing(KeyboardInterrupt())
    assert llmrec("eval", "topn", "x").code == 130
    failing(BrokenPipeError())
    monkeypatch.setattr(main, "_drop_output", lambda: None)
    assert llmrec("eval", "topn", "x").code == 0


def test_debug_shows_where(llmrec: Llmrec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_DEBUG", "")  # is restored after the test
    with pytest.raises(Exception, match="no workspace"):
        llmrec("--debug", "search", "x")
    assert logging.getLogger("llmrec").level == logging.DEBUG


def test_a_reader_that_leaves_early_is_no_failure() -> None:
    command = [sys.executable, "-m", "llmrec.ui.cli.main", "eval", "topn", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert (process.wait(), process.stderr.read()) == (0, b"")
