"""`eval conversation`: what is learnt from, who is talked to, what is reported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmrec import plugins
from llmrec.agents.conversation.policies.floors import AbsGreedy
from llmrec.agents.conversation.policies.lessons import Lessons
from llmrec.contracts import Action, BeliefView, Progress, Recommend, Row, no_progress
from llmrec.data import write_dataset
from llmrec.errors import UserError
from llmrec.evals import runner
from llmrec.evals.report import write_html
from llmrec.evals.suites.conversation import ConversationSuite, Task
from llmrec.evals.table import Result
from llmrec.testing.datasets import make_dataset

KEYS = {"SR@5", "SR@10", "SR@15", "AT", "hDCG"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """600 items with 3 of 20 tags each, 40 users with a given split."""
    rng = np.random.default_rng(3)
    rows = [
        {"item_id": f"i{item}", "title": f"Title {item}", "attributes": [f"t{tag}" for tag in rng.choice(20, 3, False)]}
        for item in range(600)
    ]
    events = [
        {
            "user_id": f"u{user}",
            "item_id": f"i{item}",
            "split": "train" if place < 8 else "valid" if place < 10 else "test",
        }
        for user in range(40)
        for place, item in enumerate(rng.choice(600, 12, False))
    ]
    folder = tmp_path_factory.mktemp("data") / "tags"
    write_dataset(make_dataset(rows, events), folder)
    return str(folder)


def run(folder: str, **options: Any) -> list[Row]:
    return ConversationSuite(**{"lessons": 40, "samples": 50, **options}).run(folder)


def test_rows_and_keys_of_the_design(folder: str) -> None:
    rows = run(folder, policies=("abs-greedy", "planner"), pairs=30)
    assert [(row.name, row.kind) for row in rows] == [("abs-greedy", "floor"), ("planner", "ours")]
    for row in rows:
        assert set(row.metrics) >= KEYS and set(row.intervals) == KEYS
        assert all(low <= row.metrics[key] <= high for key, (low, high) in row.intervals.items())
        assert row.metrics["pairs"] == 30 and row.fit_on == "train"
        (curve,) = row.curves.values()
        assert len(curve) == 14 and curve == sorted(curve)
        assert curve[-1] == pytest.approx(row.metrics["SR@15"]) and curve[4] == pytest.approx(row.metrics["SR@5"])
    assert rows[1].metrics["AT"] < rows[0].metrics["AT"]
    assert rows[1].metrics["SR@15"] >= 0.9


def test_all_test_pairs_by_default(folder: str) -> None:
    assert len(Task(ConversationSuite(), folder).pairs) == 80
    assert run(folder, policies=("abs-greedy",))[0].metrics["pairs"] == 80


def test_several_processes_say_what_one_does(folder: str) -> None:
    one, two = (
        run(folder, policies=("planner",), pairs=60, processes=processes, simulator="noise-10")[0]
        for processes in (1, 2)
    )
    metrics = [{key: value for key, value in row.metrics.items() if key in KEYS} for row in (one, two)]
    assert metrics[0] == metrics[1] and one.intervals == two.intervals


class Spy(AbsGreedy):
    """Remembers what it may learn from."""

    lessons: Lessons
    learnt = 0

    def learn(self, lessons: Lessons, progress: Progress = no_progress) -> Spy:
        Spy.lessons, Spy.learnt = lessons, Spy.learnt + 1
        super().learn(lessons, progress)
        return self


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> type[Spy]:
    monkeypatch.setattr(plugins, "load", lambda group, name: Spy)
    Spy.learnt = 0
    return Spy


def held(task: Task, part: str) -> set[tuple[str, str]]:
    return {(user, item) for user, items in task._parts.targets(part, "train").items() for item in items}  # type: ignore[arg-type]


def test_learns_from_train_and_validation_dialogues_only(folder: str, spy: type[Spy]) -> None:
    run(folder, policies=("spy",), lessons=1000)
    task = Task(ConversationSuite(), folder)
    people = {(person.user, person.wants()[0]) for person in spy.lessons.people}
    assert people == held(task, "valid") and not people & held(task, "test")
    train = set(spy.lessons.train.interactions.select("user_id", "item_id").iter_rows())
    assert len(train) == 320 and not train & (held(task, "valid") | held(task, "test"))
    assert spy.lessons.graph.interact.edges == 320


def test_validation_pairs_are_measured_on_other_users_than_those_learnt_from(folder: str, spy: type[Spy]) -> None:
    run(folder, policies=("spy",), target="valid", lessons=1000)
    measured = {pair.user for pair in Task(ConversationSuite(target="valid", lessons=1000), folder).pairs}
    learnt = {person.user for person in spy.lessons.people}
    assert measured and learnt and not measured & learnt and len(measured | learnt) == 40


def test_what_was_learnt_is_learnt_once_for_the_same_settings(folder: str, spy: type[Spy], tmp_path: Path) -> None:
    for _ in range(2):
        run(folder, policies=("spy",), pairs=5, learnt=str(tmp_path))
    assert spy.learnt == 1
    run(folder, policies=("spy",), pairs=5, learnt=str(tmp_path), simulator="noise-5")
    run(folder, policies=("spy",), pairs=5, learnt=str(tmp_path), settings={"spy": {"prior": "popularity"}})
    assert spy.learnt == 3


def test_unseen_leaves_out_the_train_items_of_the_user(folder: str) -> None:
    for candidates, there in (("all", True), ("unseen", False)):
        task = Task(ConversationSuite(candidates=candidates), folder)
        graph = task.lessons.graph
        mask = task.lessons.candidates("u1")
        assert mask[graph.interact.of(graph.users.position("u1"))].all() == there
        assert mask.sum() == (600 if there else 592)


class Fixed:
    """A policy that only decides: the contract and nothing else."""

    def decide(self, belief: BeliefView, turn: int, k: int = 10) -> Action:
        best = np.argsort(-belief.probabilities, kind="stable")[:k]
        return Recommend(tuple(map(str, belief.catalogue.index.ids[best])))


def test_policies_that_do_not_learn_take_part(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "load", lambda group, name: Fixed)
    row = run(folder, policies=("fixed",), pairs=40)[0]
    assert row.kind == "ours" and row.metrics["SR@15"] > 0.9  # 14 lists of 10 of about 90 items with the opening


def test_dialogues_are_written_for_reading(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "told" / "dialogues.jsonl"
    rows = run(folder, policies=("planner", "max-entropy"), pairs=10, dialogues=str(file))
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(told) == 20 and {line["policy"] for line in told} == {"planner", "max-entropy"}
    successes: Sequence[int] = [line["success"] for line in told if line["policy"] == "planner"]
    assert np.mean([bool(success) for success in successes]) == pytest.approx(rows[0].metrics["SR@15"])
    for line in told:
        assert line["wants"].startswith("Title ")
        for step in line["steps"]:
            assert step["path"][0] == "you" and step["path"][-1] in (step.get("ask"), *step.get("show", ()))
    with pytest.raises(UserError, match="--dialogues"):
        run(folder, policies=("abs-greedy",), pairs=1, dialogues=str(file / "below a file"))


def test_ablations_are_rows_of_the_planner(folder: str) -> None:
    rows = run(folder, policies=(), ablations=True, pairs=15, settings={"planner": {"question_cost": 0}})
    assert {row.name for row in rows} >= {
        "planner, prior of popularity",
        "planner, a no says nothing",
        "planner, look-ahead 1",
        "planner, reachable attributes",
    }
    assert all('"question_cost":0' in row.protocol for row in rows)
    by_name = {row.name: row for row in rows}
    assert '"negative":false' in by_name["planner, a no says nothing"].protocol


def test_published_rows_stand_where_the_protocol_is_theirs(folder: str, tmp_path: Path) -> None:
    data = tmp_path / "lastfm-star"
    data.mkdir()
    for file in Path(folder).iterdir():
        (data / file.name).write_bytes(file.read_bytes())
    options: dict[str, Any] = {"policies": ("abs-greedy",), "pairs": 5}
    rows = {row.name: row for row in run(str(data), **options)}
    assert rows["SCPR"].metrics == {"SR@15": 0.709, "AT": 8.43} and "1,000 test pairs" in rows["SCPR"].protocol
    assert "4,000" in rows["UNICORN"].protocol and "unchecked" in rows["UNICORN"].protocol
    assert all(row.kind != "published" for row in run(str(data), **options, candidates="unseen"))
    assert all(row.kind != "published" for row in run(str(data), **options, simulator="noise-5"))


def test_the_report_draws_success_by_action(folder: str, tmp_path: Path) -> None:
    result = Result("conversation", "tags", run(folder, policies=("abs-greedy", "max-entropy"), pairs=5))
    write_html(result, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == len(result.metrics()) + 1
    assert "SR by action" in json.dumps(result.to_json()["rows"][0]["curves"])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--simulator", "nobody"], "--simulator"),
        (["--candidates", "some"], "--candidates"),
        (["--settings", '{"planner": {"prior": "tarot"}}'], "planner cannot take the setting prior"),
        (["--policies", "no-such-policy"], "no-such-policy"),
    ],
)
def test_mistakes_are_told_in_one_sentence(folder: str, options: list[str], match: str) -> None:
    with pytest.raises(UserError, match=match):
        runner.run(ConversationSuite, folder, runner.parse_options(ConversationSuite, options))


def test_items_without_attributes_cannot_be_talked_about(tmp_path: Path) -> None:
    events = [{"user_id": "u", "item_id": item, "split": "test"} for item in "ab"]
    write_dataset(make_dataset([{"item_id": "a"}, {"item_id": "b"}], events), tmp_path / "bare")
    with pytest.raises(UserError, match="no attributes"):
        run(str(tmp_path / "bare"))


def test_real_pairs_are_all_there(shared_data: Path) -> None:
    task = Task(ConversationSuite(), str(shared_data / "lastfm"))
    assert len(task.pairs) == 11_892 and task.method == "given" and len(task.catalogue.attributes) == 33
    assert Task(ConversationSuite(), str(shared_data / "ml-100k")).method == "random-by-user"


def test_the_planner_reaches_twice_the_published_success(shared_data: Path) -> None:
    rows = run(str(shared_data / "lastfm-star"), policies=("planner",), pairs=60, lessons=200, target="valid")
    assert rows[0].metrics["SR@15"] >= 0.95 and rows[0].metrics["AT"] <= 5
