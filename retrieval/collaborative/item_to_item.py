"""Item-to-item neighbourhoods: people who chose this also chose that."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from llmrec.contracts import Config, Progress
from llmrec.data.dataset import Dataset
from llmrec.retrieval.collaborative.arrays import Arrays
from llmrec.retrieval.collaborative.base import HistoryRecommender
from llmrec.retrieval.collaborative.neighbours import nearest_neighbours


class ItemToItemConfig(Config):
    """Settings of `ItemToItem`."""

    neighbours: int = Field(100, ge=1)
    """Similar items kept for each item."""
    weighting: Literal["cosine", "tfidf"] = "tfidf"
    """`tfidf` weighs a user by log(items / (1 + items of the user)), so that heavy users say less; `cosine` by 1."""


class ItemToItem(HistoryRecommender):
    """Item-based nearest neighbours (Deshpande and Karypis, TOIS 2004): the score of an item is the sum of its
    similarities to the items of the history; similarity is the cosine of the items' columns of users."""

    config_type = ItemToItemConfig
    config: ItemToItemConfig

    def _fit(self, matrix: sparse.csr_matrix, dataset: Dataset, progress: Progress) -> NDArray[np.bool_]:
        if self.config.weighting == "tfidf":
            lengths = np.diff(matrix.indptr)
            # Never zero: somebody who chose nearly everything still says a little.
            weights = np.maximum(np.log(matrix.shape[1] / (1 + lengths)), 1e-3)
            matrix = (sparse.diags(weights) @ matrix).tocsr()
        progress("neighbours", 0, 1)
        self._similarity = nearest_neighbours(matrix, self.config.neighbours)
        return np.diff(self._similarity.indptr) > 0

    def _score(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        return (histories @ self._similarity).toarray()

    def _arrays(self) -> Arrays:
        return {f"similarity.{part}": getattr(self._similarity, part) for part in ("data", "indices", "indptr")}

    def _restore(self, arrays: Arrays) -> None:
        parts = tuple(arrays[f"similarity.{part}"] for part in ("data", "indices", "indptr"))
        self._similarity = sparse.csr_matrix(parts, shape=(len(self._items), len(self._items)))
