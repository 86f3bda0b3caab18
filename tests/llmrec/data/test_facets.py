"""Readable attributes, whatever the catalogue has."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from llmrec.data import Dataset, read_dataset
from llmrec.data.facets import derive_facets
from llmrec.data.phrases import find, mine


def dataset(path: Path, rows: list[dict[str, Any]]) -> Dataset:
    (path / "items.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return read_dataset(path)


def attributes(data: Dataset) -> list[list[str]]:
    return derive_facets(data).items["attributes"].to_list()


def test_named_attributes_stay(tmp_path: Path) -> None:
    data = dataset(
        tmp_path, [{"item_id": 1, "title": "x", "attributes": ["80's", "seen live"]}, {"item_id": 2, "title": "y"}]
    )
    assert attributes(data) == [["80's", "seen live"], []]
    assert data.items["attributes"].to_list() == [["80's", "seen live"], []], "the raw data stays raw"


def test_decades_from_years_and_from_titles(tmp_path: Path) -> None:
    rows = [
        {"item_id": 1, "title": "Heat (1995)", "attributes": ["Crime"]},
        {"item_id": 2, "title": "Alien (1979)", "attributes": []},
        {"item_id": 3, "title": "Untitled", "attributes": ["Crime"]},
    ]
    assert attributes(dataset(tmp_path, rows)) == [["Crime", "1990s"], ["1970s"], ["Crime"]]
    rows = [{"item_id": 1, "year": 2000, "attributes": ["Crime"]}]
    assert attributes(dataset(tmp_path, rows)) == [["Crime", "2000s"]]


def test_brands_of_several_items(tmp_path: Path) -> None:
    rows = [
        {"item_id": n, "brand": brand, "price": 9.5, "attributes": ["x"]}
        for n, brand in enumerate(["HP", "HP", "Solo", ""])
    ]
    assert attributes(dataset(tmp_path, rows)) == [["x", "brand: HP"], ["x", "brand: HP"], ["x"], ["x"]]


def test_product_feeds_keep_what_helps_to_choose(tmp_path: Path) -> None:
    rows = [
        {
            "item_id": n,
            "title": "thing",
            "attributes": [
                "Colour: Black" if n % 3 else "Colour: black",
                "package weight: 38.0",
                f"length: {n}",
                "bluetooth: True" if n % 2 else "bluetooth: False",
                f"oem code: X{n % 3}",
                "cores: 4.0",
            ],
        }
        for n in range(12)
    ]
    found = attributes(dataset(tmp_path, rows))
    assert {name for row in found for name in row} == {"Colour: Black", "bluetooth: True"}


def test_ids_are_never_shown(tmp_path: Path) -> None:
    titles = ["hair oil", "face soap"] * 4
    rows = [{"item_id": f"B0{n}", "title": f"{n}00ml {t}", "attribute_ids": [173, n]} for n, t in enumerate(titles)]
    assert attributes(dataset(tmp_path, rows)) == [["hair oil"], ["face soap"]] * 4


def test_nothing_to_go_by(tmp_path: Path) -> None:
    assert attributes(dataset(tmp_path, [{"item_id": 1}, {"item_id": 2}])) == [[], []]


def test_mining_knows_brands_units_and_cut_off_words() -> None:
    kinds = ["argan shampoo", "night cream", "lip balm", "hair mask", "body wash", "face toner"]
    titles = [f"zork {kind} {n} oz" for n, kind in enumerate(kinds * 4)]
    titles += [f"{kind} by hand" for kind in kinds * 4] + ["best shampoo 5 oz moist", "moisture cream", "moisture balm"]
    found = mine(titles, smallest=2)
    assert "zork" not in found and "oz" not in found and "best" not in found and "moist" not in found
    assert {"night cream", "hair mask", "body wash"} <= set(found)
    assert "hair" not in found, "nearly always part of hair mask"
    assert [titles[at] for at in found["hair mask"]] == [title for title in titles if "hair mask" in title]


def test_mining_joins_singular_and_plural() -> None:
    titles = ["brush for men", "brushes for cats", "soap for dogs", "mop for sale", "old brush"] * 5
    assert len(mine(titles, smallest=3)["soap"]) == 5
    assert "brush" not in mine(titles, smallest=3), "in more than half of the titles"
    assert len(mine([*titles, *["mop"] * 10], smallest=3)["brush"]) == 15
    assert find("Two BRUSHES, please", {"brush"}) == ["brush"]
    assert find("nothing here", {"brush"}) == []


def test_beauty_gets_product_words(shared_data: Path) -> None:
    derived = derive_facets(read_dataset(shared_data / "amazon-beauty"))
    rows = derived.items["attributes"].to_list()
    counts = Counter(name for row in rows for name in row)
    assert {"shampoo", "nail polish", "mascara", "sunscreen", "argan oil", "lip gloss"} <= set(counts)
    assert not {"opi", "loreal", "neutrogena", "oz", "beauty"} & set(counts), "brands, units and the shop's own name"
    assert all(10 <= count <= 2000 for count in counts.values())
    assert sum(bool(row) for row in rows) > 0.8 * len(rows)
    assert not any(character.isdigit() for name in counts for character in name)


def test_lastfm_keeps_its_tags_and_movies_get_decades(shared_data: Path) -> None:
    raw = read_dataset(shared_data / "lastfm-star")
    assert derive_facets(raw).items["attributes"].to_list() == raw.items["attributes"].to_list()
    movies = {name for row in attributes(read_dataset(shared_data / "ml-100k")) for name in row}
    assert {"1990s", "Comedy", "Film-Noir"} <= movies


def test_electronics_lose_their_paperwork(shared_data: Path) -> None:
    derived = derive_facets(read_dataset(shared_data / "chorus-electronics"))
    counts = Counter(name for row in derived.items["attributes"].to_list() for name in row)
    paperwork = ("package weight", "pallet width", "operating temperature", "dimensions", "harmonized")
    assert not any(name.startswith(paperwork) for name in counts)
    assert {"product colour: Black", "brand: HP", "toner cartridge"} <= set(counts)
    assert derived.items["attributes"].list.len().max() < 30  # type: ignore[operator]
