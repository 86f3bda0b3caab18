from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from llmrec.data.catalogue import Catalogue
from llmrec.filters import Filter
from llmrec.retrieval.fusion import reciprocal_rank_fusion
from llmrec.retrieval.hybrid import HybridSearch
from llmrec.retrieval.item_vectors import ItemVectors
from llmrec.retrieval.lexical import LexicalIndex
from llmrec.retrieval.semantic import SemanticIndex

ROWS = [
    {
        "item_id": "a",
        "title": "red running shoes",
        "brand": "Acme",
        "price": 50.0,
        "year": 2020,
        "attributes": ["sport"],
    },
    {"item_id": "b", "title": "blue running shirt", "brand": "Zenith", "price": 20.0, "attributes": ["sport"]},
    {"item_id": "c", "title": "red desk lamp", "brand": "Acme", "price": 35.0, "year": 2022},
    {"item_id": "d", "title": "leather boots", "brand": "Zenith", "price": float("nan"), "year": 2021},
    {"item_id": "e", "title": "running shoes for kids", "brand": "Acme", "price": 1e9},
]


@pytest.fixture
def search(make_catalogue: Callable[..., Catalogue], bag_of_words: Any) -> HybridSearch:
    catalogue = make_catalogue(*ROWS)
    semantic = SemanticIndex(catalogue, ItemVectors.build(catalogue, bag_of_words), bag_of_words)
    popularity = np.array([1, 5, 3, 5, 0], np.float32)
    return HybridSearch(catalogue, LexicalIndex.build(catalogue), semantic, popularity)


def ids(hits: list) -> list[str]:
    return [hit.item_id for hit in hits]


async def test_it_is_the_fusion_of_both(search: HybridSearch) -> None:
    lexical, semantic = await search.lexical.search("red shoes", 200), await search.semantic.search("red shoes", 200)
    index = search._catalogue.index
    positions, scores = reciprocal_rank_fusion([index.positions(ids(lexical)), index.positions(ids(semantic))])
    hits = await search.search("red shoes")
    assert ids(hits) == index.ids[positions].tolist()
    assert [hit.score for hit in hits] == scores.tolist()
    assert hits[0].item_id == "a"
    assert await search.search("red shoes", 2) == hits[:2]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["brand=acme"], {"a", "c", "e"}),
        (["brand!=Acme"], {"b", "d"}),
        (["price<=50"], {"a", "b", "c"}),
        (["price>20", "price<50"], {"c"}),
        (["attribute=Sport"], {"a", "b"}),
        (["year>=2021"], {"c", "d"}),
        (["brand=acme", "attribute=sport"], {"a"}),
        (["brand=nobody"], set()),
    ],
)
async def test_filters_hold_in_both_rankings(search: HybridSearch, conditions: list[str], expected: set[str]) -> None:
    filters = [Filter.parse(condition) for condition in conditions]
    assert set(ids(await search.search("red running shoes", 10, filters))) == expected
    assert set(ids(await search.search("", 10, filters))) == expected


async def test_an_empty_query_gives_the_popular_ties_by_catalogue_order(search: HybridSearch) -> None:
    assert ids(await search.search("  ")) == ["b", "d", "c", "a", "e"]
    assert ids(await search.search("", 2, [Filter.parse("price<100")])) == ["b", "c"]


async def test_words_of_no_item_are_answered_by_meaning(search: HybridSearch) -> None:
    assert await search.lexical.search("the") == []
    assert len(await search.search("the")) == 5
    assert len(await search.search("🎉 مرحبا", 3)) == 3


async def test_upserted_items_are_searched_and_filtered(search: HybridSearch) -> None:
    changed = search._catalogue.upsert(
        [{"item_id": "f", "title": "zither", "price": 9.0, "brand": "Acme"}, {"item_id": "a", "available": False}]
    )
    await search.upsert(changed, ["f", "a"])
    assert ids(await search.search("zither", 1, [Filter.parse("price<10")])) == ["f"]
    assert "a" not in ids(await search.search("red running shoes"))
    assert ids(await search.search("")) == ["b", "d", "c", "e", "f"]  # new items have no popularity yet
    assert ids(await search.search("", 1, [Filter.parse("price<10")])) == ["f"]
