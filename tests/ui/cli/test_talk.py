"""`llmrec chat`: by messages, by a pipe, and by a person at a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest

from llmrec.ui.cli.talk import _without_titles

from .conftest import Llmrec, Process


@pytest.fixture
def chat(llmrec: Llmrec, served: Process, cli_workspace: Path) -> Llmrec:
    return lambda *words: llmrec("chat", "-w", cli_workspace, *words)


def test_messages_are_one_conversation(chat: Llmrec) -> None:
    outcome = chat("-m", "I want a mystery", "-m", "show me results", "-k", 3)
    assert outcome.code == 0 and "mystery" in outcome.out
    numbered = [line for line in outcome.out.splitlines() if line.lstrip()[:2] in ("1.", "2.", "3.", "4.")]
    assert len(numbered) >= 3 and not any(line.lstrip().startswith("4.") for line in numbered)
    result = json.loads(chat("-m", "I want a mystery", "-m", "show me results", "--json", "-").out)
    first, second = (message["llmrec"] for message in result["messages"])
    assert (first["turn"], second["turn"]) == (1, 2) and first["thread"] == second["thread"] == result["thread"]
    assert {"kind": "accept", "value": "mystery"}.items() <= second["preferences"][0]["act"].items()
    assert all("mystery" in item["attributes"] for item in second["items"])


def test_a_conversation_goes_on_later(chat: Llmrec) -> None:
    thread = json.loads(chat("-u", "anna", "-m", "I want a mystery", "--json", "-").out)["thread"]
    later = json.loads(chat("-u", "anna", "--thread", thread, "-m", "why?", "--json", "-").out)
    assert later["thread"] == thread and later["messages"][0]["llmrec"]["turn"] == 2
    assert "no conversation" in chat("-u", "ben", "--thread", thread, "-m", "why?").mistake


def test_a_question_stands_last_with_its_answers(chat: Llmrec) -> None:
    message = json.loads(chat("-m", "hello", "--json", "-").out)["messages"][0]
    question = message["llmrec"]["question"]
    assert question is not None
    last = chat("-m", "hello").out.splitlines()[-1]
    assert last == f"{question['text']}  [yes / no / don't care]"


def test_lines_of_a_pipe_are_messages(chat: Llmrec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("I want a mystery\n\nshow me results\n"))
    outcome = chat("--json", "talk.json")
    assert outcome.code == 0 and "you>" not in outcome.out
    assert [m["llmrec"]["turn"] for m in json.loads(Path("talk.json").read_text())["messages"]] == [1, 2]


def test_lists_of_titles_are_left_to_the_list() -> None:
    items = [{"title": "A"}, {"title": "B"}]
    for text, left in [
        ("For “x” I found “A” and “B”.", "For “x” I found:"),
        ("My best guesses so far: “A”, “B” and 3 more.", "My best guesses so far:"),
        ("“A”: it has jazz.", "“A”: it has jazz."),
        ("Not “A”, then. What else?", "Not “A”, then. What else?"),
        ("Nothing fits.", "Nothing fits."),
    ]:
        assert _without_titles(text, items) == left
    assert _without_titles("I found: “A”.", []) == "I found: “A”."


class Terminal:
    """`llmrec chat` at a terminal."""

    def __init__(self, workspace: Path) -> None:
        self.process, self.end = pty.fork()
        if self.process == 0:
            os.environ["TERM"] = "xterm"
            os.execv(
                sys.executable, [sys.executable, "-m", "llmrec.ui.cli.main", "chat", "-w", str(workspace), "-u", "eve"]
            )
        self.shown = ""

    def read(self, until: str = "you> ") -> str:
        """What is shown up to this mark, or to the end of the process."""
        shown, give_up = "", time.monotonic() + 60
        while until not in shown and time.monotonic() < give_up:
            if select.select([self.end], [], [], 0.2)[0]:
                try:
                    shown += os.read(self.end, 65536).decode(errors="replace")
                except OSError:
                    break
        return shown

    def type(self, text: str) -> None:
        time.sleep(0.3)  # the terminal is being set up for a line
        os.write(self.end, text.encode())

    def exit_code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def test_a_person_talks_and_leaves(served: Process, cli_workspace: Path) -> None:
    terminal = Terminal(cli_workspace)
    assert "Say what you are looking for" in terminal.read()
    terminal.type("I want a mystery\n")
    assert "mystery" in terminal.read()
    terminal.type("\n")
    assert "go on with: llmrec chat" in terminal.read("--thread") and terminal.exit_code() == 0


@pytest.mark.parametrize(("key", "code"), [("\x04", 0), ("\x03", 130)])
def test_ctrl_d_and_ctrl_c_leave_at_once(served: Process, cli_workspace: Path, key: str, code: int) -> None:
    terminal = Terminal(cli_workspace)
    terminal.read()
    terminal.type(key)
    rest = terminal.read("never")
    assert terminal.exit_code() == code and "Traceback" not in rest
