from __future__ import annotations

from pathlib import Path

import pytest

from llmrec.data import write_dataset
from llmrec.errors import UserError
from llmrec.evals import runner
from llmrec.testing.datasets import make_dataset, two_tastes


def test_every_recommender_has_its_figures(tmp_path: Path) -> None:
    write_dataset(two_tastes(), tmp_path / "tastes")
    kind = runner.benchmark("retrieval")
    result = runner.run(kind, str(tmp_path / "tastes"), {"recommenders": ["popularity", "ease"], "alone": 5})
    assert [row.name for row in result.rows] == ["popularity", "ease"]
    for row in result.rows:
        assert {"per_second", "p50_ms", "p99_ms", "peak_mb", "fit_seconds"} == set(row.metrics)
        assert all(value > 0 for value in row.metrics.values())
        assert "60 users" in row.protocol


def test_the_demo_world_stands_in_for_a_source() -> None:
    (row,) = runner.run(runner.benchmark("retrieval"), "", {"recommenders": ["popularity"], "alone": 1}).rows
    assert "of 2,000 items" in row.protocol


def test_data_without_interactions_is_refused(tmp_path: Path) -> None:
    write_dataset(make_dataset([{"item_id": "a"}]), tmp_path)
    with pytest.raises(UserError, match="has no interactions to learn from"):
        runner.run(runner.benchmark("retrieval"), str(tmp_path), {})
