from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llmrec.data.catalogue import Catalogue
from llmrec.filters import Filter
from llmrec.retrieval.lexical import LexicalIndex, stems

Make = Callable[..., Catalogue]
TITLES = ("Running shoes for the trail", "Trail map", "A shoe rack", "Red lamp", "Running")


def test_words_are_lower_case_stemmed_and_without_stop_words() -> None:
    assert stems("The RUNNING shoes, and a 4K lamp") == ["run", "shoe", "4k", "lamp"]
    assert stems("iPhone 8, USB-C") == ["iphon", "8", "usb", "c"]
    assert stems("حذاء 🎉") == ["حذاء"]


async def test_scores_are_those_of_the_bm25_formula(make_catalogue: Make) -> None:
    hits = await LexicalIndex.build(make_catalogue(*TITLES)).search("running trail")
    average = (3 + 2 + 2 + 2 + 1) / 5

    def weight(documents_with: int, length: int) -> float:
        inverse = math.log(1 + (5 - documents_with + 0.5) / (documents_with + 0.5))
        return inverse * 1 / (1.2 * (0.25 + 0.75 * length / average) + 1)

    expected = {"0": 2 * weight(2, 3), "1": weight(2, 2), "4": weight(2, 1)}
    assert {hit.item_id: pytest.approx(hit.score, rel=1e-5) for hit in hits} == expected
    assert [hit.item_id for hit in hits] == sorted(expected, key=lambda item: -expected[item])


async def test_only_items_that_share_a_word_ties_by_catalogue_order(make_catalogue: Make) -> None:
    index = LexicalIndex.build(make_catalogue("blue cup", "red cup", "green cup", "plate"))
    assert [hit.item_id for hit in await index.search("cup")] == ["0", "1", "2"]
    assert [hit.item_id for hit in await index.search("cups", k=2)] == ["0", "1"]
    assert await index.search("bowl") == []
    assert await index.search("") == []
    assert await index.search("cup", k=0) == []


async def test_filters_and_availability(make_catalogue: Make) -> None:
    rows = [{"item_id": str(i), "title": "cup", "price": float(i), "available": i != 2} for i in range(5)]
    index = LexicalIndex.build(make_catalogue(*rows))
    assert [hit.item_id for hit in await index.search("cup", filters=[Filter.parse("price>=1")])] == ["1", "3", "4"]


async def test_a_saved_index_answers_alike_and_is_the_same_again(make_catalogue: Make, tmp_path: Path) -> None:
    catalogue = make_catalogue(*TITLES)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        LexicalIndex.build(catalogue).save(folder)
    loaded = LexicalIndex.load(folders[0], catalogue)
    assert await loaded.search("shoes on a trail") == await LexicalIndex.build(catalogue).search("shoes on a trail")
    assert isinstance(loaded._index.scores["data"], np.memmap)
    for path in folders[0].iterdir():
        assert path.read_bytes() == (folders[1] / path.name).read_bytes()
        assert path.suffix in (".npy", ".json")


@pytest.mark.parametrize("rows", [(), ({"item_id": "a"},), ({"item_id": "a", "title": "the"},)])
async def test_nothing_to_index(make_catalogue: Make, tmp_path: Path, rows: tuple) -> None:
    catalogue = make_catalogue(*rows)
    LexicalIndex.build(catalogue).save(tmp_path)
    index = LexicalIndex.load(tmp_path, catalogue)
    assert await index.search("anything") == []
    changed = catalogue.upsert([{"item_id": "new", "title": "Anything goes"}])
    await index.upsert(changed, ["new"])
    assert [hit.item_id for hit in await index.search("anything")] == ["new"]


async def test_changed_and_new_items_are_found_at_once_by_their_new_text(make_catalogue: Make, tmp_path: Path) -> None:
    catalogue = make_catalogue(*TITLES)
    LexicalIndex.build(catalogue).save(tmp_path)
    index = LexicalIndex.load(tmp_path, catalogue)
    changed = catalogue.upsert([{"item_id": "3", "title": "Running trail"}, {"item_id": "n", "title": "Zebra trail"}])
    await index.upsert(changed, ["3", "n"])
    assert [hit.item_id for hit in await index.search("zebra")] == ["n"]
    assert await index.search("lamp") == []
    # "Running trail" is shorter than item 0, which holds both words too.
    assert (await index.search("running trail"))[0].item_id == "3"
    again = changed.upsert([{"item_id": "3", "title": "Red lamp"}])
    await index.upsert(again, ["3"])
    before = await LexicalIndex.load(tmp_path, catalogue).search("lamp")
    after = await index.search("lamp")
    assert [hit.item_id for hit in after] == ["3"]
    assert after[0].score == pytest.approx(before[0].score, rel=1e-5)


async def test_queries_of_any_kind(make_catalogue: Make) -> None:
    index = LexicalIndex.build(make_catalogue(*TITLES))
    for query in ("🎉", "\x00", "trail " * 5000, "'; DROP TABLE items; --"):
        assert isinstance(await index.search(query), list)
