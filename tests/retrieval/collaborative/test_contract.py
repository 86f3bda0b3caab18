"""Our recommenders keep the contract that third parties' must keep."""

from __future__ import annotations

from llmrec.contracts import Recommender
from llmrec.retrieval.collaborative import EASE, IALS, EASEConfig, IALSConfig, ItemToItem, Popularity
from llmrec.testing.recommenders import RecommenderContract


class TestPopularity(RecommenderContract):
    kind = Popularity
    personal = False


class TestEASE(RecommenderContract):
    kind = EASE


class TestSparseEASE(RecommenderContract):
    kind = EASE

    def make(self) -> Recommender:
        return EASE(EASEConfig(exact_items=0, neighbours=10))


class TestIALS(RecommenderContract):
    kind = IALS

    def make(self) -> Recommender:
        return IALS(IALSConfig(factors=2))


class TestItemToItem(RecommenderContract):
    kind = ItemToItem
