"""Splits: partitions, pinned order, no pair on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from llmrec.data import Dataset, read_dataset
from llmrec.data.dataset import SCHEMAS, empty
from llmrec.data.splits import Method, split
from llmrec.errors import UserError


def dataset(rows: list[tuple[str, str, int, str]]) -> Dataset:
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "event"], orient="row")
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in SCHEMAS["interactions"].items() if name not in events]
    items = pl.DataFrame({"item_id": sorted({row[1] for row in rows}) or ["a"]})
    events = events.cast({"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64, "event": pl.String})
    return Dataset("made", items, events.with_columns(missing).select(list(SCHEMAS["interactions"])))


logs = st.lists(
    st.tuples(
        st.sampled_from("uvw"), st.sampled_from("abcdefgh"), st.integers(0, 9), st.sampled_from(["view", "dismiss"])
    ),
    min_size=1,
    max_size=60,
).map(dataset)


@settings(max_examples=60, deadline=None)
@given(logs, st.sampled_from(["leave-one-out", "temporal", "random-by-user"]), st.integers(0, 3))
def test_every_split_is_a_partition(data: Dataset, method: Method, seed: int) -> None:
    parts = split(data, method, seed=seed)
    assert len(parts.part) == len(data.interactions)
    assert len(parts.train) + len(parts.valid) + len(parts.test) == len(data.interactions)
    again = split(data, method, seed=seed)
    assert_frame_equal(parts.test, again.test)
    if method != "temporal":
        pairs = [set(part.select("user_id", "item_id").iter_rows()) for part in (parts.train, parts.valid, parts.test)]
        assert not (pairs[0] & pairs[1] or pairs[0] & pairs[2] or pairs[1] & pairs[2])
    for user, targets in parts.targets("test", "train+valid").items():
        assert not set(targets) & parts.fit("train+valid").seen.get(user, set())


@settings(max_examples=60, deadline=None)
@given(logs)
def test_leave_one_out_takes_the_last_two(data: Dataset) -> None:
    parts = split(data, "leave-one-out")
    assert {user: items[-1:] for user, items in data.histories.items() if len(items) >= 3} == parts.targets(
        "test", "train+valid"
    )
    assert {user: items[-2:-1] for user, items in data.histories.items() if len(items) >= 3} == parts.targets("valid")
    for user, items in data.histories.items():
        assert parts.fit().histories.get(user, []) == (items[:-2] if len(items) >= 3 else items)


def test_ties_go_by_file_row() -> None:
    parts = split(dataset([("u", item, 7, "view") for item in "bca"]), "leave-one-out")
    assert parts.valid["item_id"].to_list() == ["c"]
    assert parts.test["item_id"].to_list() == ["a"]


def test_repeats_stay_with_their_first_event() -> None:
    rows = [
        ("u", "a", 1, "view"),
        ("u", "b", 2, "view"),
        ("u", "c", 3, "view"),
        ("u", "c", 4, "buy"),
        ("u", "a", 9, "buy"),
    ]
    parts = split(dataset(rows), "leave-one-out")
    assert parts.test["timestamp"].to_list() == [3, 4]
    assert parts.train["timestamp"].to_list() == [1, 9]


def test_one_item_histories_only_train() -> None:
    parts = split(dataset([("u", "a", 1, "view"), ("v", "b", 1, "view"), ("v", "c", 2, "view")]), "leave-one-out")
    assert len(parts.train) == 3


def test_temporal_order() -> None:
    parts = split(dataset([("u", "abcdefghij"[n], n, "view") for n in range(10)]), "temporal")
    assert parts.train["timestamp"].max() < parts.valid["timestamp"].min()  # type: ignore[operator]
    assert parts.valid["timestamp"].max() < parts.test["timestamp"].min()  # type: ignore[operator]
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (8, 1, 1)


def test_random_by_user_keeps_the_proportions_of_each_user() -> None:
    rows = [(user, f"i{n}", n, "view") for user in "uvwxyz" for n in range(20)]
    parts = split(dataset(rows), "random-by-user", seed=1)
    for part, size in ((parts.train, 14), (parts.valid, 3), (parts.test, 3)):
        assert set(part.group_by("user_id").len()["len"]) == {size}
    assert split(dataset(rows), "random-by-user", seed=2).test.rows() != parts.test.rows()


def test_what_the_data_must_have() -> None:
    data = dataset([("u", "a", 1, "view")])
    with pytest.raises(UserError, match="split"):
        split(data, "given")
    with pytest.raises(UserError, match="timestamp"):
        split(data.with_interactions(data.interactions.with_columns(timestamp=pl.lit(None, pl.Int64))), "temporal")
    with pytest.raises(UserError, match="no interactions"):
        split(data.with_interactions(empty("interactions")), "leave-one-out")
    with pytest.raises(UserError, match="leave-one-out"):
        split(data, "by-moon")  # type: ignore[arg-type]


def test_given_splits_of_the_benchmark(shared_data: Path) -> None:
    parts = split(read_dataset(shared_data / "lastfm"), "given")
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (52_910, 11_891, 11_892)
    assert "given" in get_args(Method)


def test_random_by_user_on_movielens(shared_data: Path) -> None:
    parts = split(read_dataset(shared_data / "ml-100k"), "random-by-user")
    assert len(parts.train) == pytest.approx(70_000, abs=500)
    assert len(parts.valid) == pytest.approx(15_000, abs=500)
