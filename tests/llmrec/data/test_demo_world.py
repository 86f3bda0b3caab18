"""The demo world: the same bytes from the same seed, coherent, and worth learning from."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from llmrec.data import Dataset, read_dataset
from llmrec.data.demo_world import generate, lexicon, load_truth
from llmrec.data.facets import derive_facets
from llmrec.data.splits import split


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    generate(folder)
    return folder


@pytest.fixture(scope="module")
def world(folder: Path) -> Dataset:
    return read_dataset(folder)


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_seeded(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        generate(tmp_path / name, seed=seed, items=120, users=40, events=1500)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert digest(tmp_path / "one") != digest(tmp_path / "three")


def test_sizes(world: Dataset) -> None:
    assert world.warnings == ()
    assert (len(world.items), len(world.users), len(world.interactions)) == (2000, 1000, 50_000)
    shares = dict(world.interactions["event"].value_counts(normalize=True).iter_rows())
    assert set(shares) == {"view", "like", "add", "buy", "dismiss"}
    assert min(shares.values()) > 0.05
    times = world.interactions["timestamp"]
    assert times.is_sorted()
    assert times[-1] - times[0] > 1.9 * 365 * 86_400


def test_books_read_like_books(world: Dataset) -> None:
    items = world.items
    assert items["title"].n_unique() == items["description"].n_unique() == 2000
    for text in [*items["title"], *items["description"], *world.reviews["text"], *world.queries["query"]]:
        assert not re.search(r"[{}|_]|\s{2}|^\s|\s$|\ba [aeio]\w|\ban [bcdfgjklmnpqrstvwz]\w|\.\.|\bthe the\b", text), (
            text
        )
    assert items["description"].str.contains(r"^[A-Z].*\.$").all()
    assert items["price"].is_between(4, 70).all()
    assert items["year"].is_between(1964, 2025).all()
    assert items["brand"].value_counts()["count"].min() >= 5  # type: ignore[operator]
    names = items["attributes"].explode()
    assert set(names) == set(lexicon.VALUES)
    assert names.value_counts()["count"].min() >= 15  # type: ignore[operator]
    assert 60 <= len({name for row in derive_facets(world).items["attributes"].to_list() for name in row}) <= 150


def test_facts_agree(world: Dataset) -> None:
    for row in world.items.iter_rows(named=True):
        facets = {lexicon.FACET_OF[name]: name for name in reversed(row["attributes"])}
        assert {"genre", "setting", "era", "mood", "hero", "theme", "length", "telling", "edition"} <= set(facets)
        said = [phrase for name in ("hero",) for phrase in lexicon.VALUES[facets[name]].say]
        assert any(phrase in row["description"] for phrase in said), row
        if facets["setting"] == "outer space":
            assert "science fiction" in row["attributes"]
        if facets["era"] in ("ancient world", "Middle Ages"):
            assert not {"railway", "detective", "pilot"} & set(row["attributes"])


def test_a_recommender_can_learn_from_it(folder: Path, world: Dataset) -> None:
    parts = split(world, "leave-one-out")
    data, targets = parts.fit("train+valid"), parts.targets("test", "train+valid")
    matrix, people = data.matrix(), list(targets)
    inverse = np.linalg.inv((matrix.T @ matrix).toarray() + 100 * np.eye(matrix.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    truth = load_truth(folder)
    last = dict(parts.test.group_by("user_id").agg(pl.col("timestamp").max()).iter_rows())

    def hit_rate(scores: np.ndarray) -> float:
        scores = np.array(scores, float)
        for row, person in enumerate(people):
            scores[row, data.item_index.positions(data.seen[person])] = -np.inf
        wanted = data.item_index.positions(targets[person][0] for person in people)
        return float(((scores > scores[np.arange(len(people)), wanted][:, None]).sum(axis=1) < 10).mean())

    popularity = hit_rate(np.tile(np.asarray(matrix.sum(axis=0)).ravel(), (len(people), 1)))
    ease = hit_rate(matrix[data.user_index.positions(people)] @ weights)
    oracle = hit_rate(truth.utility(people, [last[person] for person in people]))
    assert 2 * popularity < ease < oracle


def test_tastes_drift(folder: Path, world: Dataset) -> None:
    truth = load_truth(folder)
    people = list(truth.users)[:200]
    times = world.interactions["timestamp"]
    start, end = (truth.utility(people, [when] * len(people)) for when in (times[0], times[-1]))
    known = np.isfinite(start[0])
    similarity = [np.corrcoef(a[known], b[known])[0, 1] for a, b in zip(start, end, strict=True)]
    assert np.quantile(similarity, 0.1) < 0.6 < 0.95 < np.quantile(similarity, 0.9)


def test_nothing_happens_before_a_book_is_out(folder: Path, world: Dataset) -> None:
    pleasure = load_truth(folder).pleasure(world.interactions[::50])
    assert np.isfinite(pleasure).all()


def test_searches(world: Dataset) -> None:
    judgments, queries = world.judgments, world.queries
    assert judgments["query"].n_unique() == 300
    assert set(judgments["grade"]) == {0, 1, 2, 3}
    assert set(queries["query"]) <= set(judgments["query"])
    assert (judgments.group_by("query").agg(pl.col("grade").max())["grade"] == 3).all()
    # A search was answered by a book that its reader then looked at.
    looked = set(world.interactions.filter(pl.col("event") == "view").select("user_id", "item_id").iter_rows())
    assert set(queries.select("user_id", "item_id").iter_rows()) <= looked
    answered = queries.join(judgments, on=["query", "item_id"], how="left")
    assert (answered["grade"].fill_null(1) >= 1).all()
    parts = queries.group_by("query").agg(pl.col("split").n_unique())
    assert set(parts["split"]) == {1}
    # The words differ from those of the books: fewer than half of a search's words are in its best answers.
    best = judgments.filter(pl.col("grade") == 3).join(world.items, on="item_id").unique("query", maintain_order=True)
    shared = [
        len(set(query.split()) & set(re.findall(r"\w+", text.lower()))) / len(query.split())
        for query, text in best.select("query", pl.col("title") + " " + pl.col("description")).iter_rows()
    ]
    assert 0.1 < float(np.mean(shared)) < 0.6


def test_reviews_follow_pleasure(folder: Path, world: Dataset) -> None:
    reviews = world.reviews
    assert len(reviews) > 2000
    assert reviews["rating"].is_between(1, 5).all()
    truth = load_truth(folder)
    pleasure = truth.pleasure(reviews.with_columns(pl.col("timestamp").clip(upper_bound=1_767_225_599)))
    assert np.corrcoef(pleasure, reviews["rating"])[0, 1] > 0.4


def test_the_truth_is_not_part_of_the_dataset(world: Dataset) -> None:
    columns = {column for table in world.tables().values() for column in table.columns}
    assert not columns & {"start", "end", "voice", "quality", "released", "thrift"}
