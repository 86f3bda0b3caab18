from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from llmrec.data.catalogue import Catalogue
from llmrec.errors import UserError, VectorStoreError
from llmrec.retrieval import semantic as module
from llmrec.retrieval.item_vectors import ItemVectors
from llmrec.retrieval.semantic import SemanticIndex
from llmrec.retrieval.vectors import VectorStore, check_uri

WORDS = ("red", "blue", "green", "cup", "plate", "lamp", "shoe")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen]]:
    """A real Chroma server of its own."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--path", str(tmp_path_factory.mktemp("chroma"))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "ANONYMIZED_TELEMETRY": "False"},
    )
    try:
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{port}/api/v2/heartbeat").raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None, "the Chroma server ended"
                time.sleep(0.1)
        yield f"chroma+http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


async def test_a_server_holds_the_vectors_until_it_goes_away(
    server: tuple[str, subprocess.Popen],
    make_catalogue: Callable[..., Catalogue],
    bag_of_words: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri, process = server
    catalogue = make_catalogue(*(f"{i} {WORDS[i % 7]} {WORDS[i // 7 % 7]} {WORDS[i // 49 % 7]}" for i in range(400)))
    vectors = ItemVectors.build(catalogue, bag_of_words)
    vectors.save(tmp_path)
    assert not VectorStore.holds(uri, vectors.fingerprint)
    with pytest.raises(VectorStoreError, match="not there"):
        SemanticIndex.open(catalogue, tmp_path, bag_of_words, uri)
    for _ in range(2):  # a rebuild replaces what is there
        SemanticIndex.rebuild(tmp_path, uri)
    assert VectorStore.holds(uri, vectors.fingerprint)

    monkeypatch.setattr(module, "EXACT_ROWS", 1)
    index = SemanticIndex.open(catalogue, tmp_path, bag_of_words, uri)
    hits = await index.search("red cup 17", 3)
    similarity = vectors.matrix @ bag_of_words.embed(["red cup 17"])[0]
    assert hits[0].score >= np.sort(similarity)[-3]
    np.testing.assert_allclose([hit.score for hit in hits], similarity[[int(hit.item_id) for hit in hits]], atol=1e-5)
    changed = catalogue.upsert([{"item_id": "new", "title": "violin"}])
    await index.upsert(changed, ["new"])

    other = SemanticIndex.open(changed, tmp_path, bag_of_words, uri)  # another reader of the same server
    assert (await other.search("violin", 1))[0].item_id == "new"
    other.close()

    process.kill()
    process.wait()
    with pytest.raises(VectorStoreError, match="start the Chroma server, or correct the setting 'vectors'"):
        await index.search("red cup 17", 3)
    with pytest.raises(VectorStoreError, match="start the Chroma server"):
        SemanticIndex.open(catalogue, tmp_path, bag_of_words, uri)
    index.close()


@pytest.mark.parametrize("uri", ["chroma", "chroma:", "http://host", "chroma+http://", "qdrant:x", "chroma+http://h:p"])
def test_an_unreadable_uri_is_the_users_mistake(uri: str) -> None:
    with pytest.raises(UserError, match="write chroma:FOLDER"):
        check_uri(uri)


def test_no_server_at_the_address() -> None:
    with pytest.raises(VectorStoreError, match="does not answer"):
        VectorStore.holds(f"chroma+http://127.0.0.1:{free_port()}", "x")
