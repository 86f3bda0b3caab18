"""Hybrid search: what shares words with the query and what is near to it in meaning, fused by rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llmrec import pool
from llmrec.contracts import Config, Hit
from llmrec.data.catalogue import Catalogue
from llmrec.retrieval.fusion import reciprocal_rank_fusion
from llmrec.retrieval.lexical import LexicalIndex
from llmrec.retrieval.order import best
from llmrec.retrieval.semantic import SemanticIndex

if TYPE_CHECKING:
    from llmrec.filters import Filter


class HybridConfig(Config):
    """How the two rankings are fused; the defaults are the protocol of the product search benchmark."""

    depth: int = 200
    """Items taken from each ranking."""
    k: int = 60
    """Constant of reciprocal rank fusion."""


class HybridSearch:
    """Reciprocal rank fusion of `LexicalIndex` and `SemanticIndex` over one catalogue.

    A query without words of the catalogue (a typo, another language) is answered by meaning alone; an empty query by
    the most popular items that satisfy the filters.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        lexical: LexicalIndex,
        semantic: SemanticIndex,
        popularity: NDArray[np.float32] | None = None,
        config: HybridConfig | None = None,
    ) -> None:
        """`popularity` (n,) by catalogue position orders the answers to an empty query; later items count as 0."""
        self.lexical = lexical
        self.semantic = semantic
        self.config = config or HybridConfig()
        self._catalogue = catalogue
        self._popularity = np.zeros(len(catalogue), np.float32) if popularity is None else popularity

    async def search(self, query: str, k: int = 10, filters: Sequence[Filter] = ()) -> list[Hit]:
        """The k best available items that satisfy every filter, best first; ties by catalogue order."""
        catalogue = self._catalogue
        positions, scores = await pool.run(lambda: self.rank(query, k, catalogue.mask(filters)))
        return [Hit(str(catalogue.index.ids[p]), float(s)) for p, s in zip(positions, scores, strict=True)]

    def rank(self, query: str, k: int, mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Positions and scores of the k best items under `mask`."""
        if not query.strip():
            scores = np.zeros(len(mask), np.float32)
            scores[: len(self._popularity)] = self._popularity[: len(mask)]
            return best(np.where(mask, scores, -np.inf).astype(np.float32), k)
        depth = max(self.config.depth, k)
        lists = [searcher.rank(query, depth, mask)[0] for searcher in (self.lexical, self.semantic)]
        positions, scores = reciprocal_rank_fusion(lists, self.config.k)
        return positions[: max(k, 0)], scores[: max(k, 0)]

    async def upsert(self, catalogue: Catalogue, item_ids: Sequence[str]) -> None:
        """Search `catalogue` from now on, in which these items are new or changed. One caller at a time."""
        await self.lexical.upsert(catalogue, item_ids)
        await self.semantic.upsert(catalogue, item_ids)
        self._catalogue = catalogue
