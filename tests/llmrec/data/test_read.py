"""Reading: formats, types, errors that name the place, repairs that are told, and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from llmrec.data import read_dataset, write_dataset
from llmrec.data.read import read_rows
from llmrec.errors import DataError, UserError

ITEMS = "item_id,title\n1,One\n2,Two\n3,Three\n"


def folder_of(path: Path, **files: str) -> Path:
    for name, content in files.items():
        table, _, suffix = name.rpartition("_")
        (path / f"{table}.{suffix}").write_text(content, encoding="utf-8")
    return path


def test_the_smallest_dataset(tmp_path: Path) -> None:
    data = read_dataset(folder_of(tmp_path, items_csv="item_id\n7\n", interactions_csv="user_id,item_id\n1,7\n"))
    assert data.name == tmp_path.name
    assert data.items.row(0, named=True) == {
        "item_id": "7",
        "title": "",
        "description": "",
        "brand": "",
        "price": None,
        "year": None,
        "attributes": [],
        "attribute_ids": [],
        "available": True,
    }
    assert data.histories == {"1": ["7"]}
    assert data.warnings == ()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_every_format_reads_the_same(tmp_path: Path, suffix: str) -> None:
    rows: list[dict[str, Any]] = [
        {"item_id": 1, "title": "Äpfel, süß", "attributes": ["red", "sweet"], "price": 1.5, "year": 1999},
        {"item_id": 2, "title": 'the "best" 🍐', "attributes": [], "price": None, "year": None},
    ]
    if suffix == "csv":
        text = 'item_id,title,attributes,price,year\n1,"Äpfel, süß",red|sweet,1.5,1999\n2,"the ""best"" 🍐",,,\n'
        (tmp_path / "items.csv").write_text(text, encoding="utf-8")
    elif suffix == "jsonl":
        (tmp_path / "items.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    else:
        pl.DataFrame(rows).write_parquet(tmp_path / "items.parquet")
    items = read_dataset(tmp_path).items
    assert items["item_id"].to_list() == ["1", "2"]
    assert items["title"].to_list() == ["Äpfel, süß", 'the "best" 🍐']
    assert items["attributes"].to_list() == [["red", "sweet"], []]
    assert items["price"].to_list() == [1.5, None]
    assert items["year"].to_list() == [1999, None]


@pytest.mark.parametrize(
    ("files", "file", "row", "column"),
    [
        ({"items_csv": "id,title\n1,One\n"}, "items.csv", None, "item_id"),
        ({"items_csv": "item_id,title\n1,One\n,Two\n"}, "items.csv", 2, "item_id"),
        ({"items_csv": "item_id,title\n1,One\n  ,Two\n"}, "items.csv", 2, "item_id"),
        ({"items_csv": "item_id,price\n1,2\n2,cheap\n"}, "items.csv", 2, "price"),
        ({"items_csv": "item_id,year\n1,1990\n2,1990.5\n"}, "items.csv", 2, "year"),
        ({"items_csv": "item_id,year\n1,99999\n"}, "items.csv", 1, "year"),
        ({"items_csv": "item_id,attribute_ids\n1,3|4\n2,3|x\n"}, "items.csv", 2, "attribute_ids"),
        ({"items_csv": "item_id,available\n1,maybe\n"}, "items.csv", 1, "available"),
        ({"items_csv": "item_id,title\n1,One\n2,Two,Too\n"}, "items.csv", 2, None),
        ({"items_csv": "item_id,title\n1,One\n2\n"}, "items.csv", 2, None),
        ({"items_csv": ""}, "items.csv", None, None),
        ({"items_jsonl": '{"item_id": 1}\n{"item_id": 2\n'}, "items.jsonl", 2, None),
        ({"items_jsonl": '{"item_id": 1}\n[2]\n'}, "items.jsonl", 2, None),
        ({"items_jsonl": '{"item_id": 1}\n{"item_id": null}\n'}, "items.jsonl", 2, "item_id"),
        ({"items_jsonl": '{"item_id": 1, "title": {"en": "One"}}\n'}, "items.jsonl", 1, "title"),
        ({"items_jsonl": '{"item_id": 1.5}\n'}, "items.jsonl", 1, "item_id"),
        ({"items_parquet": "this is no parquet file"}, "items.parquet", None, None),
        ({"items_csv": ITEMS, "interactions_csv": "user_id\n1\n"}, "interactions.csv", None, "item_id"),
        ({"items_csv": ITEMS, "interactions_csv": "user_id,item_id\n,1\n"}, "interactions.csv", 1, "user_id"),
        (
            {"items_csv": ITEMS, "interactions_csv": "user_id,item_id,event\n1,1,view\n1,2,hated\n"},
            "interactions.csv",
            2,
            "event",
        ),
        ({"items_csv": ITEMS, "interactions_csv": "user_id,item_id,label\n1,1,2\n"}, "interactions.csv", 1, "label"),
        ({"items_csv": ITEMS, "interactions_csv": "user_id,item_id,split\n1,1,dev\n"}, "interactions.csv", 1, "split"),
        (
            {"items_csv": ITEMS, "interactions_csv": "user_id,item_id,timestamp\n1,1,yesterday\n"},
            "interactions.csv",
            1,
            "timestamp",
        ),
        ({"items_csv": ITEMS, "judgments_csv": "query,item_id,grade\nq,1,\n"}, "judgments.csv", 1, "grade"),
        ({"items_csv": ITEMS, "judgments_csv": "query,item_id,grade\nq,1,4\n"}, "judgments.csv", 1, "grade"),
        ({"items_csv": ITEMS, "reviews_csv": "user_id,item_id\n1,1\n"}, "reviews.csv", None, "text"),
    ],
)
def test_malformed_files_are_named(
    tmp_path: Path, files: dict[str, str], file: str, row: int | None, column: str | None
) -> None:
    with pytest.raises(DataError) as caught:
        read_dataset(folder_of(tmp_path, **files))
    assert (caught.value.file, caught.value.row, caught.value.column) == (file, row, column)
    assert str(caught.value).startswith(file)
    assert "\n" not in str(caught.value)


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_bytes(b'{"item_id": "1", "title": "\xff\xfe"}\n')
    with pytest.raises(DataError, match="UTF-8"):
        read_dataset(tmp_path)
    (tmp_path / "items.jsonl").unlink()
    (tmp_path / "items.csv").write_bytes(b"item_id,title\n1,\xff\xfe\n")
    with pytest.raises(DataError):
        read_dataset(tmp_path)


def test_wrong_types_in_parquet(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": ["1"], "price": [True]}).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(DataError, match="numbers"):
        read_dataset(tmp_path)
    pl.DataFrame({"item_id": ["1"], "attributes": [[1.5]]}).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(DataError, match="attributes"):
        read_dataset(tmp_path)
    pl.DataFrame({"item_id": [["1"]]}).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(DataError, match="item_id"):
        read_dataset(tmp_path)


def test_folders_that_are_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data folder"):
        read_dataset(tmp_path / "absent")
    with pytest.raises(UserError, match="items"):
        read_dataset(tmp_path)
    folder_of(tmp_path, items_csv=ITEMS, items_jsonl='{"item_id": 1}')
    with pytest.raises(UserError, match="keep one"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("files", [{"items_csv": "item_id,title\n"}, {"items_jsonl": "\n"}])
def test_an_empty_catalogue(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"empty|missing"):
        read_dataset(folder_of(tmp_path, **files))


def test_duplicate_items_keep_the_last(tmp_path: Path) -> None:
    data = read_dataset(folder_of(tmp_path, items_csv="item_id,title\n1,old\n2,two\n1,new\n"))
    assert dict(data.items.select("item_id", "title").iter_rows()) == {"2": "two", "1": "new"}
    (warning,) = data.warnings
    assert "row 1" in warning and "'1'" in warning


def test_unknown_items_are_left_out_and_told(tmp_path: Path) -> None:
    files = {
        "items_csv": ITEMS,
        "interactions_csv": "user_id,item_id\n1,1\n1,99\n1,98\n",
        "judgments_csv": "query,item_id,grade\nq,1,3\nq,99,1\n",
        "reviews_csv": "user_id,item_id,text\n1,97,gone\n",
    }
    data = read_dataset(folder_of(tmp_path, **files))
    assert (len(data.interactions), len(data.judgments), len(data.reviews)) == (1, 1, 0)
    assert len(data.warnings) == 3
    assert "2 rows" in data.warnings[0] and "row 2" in data.warnings[0] and "'99'" in data.warnings[0]


@pytest.mark.parametrize("price", ["NaN", "inf", "-1", "1e300", "2000000000"])
def test_impossible_prices_are_unknown(tmp_path: Path, price: str) -> None:
    data = read_dataset(folder_of(tmp_path, items_csv=f"item_id,price\n1,5\n2,{price}\n"))
    assert data.items["price"].to_list() == [5.0, None]
    assert "row 2" in data.warnings[0]


def test_times(tmp_path: Path) -> None:
    table = "user_id,item_id,timestamp\n1,1,86400\n1,2,1970-01-02T00:00:00Z\n1,3,1970-01-03\n"
    data = read_dataset(folder_of(tmp_path, items_csv=ITEMS, interactions_csv=table))
    assert data.interactions["timestamp"].to_list() == [86400, 86400, 2 * 86400]


def test_whole_numbers_that_passed_through_floats_are_ids(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": [1.0, 2.0], "year": [1990.0, None]}).write_parquet(tmp_path / "items.parquet")
    items = read_dataset(tmp_path).items
    assert items["item_id"].to_list() == ["1", "2"]
    assert items["year"].to_list() == [1990, None]


def test_unknown_columns_stay(tmp_path: Path) -> None:
    data = read_dataset(folder_of(tmp_path, items_csv=ITEMS, users_csv="user_id,age\n1,32\n"))
    assert data.users["age"].to_list() == ["32"]
    write_dataset(data, tmp_path / "copy")
    assert read_dataset(tmp_path / "copy").users["age"].to_list() == ["32"]


def test_rows_of_one_file(tmp_path: Path) -> None:
    folder_of(
        tmp_path, new_csv="item_id,price,attributes\n7,2.5,a|b\n8,,\n", events_jsonl='{"user_id": 1, "item_id": 7}\n'
    )
    assert read_rows(tmp_path / "new.csv", "items") == [
        {"item_id": "7", "price": 2.5, "attributes": ["a", "b"]},
        {"item_id": "8"},
    ]
    assert read_rows(tmp_path / "events.jsonl", "interactions") == [{"user_id": "1", "item_id": "7"}]
    with pytest.raises(DataError, match=r"new\.csv.*user_id"):
        read_rows(tmp_path / "new.csv", "interactions")
    for wrong in ("absent.csv", "."):
        with pytest.raises(UserError, match="cannot read"):
            read_rows(tmp_path / wrong, "items")


names = st.text(min_size=1, max_size=8).filter(lambda text: text.strip() == text and "|" not in text)
items = st.fixed_dictionaries(
    {
        "item_id": names,
        "title": st.text(max_size=10),
        "attributes": st.lists(names, max_size=3, unique=True),
        "price": st.none() | st.floats(0, 1e6, width=32),
        "year": st.none() | st.integers(-500, 2100),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(items, min_size=1, max_size=6, unique_by=lambda row: row["item_id"]),
    events=st.lists(st.tuples(names, st.integers(0, 5), st.none() | st.integers(0, 2**40)), max_size=8),
)
def test_round_trip(tmp_path: Path, rows: list[dict[str, Any]], events: list[tuple[str, int, int | None]]) -> None:
    schema: dict[str, Any] = {"item_id": pl.String, "title": pl.String, "attributes": pl.List(pl.String)}
    first = tmp_path / "first"
    first.mkdir(exist_ok=True)
    pl.DataFrame(rows, schema_overrides={**schema, "price": pl.Float32, "year": pl.Int32}).write_parquet(
        first / "items.parquet"
    )
    pl.DataFrame(
        [(user, rows[at % len(rows)]["item_id"], time) for user, at, time in events],
        schema={"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64},
        orient="row",
    ).write_parquet(first / "interactions.parquet")
    data = read_dataset(first)
    second = tmp_path / "second"
    for old in second.glob("*"):
        old.unlink()
    write_dataset(data, second)
    again = read_dataset(second)
    for name, table in data.tables().items():
        assert_frame_equal(table, again.tables()[name])
    assert again.fingerprint() == data.fingerprint()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("ml-100k", (943, 1682, 100_000)),
        ("lastfm", (1801, 7432, 76_693)),
        ("lastfm-star", (1801, 7432, 76_693)),
        ("amazon-beauty", (22_363, 12_101, 198_502)),
        ("ml-1m-ctr", (838, 3255, 51_623)),
        ("chorus-electronics", (0, 19_406, 0)),
    ],
)
def test_benchmark_data(shared_data: Path, name: str, size: tuple[int, int, int]) -> None:
    data = read_dataset(shared_data / name)
    assert (len(data.user_index), len(data.item_index), len(data.interactions)) == size
    assert data.warnings == ()
