"""`bench retrieval`: how fast recommenders are fitted and answer, for everybody at once and for one person alone."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from llmrec.contracts import Config, Progress, Row, no_progress
from llmrec.data.dataset import Dataset
from llmrec.data.demo_world import generate
from llmrec.errors import UserError
from llmrec.evals.source import read_source
from llmrec.evals.suites.topn import recommender
from llmrec.workspace.build import peak_mb, reset_peak

_WARM_UP = 20


class RetrievalBench(Config):
    """SOURCE is a data folder or a workspace; left out, the demo world. Fits each recommender on all interactions.

    `per_second` counts users of one call for all known users; `p50_ms` and `p99_ms` are calls for one user each. Lists
    leave out seen items. `peak_mb` is the highest memory of the process while it fits and answers, `fit_seconds` the
    time to fit.
    """

    name: ClassVar[str] = "retrieval"

    recommenders: tuple[str, ...] = ("popularity", "item-to-item", "content", "ials", "ease", "blend")
    """Names of the entry-point group llmrec.recommenders."""
    k: int = Field(10, ge=1)
    """Length of the lists."""
    alone: int = Field(500, ge=1)
    """Calls for one user each."""
    repeats: int = Field(3, ge=1)
    """Calls for all users, of which the median counts."""

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """A row for each recommender."""
        dataset = read_source(source) if source else _demo(progress)
        if not len(dataset.positives):
            raise UserError(f"{dataset.name} has no interactions to learn from: name another dataset")
        rows = []
        for done, name in enumerate(self.recommenders):
            progress(name, done, len(self.recommenders))
            rows.append(self._row(name, dataset, progress))
        return rows

    def _row(self, name: str, dataset: Dataset, progress: Progress) -> Row:
        users = list(dataset.user_index)
        reset_peak()
        started = time.perf_counter()
        model = recommender(name, {}).fit(dataset, progress)
        fit_seconds = time.perf_counter() - started

        model.recommend(users[:_WARM_UP], self.k)
        together = []
        for _ in range(self.repeats):
            started = time.perf_counter()
            model.recommend(users, self.k)
            together.append(time.perf_counter() - started)
        alone = []
        for call in range(self.alone):
            started = time.perf_counter()
            model.recommend([users[call % len(users)]], self.k)
            alone.append(1000 * (time.perf_counter() - started))
        p50, p99 = np.percentile(alone, [50, 99])
        return Row(
            name,
            "floor" if name == "popularity" else "ours",
            metrics={
                "per_second": len(users) / float(np.median(together)),
                "p50_ms": float(p50),
                "p99_ms": float(p99),
                "peak_mb": peak_mb(),
                "fit_seconds": fit_seconds,
            },
            protocol=f"top {self.k} of {len(model.item_ids):,} items for {len(users):,} users, seen masked",
            fit_on="all",
        )


def _demo(progress: Progress) -> Dataset:
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder) / "demo", progress=progress)
        return read_source(str(Path(folder) / "demo"))
