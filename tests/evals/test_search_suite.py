from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from llmrec.contracts import Progress, no_progress
from llmrec.data.catalogue import Catalogue
from llmrec.data.read import read_dataset
from llmrec.errors import UserError
from llmrec.evals import runner
from llmrec.evals.bench.filtered_search import FilteredSearch
from llmrec.evals.suites import search as module
from llmrec.evals.suites.search import Search, grades, measure, ndcg
from llmrec.retrieval.lexical import LexicalIndex


def test_ndcg_by_hand() -> None:
    ideal = 7 / math.log2(2) + 3 / math.log2(3) + 1 / math.log2(4)
    assert ndcg([0, 3, 1], [1, 3, 2, 0]) == pytest.approx((7 / math.log2(3) + 1 / math.log2(4)) / ideal)
    assert ndcg([3, 2, 1, 0], [0, 1, 2, 3]) == 1
    assert ndcg([], [2]) == 0
    assert ndcg([1] * 20, [1] * 20) == 1  # both ends are cut at ten


def test_one_query_with_unjudged_items() -> None:
    known = {"a": 3, "b": 0, "c": 2}
    found = measure(["x", "a", "y", "c"], known)
    assert found["judged@10"] == 0.5
    assert found["Recall@100"] == 1
    assert found["condensed NDCG@10"] == 1
    assert found["NDCG@10"] == pytest.approx((7 / math.log2(3) + 3 / math.log2(5)) / (7 + 3 / math.log2(3)))


def test_queries_that_do_not_count_are_left_out() -> None:
    assert measure(["a"], {"a": 0}) == {}
    assert "Recall@100" not in measure(["a"], {"a": 1})
    nothing = measure([], {"a": 2})
    assert set(nothing.values()) == {0}


class Letters:
    """An embedder by counts of letters."""

    name = "letters"
    dimensions = 27

    def embed(self, texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
        counts = [[1, *(text.lower().count(chr(97 + i)) for i in range(26))] for text in texts]
        matrix = np.array(counts, np.float32).reshape(len(texts), 27)
        return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def write_data(folder: Path, judged: bool = True) -> Path:
    titles = ["red cup", "blue cup", "red lamp", "desk", "chair"]
    pl.DataFrame({"item_id": list("abcde"), "title": titles}).write_parquet(folder / "items.parquet")
    if judged:
        rows = [("red cup", "a", 3), ("red cup", "b", 1), ("desk", "d", 2), ("sofa", "e", 0)]
        table = pl.DataFrame(rows, schema=["query", "item_id", "grade"], orient="row")
        table.write_parquet(folder / "judgments.parquet")
    return folder


def test_a_data_folder_gives_three_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_embedder", lambda uri: Letters())
    result = runner.run(Search, str(write_data(tmp_path)), {"samples": 50})
    assert [row.name for row in result.rows] == ["bm25", "dense", "hybrid"]
    for row in result.rows:
        assert {"NDCG@10", "Recall@100", "judged@10", "condensed NDCG@10"} == set(row.metrics)
        assert row.metrics["Recall@100"] == 1
        low, high = row.intervals["NDCG@10"]
        assert low <= row.metrics["NDCG@10"] <= high
    bm25 = result.rows[0]
    assert bm25.metrics["NDCG@10"] == 1  # both judged queries are answered in the order of their grades
    assert "3 queries, 2 with a positive grade" in bm25.protocol


def test_data_without_judgments(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no judgments file"):
        Search().run(str(write_data(tmp_path, judged=False)))


def test_bm25_on_chorus_follows_the_protocol(shared_data: Path) -> None:
    dataset = read_dataset(shared_data / "chorus-electronics")
    catalogue = Catalogue.from_dataset(dataset)
    row = Search(samples=10).row("bm25", "floor", LexicalIndex.build(catalogue).rank, catalogue, grades(dataset))
    assert "67 queries, 57 with a positive grade (NDCG@10), 56 with a grade of 2" in row.protocol
    assert row.metrics["NDCG@10"] == pytest.approx(0.738, abs=0.001)
    assert row.metrics["Recall@100"] == pytest.approx(0.887, abs=0.001)


def test_filtered_search_bench() -> None:
    config: Any = {"items": 2000, "queries": 20, "dimensions": 16}
    chroma, ours = runner.run(FilteredSearch, "", config).rows
    assert (chroma.name, ours.name) == ("chroma-filter", "llmrec")
    assert ours.metrics["recall"] == 1
    assert chroma.metrics["recall"] > 0.8
    assert 0 < ours.metrics["p50_ms"] <= ours.metrics["p99_ms"]
