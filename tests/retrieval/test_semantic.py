from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmrec.data.catalogue import Catalogue
from llmrec.errors import UnknownName, VectorStoreError, WorkspaceError
from llmrec.filters import Filter
from llmrec.retrieval import semantic as module
from llmrec.retrieval.item_vectors import ItemVectors
from llmrec.retrieval.semantic import SemanticIndex

Make = Callable[..., Catalogue]
WORDS = ("red", "blue", "green", "cup", "plate", "lamp", "shoe", "map", "rack", "book", "pen", "chair", "table", "door")


def rows(count: int) -> list[dict[str, Any]]:
    rng = random.Random(0)
    return [
        {"item_id": f"i{n}", "title": " ".join(rng.choices(WORDS, k=4)) + f" {n}", "price": float(n)}
        for n in range(count)
    ]


@pytest.fixture
def opened(make_catalogue: Make, bag_of_words: Any, tmp_path: Path) -> Any:
    """600 items, their vectors in a folder and in Chroma beside it."""
    catalogue = make_catalogue(*rows(600))
    ItemVectors.build(catalogue, bag_of_words).save(tmp_path)
    uri = f"chroma:{tmp_path / 'store'}"
    SemanticIndex.rebuild(tmp_path, uri)
    index = SemanticIndex.open(catalogue, tmp_path, bag_of_words, uri)
    yield index, catalogue, tmp_path, uri
    index.close()


def exact(catalogue: Catalogue, embedder: Any, query: str, mask: np.ndarray, k: int) -> list[int]:
    similarity = embedder.embed(catalogue.text(range(len(catalogue)))) @ embedder.embed([query])[0]
    return sorted(np.flatnonzero(mask), key=lambda p: (-similarity[p], p))[:k]


async def test_search_is_the_nearest_texts(opened: Any, bag_of_words: Any) -> None:
    index, catalogue, _, _ = opened
    hits = await index.search("red cup 17", 5)
    expected = exact(catalogue, bag_of_words, "red cup 17", catalogue.mask(), 5)
    assert [hit.item_id for hit in hits] == [f"i{p}" for p in expected]
    assert hits[0].score == pytest.approx(1, abs=0.7)


@pytest.mark.parametrize("condition", ["price<30", "price>=100", "price<0"])
async def test_filters_are_exact_however_the_rows_are_found(
    opened: Any, bag_of_words: Any, condition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, catalogue, _, _ = opened
    mask = catalogue.mask([Filter.parse(condition)])
    expected = [f"i{p}" for p in exact(catalogue, bag_of_words, "blue lamp", mask, 10)]
    found = await index.search("blue lamp", 10, [Filter.parse(condition)])
    assert [hit.item_id for hit in found] == expected
    monkeypatch.setattr(module, "EXACT_ROWS", 20)  # now a loose filter is answered by Chroma
    through_chroma = await index.search("blue lamp", 10, [Filter.parse(condition)])
    assert len(through_chroma) == len(expected)
    similarity = bag_of_words.embed(catalogue.text(range(len(catalogue)))) @ bag_of_words.embed(["blue lamp"])[0]
    scores = [hit.score for hit in through_chroma]
    np.testing.assert_allclose(scores, [similarity[int(hit.item_id[1:])] for hit in through_chroma], atol=1e-5)
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) >= 0.8 * sum(hit.score for hit in found)  # its graph may miss some of many equal texts
    assert all(mask[catalogue.index.position(hit.item_id)] for hit in through_chroma)


async def test_a_filter_far_from_the_query_still_fills_the_page(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    index, _, _, _ = opened
    monkeypatch.setattr(module, "EXACT_ROWS", 1)
    monkeypatch.setattr(module, "_SPARE", 0.5)
    assert len(await index.search("red", 10, [Filter.parse("price>300")])) == 10


async def test_similar_items_leave_out_the_item_itself(opened: Any) -> None:
    index, _, _, _ = opened
    hits = await index.similar("i7", 5)
    assert len(hits) == 5 and "i7" not in {hit.item_id for hit in hits}
    with pytest.raises(UnknownName):
        await index.similar("nobody")


async def test_empty_and_strange_queries(opened: Any) -> None:
    index, _, _, _ = opened
    assert await index.search("   ") == []
    assert await index.search("red", k=0) == []
    for query in ("🎉", "x" * 10_000, "\x00"):
        assert len(await index.search(query, 3)) == 3


async def test_new_and_changed_items_are_found_at_once_and_after_a_restart(opened: Any, bag_of_words: Any) -> None:
    index, catalogue, folder, uri = opened
    changed = catalogue.upsert(
        [
            {"item_id": "new", "title": "violin bow"},
            {"item_id": "i3", "title": "cello"},
            {"item_id": "i4", "price": 1.0},
        ]
    )
    bag_of_words.embedded.clear()
    await index.upsert(changed, ["new", "i3", "i4"])
    assert bag_of_words.embedded == ["cello", "violin bow"]  # a price is no reason to embed again
    assert (await index.search("violin", 1))[0].item_id == "new"
    assert (await index.search("cello", 1))[0].item_id == "i3"
    index.close()

    for first, second in ((catalogue, changed), (changed, changed)):
        bag_of_words.embedded.clear()
        again = SemanticIndex.open(first, folder, bag_of_words, uri)
        await again.upsert(second, ["new", "i3", "i4"])
        assert bag_of_words.embedded == []  # the store has kept the vectors
        assert (await again.search("violin", 1))[0].item_id == "new"
        assert (await again.search("cello", 1))[0].item_id == "i3"
        again.close()


async def test_an_item_that_was_taken_away_is_not_found(opened: Any) -> None:
    index, catalogue, _, _ = opened
    best = (await index.search("red cup", 1))[0].item_id
    await index.upsert(catalogue.upsert([{"item_id": best, "available": False}]), [best])
    assert best not in {hit.item_id for hit in await index.search("red cup", 600)}


async def test_changed_texts_count_under_chroma_too(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    index, catalogue, _, _ = opened
    monkeypatch.setattr(module, "EXACT_ROWS", 1)
    best = (await index.search("red cup", 1))[0].item_id
    await index.upsert(catalogue.upsert([{"item_id": best, "title": "cello"}]), [best])
    assert (await index.search("red cup", 1))[0].item_id != best
    assert (await index.search("cello", 1))[0].item_id == best


def test_vectors_by_position(opened: Any, bag_of_words: Any) -> None:
    index, catalogue, _, _ = opened
    np.testing.assert_allclose(index.vectors([5, 0]), bag_of_words.embed(catalogue.text([5, 0])), atol=1e-6)
    assert not index.vectors([600]).any()


def test_vectors_of_another_catalogue_or_model_are_refused(
    opened: Any, make_catalogue: Make, bag_of_words: Any
) -> None:
    _, catalogue, folder, _ = opened
    vectors = ItemVectors.load(folder)
    with pytest.raises(WorkspaceError, match="another catalogue"):
        SemanticIndex(make_catalogue("one"), vectors, bag_of_words)
    bag_of_words.name = "other"
    with pytest.raises(WorkspaceError, match="'embeddings' is 'other'"):
        SemanticIndex(catalogue, vectors, bag_of_words)


def test_damaged_item_vectors_are_said_so(opened: Any) -> None:
    _, _, folder, _ = opened
    (folder / "items.json").write_text("[]")
    with pytest.raises(WorkspaceError, match="damaged"):
        ItemVectors.load(folder)


async def test_an_empty_catalogue(make_catalogue: Make, bag_of_words: Any, tmp_path: Path) -> None:
    catalogue = make_catalogue()
    ItemVectors.build(catalogue, bag_of_words).save(tmp_path)
    uri = f"chroma:{tmp_path / 'store'}"
    SemanticIndex.rebuild(tmp_path, uri)
    index = SemanticIndex.open(catalogue, tmp_path, bag_of_words, uri)
    assert await index.search("red") == []
    await index.upsert(catalogue.upsert([{"item_id": "a", "title": "red"}]), ["a"])
    assert [hit.item_id for hit in await index.search("red")] == ["a"]
    index.close()


@pytest.mark.parametrize("file", ["chroma.sqlite3", "data_level0.bin", "index_metadata.pickle", "checks.json"])
@pytest.mark.parametrize("harm", ["overwritten", "cut", "gone"])
def test_a_damaged_folder_is_said_so_and_rebuilt_on_request(
    make_catalogue: Make, bag_of_words: Any, tmp_path: Path, file: str, harm: str
) -> None:
    catalogue = make_catalogue(*rows(300))
    ItemVectors.build(catalogue, bag_of_words).save(tmp_path)
    uri = f"chroma:{tmp_path / 'store'}"
    SemanticIndex.rebuild(tmp_path, uri)
    (path,) = (tmp_path / "store").rglob(file)
    content = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(random.Random(0).randbytes(len(content)) if harm == "overwritten" else content[:60])
    with pytest.raises(VectorStoreError, match=r"damaged or incomplete .*: rebuild it"):
        SemanticIndex.open(catalogue, tmp_path, bag_of_words, uri)
    SemanticIndex.rebuild(tmp_path, uri)
    SemanticIndex.open(catalogue, tmp_path, bag_of_words, uri).close()


def test_a_folder_without_these_vectors_is_said_so(make_catalogue: Make, bag_of_words: Any, tmp_path: Path) -> None:
    catalogue = make_catalogue("one")
    ItemVectors.build(catalogue, bag_of_words).save(tmp_path)
    with pytest.raises(VectorStoreError, match="rebuild it"):
        SemanticIndex.open(catalogue, tmp_path, bag_of_words, f"chroma:{tmp_path / 'store'}")


def test_serving_leaves_the_built_index_files_as_they_were(opened: Any, bag_of_words: Any) -> None:
    index, catalogue, folder, uri = opened
    checks = json.loads(next((folder / "store").rglob("checks.json")).read_text())
    assert any(name.endswith("data_level0.bin") for name in checks)
    index._upsert(catalogue.upsert([{"item_id": f"n{i}", "title": f"violin {i}"} for i in range(20)]), ["n1", "n2"])
    index.close()
    SemanticIndex.open(catalogue, folder, bag_of_words, uri).close()
