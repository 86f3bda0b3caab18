"""`bench filtered-search`: semantic search under a filter that keeps few items, against Chroma's own filter."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from llmrec.contracts import Config, Progress, Row, no_progress
from llmrec.data import columns as c
from llmrec.data import parse
from llmrec.data.catalogue import Catalogue
from llmrec.data.dataset import Dataset
from llmrec.filters import Filter
from llmrec.retrieval.item_vectors import ItemVectors
from llmrec.retrieval.semantic import SemanticIndex
from llmrec.retrieval.vectors import BATCH

_K = 10
_WARM_UP = 5


class FilteredSearch(Config):
    """Generates its items: unit vectors in clusters, as texts have them, and one attribute for each item.

    A measurement is the top 10 for one query vector under one attribute, from the filter to item ids; embedding the
    query is not part of it. `recall` is the share of the exact top 10 that was found.
    """

    name: ClassVar[str] = "filtered-search"

    items: int = Field(default=50_000, ge=100)
    selectivity: float = Field(default=0.05, gt=0, le=1)
    """Share of the items that the filter keeps."""
    queries: int = Field(default=200, gt=0)
    dimensions: int = Field(default=384, gt=1)
    seed: int = 0

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """The rows `chroma-filter` and `llmrec`; `source` is not read."""
        rng = np.random.default_rng(self.seed)
        groups = max(round(1 / self.selectivity), 1)
        group = rng.integers(groups, size=self.items)
        matrix, queries = self._vectors(rng)
        catalogue = _catalogue(group)
        ids = [str(item) for item in catalogue.index.ids]
        wanted = rng.integers(groups, size=self.queries)
        truth = [_exact(matrix, group == g, query) for g, query in zip(wanted, queries, strict=True)]
        with tempfile.TemporaryDirectory() as folder:
            # Memory-mapped, as in a workspace. Under such a filter the index scores the matrix and leaves Chroma alone.
            ItemVectors(ids, matrix, _Unused.name, "generated").save(Path(folder))
            index = SemanticIndex(catalogue, ItemVectors.load(Path(folder)), _Unused())

            def ours(query: NDArray[np.float32], g: int) -> list[int]:
                mask = catalogue.mask([Filter(field="attribute", operator="=", value=f"group {g}")])
                return index.nearest(query, _K, mask)[0].tolist()

            rows = [self._row("llmrec", "ours", ours, queries, wanted, truth)]
            with closing(_chroma(Path(folder) / "chroma")) as client:
                collection = self._fill(client, ids, matrix, group, progress)

                def theirs(query: NDArray[np.float32], g: int) -> list[int]:
                    found = collection.query(query_embeddings=query[None], n_results=_K, where={"group": int(g)})
                    return [int(item) for item in found["ids"][0]]

                return [self._row("chroma-filter", "floor", theirs, queries, wanted, truth), *rows]

    def _vectors(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Items (n, d) and queries (q, d) from the same clusters, all of length 1."""
        centres = rng.standard_normal((max(self.items // 100, 1), self.dimensions), np.float32)

        def draw(count: int) -> NDArray[np.float32]:
            points = centres[rng.integers(len(centres), size=count)]
            points = points + rng.standard_normal((count, self.dimensions), np.float32)
            return points / np.linalg.norm(points, axis=1, keepdims=True)

        return draw(self.items), draw(self.queries)

    def _fill(
        self, client: Any, ids: list[str], matrix: NDArray[np.float32], group: NDArray[np.int64], progress: Progress
    ) -> Any:
        configuration = {"hnsw": {"space": "cosine", "sync_threshold": len(ids)}}
        collection = client.create_collection("items", configuration=configuration, embedding_function=None)
        for start in range(0, len(ids), BATCH):
            part = slice(start, start + BATCH)
            groups = [{"group": int(g)} for g in group[part]]
            collection.add(ids=ids[part], embeddings=matrix[part], metadatas=groups)
            progress("filling Chroma", min(start + BATCH, len(ids)), len(ids))
        return collection

    def _row(
        self,
        name: str,
        kind: Literal["ours", "floor"],
        search: Callable[[NDArray[np.float32], int], list[int]],
        queries: NDArray[np.float32],
        wanted: NDArray[np.int64],
        truth: Sequence[set[int]],
    ) -> Row:
        for query, g in zip(queries[:_WARM_UP], wanted[:_WARM_UP], strict=True):
            search(query, g)
        milliseconds, recall = [], []
        for query, g, expected in zip(queries, wanted, truth, strict=True):
            started = time.perf_counter()
            found = search(query, g)
            milliseconds.append(1000 * (time.perf_counter() - started))
            recall.append(len(expected.intersection(found)) / len(expected))
        p50, p99 = np.percentile(milliseconds, [50, 99])
        metrics = {"p50_ms": float(p50), "p99_ms": float(p99), "recall": float(np.mean(recall))}
        protocol = f"top {_K} of {self.items:,} x {self.dimensions}, {self.selectivity:.0%} kept, one query at a time"
        return Row(name, kind, metrics, protocol)


class _Unused:
    """The embedder of an index that is asked by vectors only."""

    name = "generated"
    dimensions = 0

    def embed(self, texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
        raise NotImplementedError


def _catalogue(group: NDArray[np.int64]) -> Catalogue:
    rows = [{c.ITEM: str(item), c.ATTRIBUTES: [f"group {g}"]} for item, g in enumerate(group)]
    return Catalogue.from_dataset(Dataset("generated", parse.rows_to_items(rows)))


def _exact(matrix: NDArray[np.float32], kept: NDArray[np.bool_], query: NDArray[np.float32]) -> set[int]:
    similarity = np.where(kept, matrix @ query, -np.inf)
    return set(np.argsort(-similarity)[: min(_K, int(kept.sum()))].tolist())


def _chroma(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
