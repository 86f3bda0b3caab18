"""`eval search`: product search against human judgments, which are read for evaluation only and never trained on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from llmrec.contracts import Config, Progress, Row, no_progress
from llmrec.data import columns as c
from llmrec.data.catalogue import Catalogue
from llmrec.data.dataset import Dataset
from llmrec.errors import UserError
from llmrec.evals import metrics, published
from llmrec.evals.metrics import at
from llmrec.evals.source import read_source
from llmrec.language.embeddings import MINILM, open_embedder
from llmrec.retrieval.hybrid import HybridSearch
from llmrec.retrieval.item_vectors import ItemVectors
from llmrec.retrieval.lexical import LexicalIndex
from llmrec.retrieval.search_steps import open_search
from llmrec.retrieval.semantic import SemanticIndex
from llmrec.settings import Settings
from llmrec.workspace import Workspace
from llmrec.workspace.manifest import FILE as MANIFEST

CUTOFF, FAR, DEPTH, RELEVANT = 10, 100, 200, 2
NDCG, RECALL, JUDGED = at(metrics.NDCG, CUTOFF), at(metrics.RECALL, FAR), at("judged", CUTOFF)
CONDENSED = f"condensed {NDCG}"

Ranking = Callable[[str, int, NDArray[np.bool_]], tuple[NDArray[np.int64], NDArray[np.float32]]]


class Search(Config):
    """Ranks the whole catalogue for each judged query.

    NDCG has gain 2^grade - 1, unjudged 0, the ideal over the judged, and leaves out queries without a positive grade;
    Recall counts grades of at least 2 and leaves out queries without one. judged@10 is the judged share of the ten;
    the condensed NDCG leaves the unjudged out of the ranking (Sakai 2007), so that finding unjudged items is no loss.
    """

    name: ClassVar[str] = "search"

    embeddings: str | None = None
    """As in the settings, which it overrides."""
    samples: int = Field(default=1000, gt=0)
    """Resamples of the queries behind each 95% interval."""
    seed: int = 0

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """The rows `bm25`, `dense` and `hybrid` on a data folder, or a workspace as it was built."""
        dataset = read_source(source)
        judgments = grades(dataset)
        if not judgments:
            raise UserError(f"{source} has no {c.JUDGMENTS_FILE} file: search is evaluated against one")
        with self._open(Path(source), dataset, progress) as (catalogue, hybrid):
            rows = [
                self.row("bm25", "floor", hybrid.lexical.rank, catalogue, judgments),
                self.row("dense", "ours", hybrid.semantic.rank, catalogue, judgments),
                self.row("hybrid", "ours", hybrid.rank, catalogue, judgments),
            ]
        return rows + published.product_search(dataset.name)

    @contextmanager
    def _open(self, source: Path, dataset: Dataset, progress: Progress) -> Iterator[tuple[Catalogue, HybridSearch]]:
        if not (source / MANIFEST).exists():
            catalogue = Catalogue.from_dataset(dataset)
            embedder = open_embedder(self.embeddings or MINILM)
            semantic = SemanticIndex(catalogue, ItemVectors.build(catalogue, embedder, progress), embedder)
            yield catalogue, HybridSearch(catalogue, LexicalIndex.build(catalogue, progress=progress), semantic)
            return
        from llmrec.agents.assistant.steps import CATALOGUE

        with Workspace.open(source) as workspace:
            catalogue = Catalogue.load(workspace.artefact(CATALOGUE))
            settings = Settings.load(source, {"embeddings": self.embeddings})
            hybrid = open_search(workspace, catalogue, open_embedder(settings.embeddings), settings.vectors)
            with closing(hybrid.semantic):
                yield catalogue, hybrid

    def row(
        self,
        name: str,
        kind: Literal["ours", "floor"],
        rank: Ranking,
        catalogue: Catalogue,
        judgments: Mapping[str, Mapping[str, int]],
    ) -> Row:
        """One searcher's line; `seconds` is the time for all queries."""
        everything = catalogue.mask()
        started = time.perf_counter()
        found = [rank(query, DEPTH, everything)[0] for query in judgments]
        seconds = time.perf_counter() - started
        scored = [
            measure([str(item) for item in catalogue.index.ids[positions]], known)
            for positions, known in zip(found, judgments.values(), strict=True)
        ]
        values = {key: [query[key] for query in scored if key in query] for key in (NDCG, RECALL, JUDGED, CONDENSED)}
        counted = {key: np.array(each) for key, each in values.items() if each}
        return Row(
            name,
            kind,
            metrics={key: float(each.mean()) for key, each in counted.items()},
            protocol=f"{len(scored)} queries, {len(values[NDCG])} with a positive grade ({NDCG}), "
            f"{len(values[RECALL])} with a grade of {RELEVANT} ({RECALL}); whole catalogue, ties by its order",
            fit_on="nothing",
            intervals={key: metrics.interval(each, self.seed, self.samples) for key, each in counted.items()},
            seconds=seconds,
        )


def grades(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Query to item to grade, in file order."""
    table: dict[str, dict[str, int]] = {}
    for query, item, grade in dataset.judgments.select(c.QUERY, c.ITEM, c.GRADE).iter_rows():
        table.setdefault(query, {})[item] = grade
    return table


def measure(ranked: Sequence[str], known: Mapping[str, int]) -> dict[str, float]:
    """The metrics of one query by its ranked items and judged grades, without those for which it does not count."""
    found: dict[str, float] = {}
    relevant = {item for item, grade in known.items() if grade >= RELEVANT}
    if relevant:
        found[RECALL] = len(relevant.intersection(ranked[:FAR])) / len(relevant)
    if any(known.values()):
        top = ranked[:CUTOFF]
        found[NDCG] = ndcg([known.get(item, 0) for item in top], known.values())
        found[CONDENSED] = ndcg([known[item] for item in ranked if item in known], known.values())
        found[JUDGED] = sum(item in known for item in top) / max(len(top), 1)
    return found


def ndcg(ranked: Sequence[int], judged: Iterable[int]) -> float:
    """Normalised discounted cumulative gain at 10 of the grades in rank order, against all judged grades."""
    ideal = sorted(judged, reverse=True)[:CUTOFF]
    return _discounted(ranked[:CUTOFF]) / _discounted(ideal)


def _discounted(grades: Sequence[int]) -> float:
    return float(sum((2**grade - 1) / np.log2(rank + 2) for rank, grade in enumerate(grades)))
