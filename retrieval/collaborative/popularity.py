"""Popularity: what most users have chosen, the floor under every recommender."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from llmrec.contracts import Config, Progress
from llmrec.data.dataset import Dataset
from llmrec.retrieval.collaborative.arrays import Arrays
from llmrec.retrieval.collaborative.base import HistoryRecommender


class PopularityConfig(Config):
    """Popularity has no settings."""


class Popularity(HistoryRecommender):
    """Scores every item by the share of users with a positive event of it, alike for everybody.

    It knows all items of the catalogue. `similar` gives the most popular other items.
    """

    config_type = PopularityConfig
    knows_all_items: ClassVar[bool] = True

    def _fit(self, matrix: sparse.csr_matrix, dataset: Dataset, progress: Progress) -> NDArray[np.bool_]:
        return np.zeros(matrix.shape[1], bool)  # no item tells anything about a person

    def _score(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        return np.tile(self._popularity, (histories.shape[0], 1))

    def _arrays(self) -> Arrays:
        return {}

    def _restore(self, arrays: Arrays) -> None:
        pass
