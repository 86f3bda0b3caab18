"""Fusion: several rankings, or several sources of scores, of one catalogue become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from llmrec import plugins
from llmrec.contracts import Config, Progress, Recommender, Who
from llmrec.data.dataset import Dataset
from llmrec.retrieval.collaborative.arrays import Arrays
from llmrec.retrieval.collaborative.base import HistoryRecommender

Scores = NDArray[np.float32]


def reciprocal_rank_fusion(
    lists: Sequence[NDArray[np.int64] | Sequence[int]], k: int = 60
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions, best first, and scores: the sum of 1 / (k + rank) over `lists` of distinct catalogue positions,
    ranks from 1; ties by position (Cormack, Clarke and Büttcher 2009)."""
    ranked = [np.asarray(positions, np.int64) for positions in lists]
    found, where = np.unique(np.concatenate([*ranked, np.empty(0, np.int64)]), return_inverse=True)
    parts = np.concatenate([*(1 / (k + 1 + np.arange(len(positions))) for positions in ranked), np.empty(0)])
    scores = np.bincount(where, parts, len(found))
    # Sums in another order differ in the last bit, which must not decide a tie.
    order = np.lexsort((found, -scores.astype(np.float32)))
    return found[order], scores[order].astype(np.float32)


def blend(scores: Mapping[str, Scores], weights: Mapping[str, float]) -> Scores:
    """One score (rows, n) from several sources' (rows, n): the weighted sum of their standardised scores.

    Each source's row is scaled to mean 0 and deviation 1, so that sources of any scale can be weighed. Where a source
    is at -inf it does not know the item and says nothing for or against it: what only one source knows, such as new
    items, is found by that one.
    """
    total = np.zeros(next(iter(scores.values())).shape, np.float32)
    for name, part in scores.items():
        total += np.float32(weights[name]) * _standardised(part)
    return total


def strongest_source(scores: Mapping[str, Scores], weights: Mapping[str, float]) -> NDArray[np.int64]:
    """Which source (rows, n) adds most to `blend`, counted in their order in `scores`."""
    return np.stack([np.float32(weights[name]) * _standardised(part) for name, part in scores.items()]).argmax(axis=0)


def _standardised(scores: Scores) -> Scores:
    known = np.isfinite(scores)
    count = np.maximum(known.sum(axis=1, keepdims=True, dtype=np.float32), 1)
    centred = np.where(known, scores, np.float32(0))
    centred -= centred.sum(axis=1, keepdims=True) / count
    centred *= known
    deviation = np.sqrt(np.vecdot(centred, centred)[:, None] / count)
    centred /= np.maximum(deviation, np.finfo(np.float32).tiny)
    return centred


class BlendConfig(Config):
    """Settings of `Blend`."""

    weights: dict[str, float] = Field(default={"ease": 1.0, "ials": 1.0, "content": 1.0}, min_length=1)
    """Weight of each source, a name of the entry-point group llmrec.recommenders."""
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of the sources, by name."""


class Blend(HistoryRecommender):
    """The sum of several recommenders' standardised scores; see `blend`.

    The default weights are the best of a coarse grid on the validation events of `amazon-beauty`, `ml-100k` and
    `lastfm-star` together: on each, the blend is better than its best source. Popularity as a fourth source makes every
    one of them worse; it answers for people without a history.
    """

    config_type = BlendConfig
    config: BlendConfig
    knows_all_items: ClassVar[bool] = True

    def _fit(self, matrix: sparse.csr_matrix, dataset: Dataset, progress: Progress) -> NDArray[np.bool_]:
        sources = {}
        for name in self.config.weights:
            kind = plugins.load("llmrec.recommenders", name)
            config = kind.config_type(**self.config.settings.get(name, {}))
            sources[name] = kind(config).fit(dataset, progress)
        self._attach(sources)
        return np.ones(matrix.shape[1], bool)

    def _attach(self, sources: Mapping[str, Recommender]) -> None:
        self._sources = sources
        self._columns = {name: self._items.positions(source.item_ids) for name, source in sources.items()}

    def _score(self, histories: sparse.csr_matrix) -> Scores:
        return blend(self._of_sources(histories), self.config.weights)

    def sources(self, who: Who, items: Sequence[str]) -> list[str]:
        """The source that says most for each of the items that were recommended to one person."""
        strongest = strongest_source(self._of_sources(self._people([who])[0]), self.config.weights)
        names = list(self._sources)
        return [names[strongest[0, position]] for position in self._items.positions(items)]

    def _of_sources(self, histories: sparse.csr_matrix) -> dict[str, Scores]:
        ids = self._items.ids
        people = [ids[row].tolist() for row in np.split(histories.indices, histories.indptr[1:-1])]
        scores = {}
        for name, source in self._sources.items():
            scores[name] = np.full(histories.shape, -np.inf, np.float32)
            scores[name][:, self._columns[name]] = source.score(people)
        return scores

    def _arrays(self) -> Arrays:
        return {}

    def _restore(self, arrays: Arrays) -> None:
        pass

    def save(self, folder: Path) -> None:
        """Write the model into an existing empty folder, each source into a folder of its own in it."""
        super().save(folder)
        for name, source in self._sources.items():
            (folder / name).mkdir()
            source.save(folder / name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        model = super().load(folder)
        model._attach(
            {name: plugins.load("llmrec.recommenders", name).load(folder / name) for name in model.config.weights}
        )
        return model
