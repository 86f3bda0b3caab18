"""`bench beams`: what it compares is the same search, and it counts right."""

from __future__ import annotations

import numpy as np
import pytest

from llmrec.evals.bench.beams import BeamsBench, _item_ids, _successors
from llmrec.evals.runner import benchmark


def test_rows_and_keys() -> None:
    bench = BeamsBench(
        rows=("in-process", "hf-generate"), items=300, prompts=3, length=12, beams=4, dtype="float32", generate_batch=2
    )
    ours, floor = bench.run("")
    assert (ours.name, floor.name) == ("in-process", "hf-generate")
    assert (ours.kind, floor.kind) == ("ours", "floor")
    for row in (ours, floor):
        assert row.metrics["invalid"] == 0
        assert row.metrics["items_per_second"] == pytest.approx(3 * 4 / row.seconds)
    assert floor.metrics["ratio_to_generate"] == 1
    assert ours.metrics["ratio_to_generate"] == pytest.approx(floor.seconds / ours.seconds)


def test_item_ids_are_distinct_and_each_level_has_its_tokens() -> None:
    ids = _item_ids(np.random.default_rng(0), 5000)
    assert len({tuple(item) for item in ids.tolist()}) == 5000
    assert [(column.min() // 256, column.max() // 256) for column in ids.T] == [(0, 0), (1, 1), (2, 2)]


def test_successors_lead_to_every_item_and_nowhere_else() -> None:
    ids = np.array([[0, 256, 512], [0, 256, 513], [1, 300, 512]])
    allowed = _successors(ids)
    reached = [(a, b, c) for a in allowed[()] for b in allowed[a,] for c in allowed[a, b]]
    assert sorted(reached) == sorted(map(tuple, ids.tolist()))


def test_it_is_registered() -> None:
    assert benchmark("beams") is BeamsBench


def test_a_trie_of_a_million_items_is_small() -> None:
    [row] = BeamsBench(rows=("trie-1m",)).run("")
    assert row.name == "trie-1m" and row.seconds is not None
    assert 20 < row.metrics["peak_mb"] < 200
