"""`eval tune`: chooses a recommender's settings on validation events, by trying all of a grid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar

from pydantic import Field, field_validator

from llmrec.contracts import Config, Progress, Row, no_progress
from llmrec.data.splits import Method, split
from llmrec.errors import UserError
from llmrec.evals.metrics import NDCG, at
from llmrec.evals.source import read_source
from llmrec.evals.suites.topn import Task, TopN, read_json, recommender

Grid = dict[str, list[Any]]

GRIDS: Mapping[str, Grid] = {
    "ease": {"regularization": [20, 50, 100, 200, 500, 1000]},
    "ials": {
        "factors": [64, 128, 256],
        "regularization": [0.01, 1, 20, 100],
        "alpha": [5, 10, 20, 40, 80],
        "iterations": [15],
    },
    "item-to-item": {"weighting": ["cosine", "tfidf"], "neighbours": [20, 50, 100, 200]},
}
"""What is tried where no grid is given."""


class Tune(Config):
    """Fits on train with every combination of settings and ranks for the validation events; the best row is first, by
    NDCG@10. The test events are never looked at.
    """

    name: ClassVar[str] = "tune"

    recommender: str = "ials"
    """A name of the entry-point group llmrec.recommenders."""
    grid: Grid = Field(default_factory=dict)
    """JSON, values to try by setting: '{"alpha": [5, 10]}'; ours have one of their own."""
    split: Method = "leave-one-out"
    """leave-one-out, temporal, random-by-user or given."""
    seed: int = 0
    """Of the random split and of the intervals."""

    _json = field_validator("grid", mode="before")(read_json)

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """A row for each combination, best first."""
        grid = self.grid or GRIDS.get(self.recommender)
        if not grid:
            raise UserError(f"there is no grid for {self.recommender!r}: give one by --grid")
        task = Task.of(split(read_source(source), self.split, seed=self.seed), "valid", "train")
        suite = TopN(seed=self.seed, samples=1000)
        rows = []
        choices = list(product(*grid.values()))
        for done, values in enumerate(choices):
            settings = dict(zip(grid, values, strict=True))
            label = f"{self.recommender} {json.dumps(settings)}"
            progress(label, done, len(choices))
            row = suite.row(self.recommender, recommender(self.recommender, settings), task)
            rows.append(replace(row, name=label))
        return sorted(rows, key=lambda row: -row.metrics[at(NDCG, 10)])
