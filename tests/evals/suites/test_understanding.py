from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation.understanding import Understood
from llmrec.data.read import write_dataset
from llmrec.errors import DataError, UserError
from llmrec.evals.suites.understanding import (
    ACT_ACCURACY,
    ATTRIBUTE_F1,
    UnderstandingSuite,
    Utterance,
    f1,
    fold_attribute,
    read_utterances,
    score,
)
from llmrec.testing.datasets import make_dataset
from llmrec.testing.scripted_server import Reply, ScriptedServer

LINES = [
    {
        "dataset": "tiny",
        "text": "yes, and no metal",
        "context": {"asked": "jazz"},
        "acts": [["accept"], ["reject", "metal"]],
    },
    {
        "dataset": "tiny",
        "text": "the second one",
        "context": {"shown": ["Heat", "Cold"]},
        "acts": [["like_item", "cold"]],
    },
    {"dataset": "tiny", "text": "blah blah", "acts": [["undo"]], "tags": ["typo"]},
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        {"item_id": "1", "title": "Heat", "attributes": ["jazz", "metal"]},
        {"item_id": "2", "title": "Cold", "attributes": ["folk"]},
    ]
    (tmp_path / "tiny").mkdir()
    write_dataset(make_dataset(rows), tmp_path / "tiny")
    (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, LINES)) + "\n\n", encoding="utf-8")
    return tmp_path


def test_rows_and_figures(data: Path) -> None:
    rows = {row.name: row for row in UnderstandingSuite(data=data, samples=50).run(str(data / "some.jsonl"))}
    assert rows["rules"].metrics[ACT_ACCURACY] == pytest.approx(2 / 3)
    assert rows["rules"].metrics[ATTRIBUTE_F1] == 1.0
    assert rows["rules: typo"].metrics[ACT_ACCURACY] == 0.0
    assert rows["rules: like_item"].metrics[ACT_ACCURACY] == 1.0
    low, high = rows["rules"].intervals[ACT_ACCURACY]
    assert 0 <= low <= 2 / 3 <= high <= 1


def test_an_engine_gets_its_own_row(data: Path) -> None:
    with ScriptedServer([Reply('{"acts": [{"kind": "undo", "value": null}]}')]) as server:
        suite = UnderstandingSuite(data=data, llm=f"openai:{server.url}", details=False, samples=10)
        rows = {row.name: row for row in suite.run(str(data / "some.jsonl"))}
    assert set(rows) == {"rules", "language-model"}
    assert rows["language-model"].metrics[ACT_ACCURACY] == pytest.approx(1 / 3)
    assert rows["language-model"].metrics["fallbacks"] == 0.0


def test_scores_by_hand() -> None:
    utterance = Utterance("d", "?", (("accept", "colour: Black"), ("reject", None), ("search", "x")), asked="jazz")
    given = (
        Act(kind=ActKind.ACCEPT, value="product colour: black"),
        Act(kind=ActKind.ACCEPT, value="folk"),
        Act(kind=ActKind.SEARCH, value="anything"),
    )
    one = score(utterance, Understood(given, "rules"))
    assert (one.exact, one.right, one.extra, one.missing) == (False, 1, 1, 1)
    assert f1([one]) == pytest.approx(0.5)


def test_what_is_compared_of_an_attribute() -> None:
    assert fold_attribute("product colour: Black") == fold_attribute("Cable colour: black") == "black"
    assert fold_attribute("bluetooth: True") != fold_attribute("hdmi: True")
    assert fold_attribute("cores: 2") != fold_attribute("threads: 2")
    assert fold_attribute("Jazz") == "jazz"


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"dataset": "d"}',
        '{"dataset": "d", "text": "t", "acts": [["fly"]]}',
        '{"dataset":"d","text":"t","acts":[]}',
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(json.dumps(LINES[2]) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"bad\.jsonl, row 2"):
        read_utterances(file)


def test_mistakes_of_the_user(data: Path) -> None:
    suite = UnderstandingSuite(data=data)
    with pytest.raises(UserError, match="there is no nowhere"):
        suite.run("nowhere")
    other = data / "other.jsonl"
    other.write_text(json.dumps({"dataset": "absent", "text": "t", "acts": [["undo"]]}), encoding="utf-8")
    with pytest.raises(UserError, match="no dataset 'absent'"):
        suite.run(str(other))
    other.write_text(json.dumps({**LINES[1], "context": {"shown": ["Nothing"]}}), encoding="utf-8")
    with pytest.raises(UserError, match="no item 'Nothing'"):
        suite.run(str(other))
    other.write_text("\n", encoding="utf-8")
    with pytest.raises(UserError, match="no utterances"):
        suite.run(str(other))
    with pytest.raises(UserError, match="no packaged utterance is about tiny"):
        suite.run(str(data / "tiny"))
