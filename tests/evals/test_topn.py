"""`eval topn` and `eval tune`: what is fitted on what, and the figures that a correct implementation reproduces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmrec import plugins
from llmrec.contracts import Recommendations, Row, Who
from llmrec.data import write_dataset
from llmrec.data.dataset import Dataset
from llmrec.errors import UserError
from llmrec.evals import runner
from llmrec.evals.source import read_source
from llmrec.evals.suites.topn import TopN
from llmrec.evals.suites.tune import Tune
from llmrec.retrieval.collaborative import Popularity
from llmrec.testing.datasets import make_dataset, two_tastes
from llmrec.workspace import Step, StepContext, Workspace


@pytest.fixture
def folder(tmp_path: Path) -> str:
    write_dataset(two_tastes(), tmp_path / "tastes")
    return str(tmp_path / "tastes")


class Spy(Popularity):
    """Remembers what it is fitted on and asked."""

    fitted: Dataset
    asked: list[Sequence[Who]]

    def fit(self, dataset: Dataset, *rest: Any) -> Spy:
        Spy.fitted, Spy.asked = dataset, []
        super().fit(dataset, *rest)
        return self

    def recommend(self, users: Sequence[Who], *rest: Any, **options: Any) -> Recommendations:
        Spy.asked.append(users)
        return super().recommend(users, *rest, **options)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Two users with the histories a b c d and d c b a, and one with two events only."""
    events = [
        {"user_id": user, "item_id": item, "timestamp": time}
        for user, items in {"u": "abcd", "v": "dcba", "w": "ab"}.items()
        for time, item in enumerate(items)
    ]
    write_dataset(make_dataset([{"item_id": item} for item in "abcd"], events), tmp_path / "letters")
    monkeypatch.setattr(plugins, "load", lambda group, name: Spy)
    return str(tmp_path / "letters")


@pytest.mark.parametrize(
    ("options", "fitted", "asked"),
    [
        ({"fit_on": "train+valid"}, {"u": "abc", "v": "dcb", "w": "ab"}, ["abc", "dcb"]),
        ({"fit_on": "train"}, {"u": "ab", "v": "dc", "w": "ab"}, ["abc", "dcb"]),
        ({"target": "valid"}, {"u": "ab", "v": "dc", "w": "ab"}, ["ab", "dc"]),
    ],
)
def test_what_is_fitted_on_and_what_lists_are_made_from(
    spy: str, options: dict[str, str], fitted: dict[str, str], asked: list[str]
) -> None:
    rows = TopN(recommenders=("spy",), **options).run(spy)
    assert {user: "".join(items) for user, items in Spy.fitted.histories.items()} == fitted
    assert ["".join(history) for history in Spy.asked[0]] == asked
    assert rows[0].fit_on == ("train" if options != {"fit_on": "train+valid"} else "train+valid")


def test_figures_by_hand(spy: str) -> None:
    (row,) = TopN(recommenders=("spy",)).run(spy)
    # Each of the two users has one item that is not seen, and it is the wanted one.
    assert row.metrics["HR@10"] == row.metrics["NDCG@10"] == row.metrics["Recall@20"] == row.metrics["MRR@10"] == 1
    assert row.metrics["coverage@10"] == 0.5  # d and a
    assert row.metrics["Gini@10"] == 0.5
    assert row.intervals["HR@10"] == (1, 1)


def test_recommenders_are_ranked_as_they_should_be(folder: str) -> None:
    rows = {row.name: row for row in TopN(recommenders=("popularity", "ease", "item-to-item")).run(folder)}
    assert list(rows) == ["popularity", "ease", "item-to-item"]
    assert rows["popularity"].kind == "floor" and rows["ease"].kind == "ours"
    for metric in ("NDCG@10", "MRR@10"):
        assert rows["ease"].metrics[metric] > rows["popularity"].metrics[metric]
    for row in rows.values():
        assert all(low <= row.metrics[key] <= high for key, (low, high) in row.intervals.items())
        assert "60 users" in row.protocol and "ties in catalogue order" in row.protocol


def test_the_result_has_the_shape_of_every_eval(folder: str) -> None:
    kind = runner.suite("topn")
    options = runner.parse_options(kind, ["--recommenders", "popularity,ease", "--fit-on", "train", "--split=temporal"])
    result = runner.run(kind, folder, options).to_json()
    assert set(result) == {"suite", "dataset", "rows", "environment"}
    assert result["suite"] == "topn" and result["dataset"] == "tastes"
    assert [row["name"] for row in result["rows"]] == ["popularity", "ease"]
    for row in result["rows"]:
        assert {"name", "kind", "protocol", "fit_on", "metrics", "intervals", "seconds"} <= set(row)
        assert {"HR@10", "NDCG@10", "Recall@20"} <= set(row["metrics"]) and row["fit_on"] == "train"
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize("split", ["leave-one-out", "temporal", "random-by-user"])
def test_every_split_runs(folder: str, split: Any) -> None:
    (row,) = TopN(recommenders=("ease",), split=split).run(folder)
    assert 0 < row.metrics["Recall@20"] <= 1 and split in row.protocol


def test_settings_reach_the_recommender(folder: str) -> None:
    (row,) = TopN(recommenders=("ease",), settings='{"ease": {"regularization": 7}}').run(folder)  # type: ignore[arg-type]
    assert '"regularization":7.0' in row.protocol


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recommenders": ["eas"]}, "did you mean ease"),
        ({"settings": '{"ease": {"lambda": 7}}', "recommenders": ["ease"]}, "ease cannot take the setting lambda"),
        ({"settings": "{"}, "not JSON"),
        ({"split": "given"}, "fill the column 'split'"),
        ({"fit_on": "test"}, "--fit-on"),
    ],
)
def test_mistakes_are_answered_in_one_sentence(folder: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        runner.run(runner.suite("topn"), folder, options)


def test_a_dataset_with_nothing_to_predict(tmp_path: Path) -> None:
    write_dataset(make_dataset([{"item_id": "a"}], [{"user_id": "u", "item_id": "a"}]), tmp_path)
    with pytest.raises(UserError, match="leaves nothing to predict in test"):
        TopN(recommenders=("ease",)).run(str(tmp_path))


def test_a_workspace_is_a_source(tmp_path: Path) -> None:
    def write(context: StepContext) -> None:
        write_dataset(two_tastes(), context.folder)
        (context.folder / "about.json").write_text('{"name": "tastes"}')

    with Workspace.create(tmp_path / "ws") as workspace:
        workspace.build([Step(name="data/dataset", build=write)])
    dataset = read_source(str(tmp_path / "ws"))
    assert dataset.name == "tastes" and dataset.histories == two_tastes().histories


def test_tune_orders_settings_by_validation_and_never_looks_at_the_test(folder: str) -> None:
    rows = Tune(recommender="ease", grid='{"regularization": [1, 100], "exact_items": [50]}').run(folder)  # type: ignore[arg-type]
    figures = [row.metrics["NDCG@10"] for row in rows]
    assert len(rows) == 2 and figures == sorted(figures, reverse=True)
    assert all("valid items" in row.protocol and row.fit_on == "train" for row in rows)


def test_tune_needs_a_grid(folder: str) -> None:
    with pytest.raises(UserError, match="give one by --grid"):
        Tune(recommender="popularity").run(folder)


@pytest.fixture(scope="module")
def beauty(shared_data: Path) -> dict[str, Row]:
    options = runner.parse_options(TopN, ["--recommenders", "popularity,ials,ease", "--fit-on", "train+valid"])
    return {row.name: row for row in TopN(**options).run(str(shared_data / "amazon-beauty"))}


@pytest.mark.timeout(900)  # EASE of 12,101 items: 10 s on two free cores, minutes on busy ones
def test_ease_on_beauty_reproduces_the_known_figures(beauty: dict[str, Row]) -> None:
    assert beauty["ease"].metrics["HR@10"] == pytest.approx(0.0782, abs=0.001)
    assert beauty["ease"].metrics["NDCG@10"] == pytest.approx(0.0445, abs=0.001)


def test_ials_on_beauty(beauty: dict[str, Row]) -> None:
    assert beauty["ials"].metrics["HR@10"] >= 0.064


def test_published_rows_stand_beside_ours(beauty: dict[str, Row]) -> None:
    assert beauty["TIGER"].kind == "published"
    assert beauty["TIGER"].metrics == {"HR@10": 0.0648, "NDCG@10": 0.0384}
    assert np.isfinite([v for row in beauty.values() for v in row.metrics.values()]).all()
