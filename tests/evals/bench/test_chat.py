"""`bench chat`: its visitors recognise what is not theirs, its figures are right."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from llmrec.errors import LlmrecError
from llmrec.evals.bench.chat import ChatBench, Tally, Target, Visitor

CATALOGUE = [Target("1", "The Sea", frozenset({"sea"})), Target("2", "Plain", frozenset())]


def preference(kind: str, value: str, source: str = "conversation") -> dict[str, Any]:
    return {"act": {"kind": kind, "value": value}, "source": source}


def answer(
    thread: str = "t", *preferences: dict[str, Any], asks: list[str] | None = None, **more: Any
) -> dict[str, Any]:
    question = {"choices": asks} if asks else None
    return {"thread": thread, "question": question, "preferences": list(preferences), "acts": [], "items": [], **more}


def visitor() -> Visitor:
    someone = Visitor("v", random.Random(1))
    assert someone.start(CATALOGUE[:1]) == {"acts": [{"kind": "accept", "value": "sea"}]}
    assert someone.hear(answer("t", preference("accept", "sea"), asks=["ship"])) is None
    return someone


def test_a_visitor_knows_its_own_conversation() -> None:
    someone = visitor()
    own = (preference("accept", "sea"), preference("reject", "ship"))
    assert someone.hear(answer("t", *own, asks=["storm"])) is None
    understood = [{"kind": "accept", "value": "island"}]
    assert someone.hear(answer("t", *own, preference("accept", "island"), acts=understood)) is None
    assert someone.hear(answer("t", acts=[{"kind": "reset", "value": None}])) is None, "misunderstood, but its own"
    # The next conversation may remember the last.
    someone.start(CATALOGUE[:1])
    assert someone.hear(answer("t2", preference("accept", "sea"), preference("reject", "ship", "memory"))) is None


@pytest.mark.parametrize(
    ("foreign", "says"),
    [
        (answer("another", preference("accept", "sea")), "thread"),
        (answer("t", preference("accept", "sea"), preference("reject", "war")), "war"),
        (answer("t", preference("accept", "sea"), preference("reject", "war", "memory")), "war"),
        (answer("t", preference("reject", "ship")), "sea"),
    ],
)
def test_a_visitor_notices_what_belongs_to_another(foreign: dict[str, Any], says: str) -> None:
    problem = visitor().hear(foreign)
    assert problem is not None
    assert says in problem


def test_a_visitor_answers_truly_and_never_undoes_its_first_message() -> None:
    said: list[str] = []
    for seed in range(300):
        someone = Visitor("v", random.Random(seed))
        someone.start(CATALOGUE[:1])
        someone.hear(answer("t", preference("accept", "sea"), asks=["sea"], acts=[{"kind": "accept", "value": "sea"}]))
        message = someone.reply()
        said.append(message.get("text", "click"))
        assert message.get("text") not in ("no", "no thanks", "undo")
        for act in message.get("acts", []):
            assert act == {"kind": "accept", "value": "sea"}
    assert {"yes", "click", "show me results", "why this question?", "I don't care"} <= set(said)
    assert any(text.startswith("search for") for text in said)


def test_figures() -> None:
    tally = Tally(seconds=[n / 1000 for n in range(1, 101)])
    resident = (50.0, 100.0, 102.0, 104.0, 106.0, 108.0)
    tally.memory = [(60.0 * minute, mb, 40.0) for minute, mb in enumerate(resident)]
    row = tally.row("crowd", 50.0, 32)
    assert row.metrics["p50_ms"] == pytest.approx(50.5)
    assert row.metrics["p99_ms"] == pytest.approx(99.01)
    assert row.metrics["per_second"] == 2
    assert row.metrics["rss_slope_mb_per_minute"] == pytest.approx(2.0), "the first fifth does not count"
    assert row.metrics["private_slope_mb_per_minute"] == pytest.approx(0.0, abs=1e-3)
    assert (row.metrics["rss_start_mb"], row.metrics["rss_end_mb"], row.metrics["peak_mb"]) == (50, 108, 108)
    assert row.metrics["errors"] == row.metrics["crosstalk"] == 0
    with pytest.raises(LlmrecError, match="no turn was answered"):
        Tally().row("alone", 1.0)


def test_a_served_workspace_is_measured_and_its_state_left_alone(demo_workspace: Path) -> None:
    before = sorted(path for path in demo_workspace.rglob("*") if "state" in path.parts)
    bench = ChatBench(conversations=4, minutes=0.1, thought=0.1, alone=15)
    alone, crowd = bench.run(str(demo_workspace))
    assert (alone.name, crowd.name) == ("alone", "crowd")
    for row in (alone, crowd):
        assert row.metrics["errors"] == row.metrics["crosstalk"] == 0, row.protocol
        assert 0 < row.metrics["p50_ms"] <= row.metrics["p99_ms"]
    assert alone.metrics["turns"] >= 15
    assert crowd.metrics["rss_start_mb"] > crowd.metrics["private_start_mb"] > 50
    assert before == sorted(path for path in demo_workspace.rglob("*") if "state" in path.parts)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{broken")
    with pytest.raises(LlmrecError, match=r"did not start: .*manifest"):
        ChatBench().run(str(tmp_path))
