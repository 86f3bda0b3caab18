"""`bench decisions` on small sizes."""

from __future__ import annotations

import numpy as np

from llmrec.data import write_dataset
from llmrec.evals import runner
from llmrec.evals.bench.decisions import DecisionsBench, _made
from llmrec.testing.datasets import make_dataset


def test_rows_for_the_source_and_for_each_size(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    items = [{"item_id": f"i{n}", "attributes": [f"t{t}" for t in rng.choice(9, 3, False)]} for n in range(60)]
    events = [{"user_id": f"u{user}", "item_id": f"i{item}"} for user in range(20) for item in rng.choice(60, 8, False)]
    write_dataset(make_dataset(items, events), tmp_path / "tags")
    kind = runner.benchmark("decisions")
    words = ["--pairs", "5", "--items", "300,600", "--dialogues", "2", "--lessons", "10"]
    rows = runner.run(kind, str(tmp_path / "tags"), runner.parse_options(kind, words)).rows
    assert [row.name for row in rows] == ["planner", "planner, 300 items", "planner, 600 items"]
    for row in rows:
        assert 0 < row.metrics["p50_ms"] <= row.metrics["p99_ms"] and row.metrics["late_ms"] > 0


def test_without_a_source_only_made_catalogues() -> None:
    rows = DecisionsBench(items=(200,), dialogues=1).run("")
    assert [row.name for row in rows] == ["planner, 200 items"]


def test_made_catalogues_have_frequent_and_rare_attributes() -> None:
    catalogue = _made(20_000, 0)
    assert len(catalogue) == 20_000 and catalogue.matrix.data.max() == 1
    carriers = np.sort(np.diff(catalogue.matrix_t.indptr))[::-1]
    assert carriers[0] > 2000 and carriers[-1] < 20
