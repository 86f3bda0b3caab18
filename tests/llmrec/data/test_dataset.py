"""What a dataset says about its events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec.data import Dataset, Index, read_dataset


def dataset(path: Path, interactions: str, items: str = "a b c d") -> Dataset:
    (path / "items.csv").write_text("item_id\n" + "\n".join(items.split()) + "\n")
    (path / "interactions.csv").write_text(interactions)
    return read_dataset(path)


def test_positives_leave_out_what_was_not_liked(tmp_path: Path) -> None:
    data = dataset(
        tmp_path,
        "user_id,item_id,event,label,rating\n1,a,view,,\n1,b,dismiss,,\n1,c,,0,\n2,a,,1,\n2,b,,,3\n2,c,,,3.5\n2,d,,,NaN\n",
    )
    pairs = [(user, item) for user, item in data.positives.select("user_id", "item_id").iter_rows()]
    assert pairs == [("1", "a"), ("2", "a"), ("2", "c"), ("2", "d")]
    assert data.seen == {"1": {"a", "b", "c"}, "2": {"a", "b", "c", "d"}}
    assert data.matrix().toarray().tolist() == [[1, 0, 0, 0], [1, 0, 1, 1]]


def test_histories_are_pinned_by_time_then_row(tmp_path: Path) -> None:
    data = dataset(tmp_path, "user_id,item_id,timestamp\n1,d,5\n1,b,5\n1,a,1\n1,d,0\n2,c,\n")
    assert data.histories == {"1": ["d", "a", "b"], "2": ["c"]}
    assert list(data.user_index) == ["1", "2"]


def test_repeated_events_count_once_in_the_matrix(tmp_path: Path) -> None:
    data = dataset(tmp_path, "user_id,item_id\n1,a\n1,a\n1,b\n")
    assert data.matrix().data.tolist() == [1.0, 1.0]
    assert data.matrix().dtype == np.float32


def test_the_fingerprint_follows_content_not_name(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    first = dataset(one, "user_id,item_id\n1,a\n")
    same = dataset(two, "user_id,item_id\n1,a\n")
    assert first.fingerprint() == same.fingerprint()
    other = first.with_interactions(pl.concat([first.interactions, first.interactions]))
    assert other.fingerprint() != first.fingerprint()


@given(st.lists(st.text(), unique=True))
def test_an_index_is_a_bijection(names: list[str]) -> None:
    index = Index(names)
    assert index.positions(names).tolist() == list(range(len(names)))
    assert list(index.ids) == names == list(index)
    assert index.position("never in there" * 9) == -1
    assert all(name in index for name in names)


@given(st.lists(st.text(max_size=3), unique=True), st.lists(st.text(max_size=3)))
def test_an_extended_index_keeps_its_positions(names: list[str], more: list[str]) -> None:
    index = Index(names)
    assert index.extended(more).ids.tolist() == list(dict.fromkeys([*names, *more]))
    assert index.extended(more) == Index(dict.fromkeys([*names, *more]))
    assert list(index) == names


def test_an_index_refuses_repeats() -> None:
    with pytest.raises(ValueError, match="distinct"):
        Index(["a", "a"])
