from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmrec.data.catalogue import Catalogue
from llmrec.errors import UserError, VectorStoreError
from llmrec.retrieval import search_steps as module
from llmrec.retrieval.search_steps import EMBEDDINGS, LEXICAL, VECTORS, open_search, rebuild_vectors, search_steps
from llmrec.workspace import Step, Workspace

CATALOGUE = "data/catalogue"


@pytest.fixture
def steps(make_catalogue: Callable[..., Catalogue], bag_of_words: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(module, "open_embedder", lambda uri: bag_of_words)
    catalogue = make_catalogue(*(f"cup {i}" for i in range(40)), "red lamp")
    root = Step(name=CATALOGUE, build=lambda context: catalogue.save(context.folder))
    return lambda vectors="": [root, *search_steps(CATALOGUE, "bag-of-words", vectors)]


async def test_a_built_workspace_is_searched_and_built_once(steps: Any, bag_of_words: Any, tmp_path: Path) -> None:
    with Workspace.create(tmp_path / "ws") as workspace:
        assert {LEXICAL, EMBEDDINGS, VECTORS} <= set(workspace.build(steps()).built)
        catalogue = Catalogue.load(workspace.artefact(CATALOGUE))
        search = open_search(workspace, catalogue, bag_of_words)
        assert (await search.search("red lamp", 1))[0].item_id == "40"
        await search.upsert(catalogue.upsert([{"item_id": "n", "title": "violin"}]), ["n"])
        assert (await search.search("violin", 1))[0].item_id == "n"
        search.semantic.close()
        assert workspace.verify() == []  # searching and live changes leave the artefacts as they were built
        assert workspace.build(steps()).built == []


async def test_a_damaged_store_is_said_so_and_built_again(steps: Any, bag_of_words: Any, tmp_path: Path) -> None:
    with Workspace.create(tmp_path / "ws") as workspace:
        workspace.build(steps())
        catalogue = Catalogue.load(workspace.artefact(CATALOGUE))
        (path,) = workspace.artefact(VECTORS).rglob("data_level0.bin")
        path.write_bytes(b"\x01" * path.stat().st_size)
        with pytest.raises(VectorStoreError, match="damaged"):
            open_search(workspace, catalogue, bag_of_words)
        assert workspace.build(steps(), rebuild={VECTORS}).built == [VECTORS]
        search = open_search(workspace, catalogue, bag_of_words)
        assert (await search.search("red lamp", 1))[0].item_id == "40"
        search.semantic.close()


async def test_another_store_than_the_builds_is_filled_when_first_opened(
    steps: Any, bag_of_words: Any, tmp_path: Path
) -> None:
    uri = f"chroma:{tmp_path / 'elsewhere'}"
    with Workspace.create(tmp_path / "ws") as workspace:
        workspace.build(steps())
        catalogue = Catalogue.load(workspace.artefact(CATALOGUE))
        for _ in range(2):
            search = open_search(workspace, catalogue, bag_of_words, uri)
            assert (await search.search("red lamp", 1))[0].item_id == "40"
            search.semantic.close()
        next((tmp_path / "elsewhere").rglob("checks.json")).unlink()
        with pytest.raises(VectorStoreError, match="damaged"):
            open_search(workspace, catalogue, bag_of_words, uri)
        rebuild_vectors(workspace, uri)
        open_search(workspace, catalogue, bag_of_words, uri).semantic.close()


def test_a_wrong_uri_is_refused_before_anything_is_built(steps: Any) -> None:
    with pytest.raises(UserError, match="vectors URI"):
        steps("qdrant://host")
