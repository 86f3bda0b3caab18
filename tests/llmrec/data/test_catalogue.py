"""The catalogue: facts, filters, upserts, and the way to disk and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec.data import Catalogue, read_dataset
from llmrec.data.facets import derive_facets
from llmrec.errors import DataError, UnknownName
from llmrec.filters import Filter

ROWS: list[dict[str, Any]] = [
    {
        "item_id": "a",
        "title": "Alpha",
        "brand": "HP",
        "price": 10,
        "year": 1999,
        "attributes": ["jazz", "colour: Black"],
    },
    {"item_id": "b", "title": "Beta", "brand": "hp", "price": 99.99, "attributes": ["Jazz", "rock"]},
    {"item_id": "c", "title": "Gamma", "description": "third letter", "year": 2005, "attributes": []},
    {"item_id": "d", "title": "", "brand": "Sony", "price": float("nan"), "attributes": ["rock", "bluetooth: True"]},
]


def catalogue(path: Path, rows: list[dict[str, Any]] = ROWS) -> Catalogue:
    (path / "items.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return Catalogue.from_dataset(read_dataset(path))


def found(shop: Catalogue, *filters: str) -> str:
    return "".join(shop.index.ids[shop.mask([Filter.parse(text) for text in filters])])


@pytest.mark.parametrize(
    ("filters", "items"),
    [
        ((), "abcd"),
        (("price<=99.99",), "ab"),
        (("price<99.99",), "a"),
        (("price!=10",), "b"),
        (("price>=0",), "ab"),
        (("year>2000",), "c"),
        (("year!=2005",), "a"),
        (("brand=HP",), "ab"),
        (("brand!=hp",), "cd"),
        (("brand=unknown",), ""),
        (("attribute=JAZZ",), "ab"),
        (("attribute!=rock",), "ac"),
        (("attribute=black",), "a"),
        (("attribute=colour: black",), "a"),
        (("attribute=unknown",), ""),
        (("attribute!=unknown",), "abcd"),
        (("attribute=rock", "price<100"), "b"),
        (("price>20", "price<5"), ""),
    ],
)
def test_filters(tmp_path: Path, filters: tuple[str, ...], items: str) -> None:
    assert found(catalogue(tmp_path), *filters) == items


def test_facts(tmp_path: Path) -> None:
    shop = catalogue(tmp_path)
    assert shop.item("a") == {
        "item_id": "a",
        "title": "Alpha",
        "description": "",
        "brand": "HP",
        "price": 10.0,
        "year": 1999,
        "attributes": ["jazz", "colour: Black"],
        "available": True,
    }
    assert shop.item("d")["price"] is None
    with pytest.raises(UnknownName, match="'z'"):
        shop.item("z")


def test_text_is_title_brand_description_of_400_characters(tmp_path: Path) -> None:
    rows = [{"item_id": 1, "title": "T", "brand": "B", "description": "d" * 900}, {"item_id": 2, "brand": "B"}]
    first, second = catalogue(tmp_path, rows).text([0, 1])
    assert first == "T B " + "d" * 396
    assert second == "B"


def test_attributes_stand_in_where_nothing_is_described(tmp_path: Path) -> None:
    shop = catalogue(
        tmp_path, [{"item_id": 1, "title": "Nelly", "attributes": ["rap", "hot"]}, {"item_id": 2, "title": "Adele"}]
    )
    assert shop.text([0, 1]) == ["Nelly rap, hot", "Adele"]


def test_labels(tmp_path: Path) -> None:
    shop = catalogue(tmp_path)
    assert [shop.label(name) for name in ("jazz", "brand: Sony", "bluetooth: True", "bluetooth: False")] == [
        "jazz",
        "Sony (brand)",
        "bluetooth",
        "no bluetooth",
    ]


def test_items_without_anything(tmp_path: Path) -> None:
    shop = catalogue(tmp_path, [{"item_id": 1}, {"item_id": 2}])
    assert (len(shop), len(shop.attributes), shop.matrix.shape) == (2, 0, (2, 0))
    assert shop.text([0]) == [""]
    assert found(shop, "attribute!=x") == "12"
    assert shop.matrix_t.shape == (0, 2)


def test_upsert_changes_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    shop = catalogue(tmp_path)
    rows: list[dict[str, Any]] = [
        {"item_id": "b", "price": 5, "available": False},
        {"item_id": "new", "title": "New", "attributes": ["rock", "blues"]},
        {"item_id": "b", "title": "Beta 2"},
    ]
    changed = shop.upsert(rows)
    assert changed.index.ids.tolist() == ["a", "b", "c", "d", "new"]
    assert changed.item("b") == {**shop.item("b"), "title": "Beta 2", "price": 5.0, "available": False}
    assert changed.item("new")["attributes"] == ["rock", "blues"]
    assert [changed.item(i) for i in "acd"] == [shop.item(i) for i in "acd"]
    assert found(changed, "price<=10") == "a", "b is not available"
    assert found(changed, "attribute=blues") == "new"
    assert shop.item("b")["title"] == "Beta", "the old catalogue stays as it was"
    assert list(changed.attributes)[: len(shop.attributes)] == list(shop.attributes)


def test_upsert_can_empty_a_field(tmp_path: Path) -> None:
    changed = catalogue(tmp_path).upsert([{"item_id": "a", "price": None, "attributes": []}])
    assert changed.item("a")["price"] is None
    assert changed.item("a")["attributes"] == []
    assert found(changed, "attribute=colour: black") == ""


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"title": "no id"}, "id is missing"),
        ({"item_id": None}, "id is missing"),
        ({"item_id": "a", "price": "dear"}, "not a number"),
        ({"item_id": "a", "colour": "red"}, "no such column"),
    ],
)
def test_malformed_upserts(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        catalogue(tmp_path).upsert([row])


def test_derived_attributes_follow_an_upsert(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"item_id": n, "title": f"{'green tea' if n % 2 else 'coffee'} {n}", "brand": "AB"[n % 2]} for n in range(20)
    ]
    (tmp_path / "items.jsonl").write_text("\n".join(json.dumps({**row, "year": 1994 + row["item_id"]}) for row in rows))
    shop = Catalogue.from_dataset(derive_facets(read_dataset(tmp_path)))
    assert set(shop.item("1")["attributes"]) == {"green tea", "brand: B", "1990s"}
    changed = shop.upsert(
        [{"item_id": 1, "title": "Coffee beans", "year": 2003}, {"item_id": "x", "title": "a green tea", "brand": "A"}]
    )
    assert set(changed.item("1")["attributes"]) == {"coffee", "brand: B", "2000s"}
    assert set(changed.item("x")["attributes"]) == {"green tea", "brand: A"}
    assert changed.upsert([{"item_id": "2", "price": 3}]).item("2")["attributes"] == shop.item("2")["attributes"]


names = st.sampled_from(["red", "green", "blue", "size: S", "size: L"])
upserts = st.lists(
    st.fixed_dictionaries(
        {"item_id": st.sampled_from("abcdxyz")},
        optional={
            "title": st.text(max_size=4),
            "price": st.none() | st.integers(0, 99),
            "attributes": st.lists(names, unique=True),
            "available": st.booleans(),
        },
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(rows=upserts)
def test_upserts_one_by_one_or_at_once(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    shop = catalogue(tmp_path_factory.mktemp("shop"))
    stepwise = shop
    for row in rows:
        stepwise = stepwise.upsert([row])
    at_once = shop.upsert(rows)
    assert at_once.index == stepwise.index

    def facts(of: Catalogue, item: str) -> dict[str, Any]:
        return {**of.item(item), "attributes": set(of.item(item)["attributes"])}

    for item in at_once.index:
        assert facts(at_once, item) == facts(stepwise, item)
    assert set(at_once.matrix.data) <= {1.0}


def test_save_and_load(tmp_path: Path) -> None:
    shop = catalogue(tmp_path).upsert([{"item_id": "e", "available": False, "attributes": ["ω: 🎷"]}])
    folder = tmp_path / "saved"
    folder.mkdir()
    shop.save(folder)
    again = Catalogue.load(folder)
    assert [again.item(i) for i in again.index] == [shop.item(i) for i in shop.index]
    assert again.attributes == shop.attributes
    assert (again.matrix != shop.matrix).nnz == 0
    assert np.array_equal(again.prices, shop.prices, equal_nan=True)
    assert not any(path.suffix in (".pkl", ".pickle") for path in folder.iterdir())
