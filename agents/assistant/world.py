"""The workspace as a turn sees it: one catalogue, its models and what has happened since the build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from llmrec.agents.assistant.people import LRU, Happenings, People
from llmrec.agents.assistant.policies import Policies
from llmrec.agents.assistant.search_door import SearchDoor
from llmrec.agents.conversation.belief import log_prior
from llmrec.agents.conversation.paths import Ties
from llmrec.agents.conversation.say import Vocabulary
from llmrec.agents.conversation.understanding import Understanding, Understood
from llmrec.contracts import Policy, Recommender
from llmrec.data.catalogue import Catalogue
from llmrec.filters import Filter

FOUND = 200
"""Search results that count as found."""
_NEIGHBOURS = 200
_TIED = 20
"""Liked items that explanations look at."""
_CACHED, _CACHED_FLOATS = 128, 4_000_000
"""Arrays that each cache may hold, and floats in all of them: 16 MB."""
_POPULAR_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class LiveWorld:
    """`conversation.World` over a snapshot of the workspace. A changed catalogue makes a new one."""

    catalogue: Catalogue
    words: Vocabulary
    policies: Policies
    reader: Understanding
    search: SearchDoor
    people: People
    happenings: Happenings
    model: Recommender | None
    """Scores what people like together; None without interactions."""

    # --- Texts --------------------------------------------------------------------------------------------------------

    async def understand(self, text: str, asked: str | None, shown: Sequence[str]) -> Understood:
        """See `conversation.World`."""
        return await self.reader.understand(text, asked, shown)

    async def reword(self, draft: str, text: str) -> tuple[str, str]:
        """See `conversation.World`."""
        return await self.reader.reword(draft, text)

    async def find(self, query: str, filters: Sequence[Filter] = ()) -> NDArray[np.int64]:
        """See `conversation.World`; the best `FOUND` items."""
        hits = await (await self.search.wait()).search(query, FOUND, filters)
        positions = self.catalogue.index.positions(hit.item_id for hit in hits)
        return positions[positions >= 0]

    def policy(self, name: str = "") -> Policy:
        """See `conversation.World`."""
        return self.policies.named(name)

    # --- People -------------------------------------------------------------------------------------------------------

    def history(self, user: str | None) -> Sequence[str]:
        """See `conversation.World`."""
        if not user:
            return []
        built = [str(name) for name in self.catalogue.index.ids[self.people.history(user)]]
        return list(dict.fromkeys((*built, *self.happenings.liked(user))))

    def seen(self, user: str | None) -> set[str]:
        """See `conversation.World`."""
        if not user:
            return set()
        return {*self.catalogue.index.ids[self.people.seen(user)], *self.happenings.seen(user)}

    def prior(self, user: str | None, liked: Sequence[str] = ()) -> NDArray[np.float32]:
        """See `conversation.World`: EASE scores of history and likes, and half the log popularity."""
        who = user or ""
        key = (who, tuple(liked), self.happenings.version.get(who, 0))
        return self._priors.get(key, lambda: self._prior(user, liked))

    def _prior(self, user: str | None, liked: Sequence[str]) -> NDArray[np.float32]:
        history = [*self.history(user), *reversed(liked)]
        scores = self.together(history)
        return log_prior(scores, self.popularity, len(history) if scores is not None else 0)

    def together(self, history: Sequence[str]) -> NDArray[np.float32] | None:
        """Scores (n,) of what people choose together with a history, 0 for new items; None where nothing is known."""
        if self.model is None or not history:
            return None
        scores, nobody = self.model.score([history, []])
        if np.array_equal(scores, nobody):
            return None
        aligned = np.zeros(len(self.catalogue), np.float32)
        aligned[self._columns] = scores
        return aligned

    @property
    def popularity(self) -> NDArray[np.float32]:
        """Users (n,) with a positive event of each item, new ones included."""
        counts = np.zeros(len(self.catalogue), np.float32)
        counts[: len(self.people.popularity)] = self.people.popularity
        for item_id, count in tuple(self.happenings.popularity.items()):
            if (at := self.catalogue.index.position(item_id)) >= 0:
                counts[at] += count
        return counts

    def is_popular(self, position: int) -> bool:
        """See `conversation.World`: among the most popular tenth of the items that anybody likes."""
        return position < len(self.people.popularity) and bool(
            self.people.popularity[position] >= max(self._popular_from, 1)
        )

    @cached_property
    def _popular_from(self) -> float:
        liked = self.people.popularity[self.people.popularity > 0]
        return float(np.quantile(liked, 1 - _POPULAR_SHARE)) if liked.size else 0.0

    # --- Items --------------------------------------------------------------------------------------------------------

    def leaning(self, strengths: Mapping[str, float]) -> NDArray[np.float32]:
        """See `conversation.World`."""
        # As one array a person: one for each item that they ever liked would be too many to keep.
        key = (tuple(strengths.items()), self._has_texts)
        return self._leanings.get(key, lambda: self._leaning(strengths))

    def _leaning(self, strengths: Mapping[str, float]) -> NDArray[np.float32]:
        total = np.zeros(len(self.catalogue), np.float32)
        for item_id, strength in strengths.items():
            total += np.float32(strength) * self.similarity(item_id)
        return total

    def content(self, item_id: str) -> NDArray[np.float32]:
        """Similarity (n,) to this item by attributes and text, 0..1: also of items that nobody has chosen."""
        return self._contents.get((item_id, self._has_texts), lambda: self._content(item_id))

    @property
    def _has_texts(self) -> bool:
        """Texts are part of similarity only once search is open, which is soon after the start."""
        return self.search.ready is not None

    def similarity(self, item_id: str) -> NDArray[np.float32]:
        """Similarity (n,) of every item to this one, 0..1: the mean of what people choose together and of content."""
        together = self._together(item_id)
        content = self.content(item_id)
        return content if together is None else self._scaled([together, content], item_id)

    def _content(self, item_id: str) -> NDArray[np.float32]:
        parts = [part for part in (self._shared(item_id), self._alike(item_id)) if part is not None]
        return self._scaled(parts or [np.zeros(len(self.catalogue), np.float32)], item_id)

    def _scaled(self, parts: Sequence[NDArray[np.float32]], item_id: str) -> NDArray[np.float32]:
        """The mean of the parts, without the item itself, with 1 for the most similar."""
        mean: NDArray[np.float32] = np.mean(np.stack(parts), axis=0, dtype=np.float32)
        mean[self.catalogue.index.position(item_id)] = 0
        return mean / max(float(mean.max()), 1e-6)

    def _together(self, item_id: str) -> NDArray[np.float32] | None:
        """Items that people like together with this one."""
        near = self.model.similar([item_id], _NEIGHBOURS).row(0) if self.model is not None else []
        if not near:
            return None
        similarity = np.zeros(len(self.catalogue), np.float32)
        similarity[self.catalogue.index.positions(name for name, _ in near)] = [score for _, score in near]
        return similarity / max(float(similarity.max()), 1e-6)

    def _shared(self, item_id: str) -> NDArray[np.float32] | None:
        row = self._attribute_rows[[self.catalogue.index.position(item_id)]]
        return self._attribute_rows @ row.toarray().ravel() if row.nnz else None

    def _alike(self, item_id: str) -> NDArray[np.float32] | None:
        search = self.search.ready
        if search is None:
            return None
        vector = search.semantic.vectors([self.catalogue.index.position(item_id)])[0]
        positions, cosines = search.semantic.nearest(vector, _NEIGHBOURS, self.catalogue.available)
        similarity = np.zeros(len(self.catalogue), np.float32)
        if len(cosines) and cosines[0] > cosines[-1]:
            similarity[positions] = (cosines - cosines[-1]) / (cosines[0] - cosines[-1])
        return similarity

    def ties(self, liked: Sequence[str], shown: Sequence[str]) -> Ties:
        """See `conversation.World`; the newest `_TIED` of `liked` count."""
        liked = tuple(liked[:_TIED])
        if self.model is None or not liked or not shown:
            return Ties(liked, np.zeros((len(liked), len(shown)), np.float32))
        scores = self.model.score([[], *([name] for name in liked)], shown)
        # What the model knows nothing of is answered like nobody at all, by popularity.
        known = (scores[1:] != scores[0]).any(axis=1, keepdims=True)
        return Ties(liked, np.where(known, np.maximum(scores[1:], 0), 0))

    # --- Derived ------------------------------------------------------------------------------------------------------

    @cached_property
    def _columns(self) -> NDArray[np.int64]:
        """Catalogue position of each item that the model knows."""
        assert self.model is not None
        return self.catalogue.index.positions(self.model.item_ids)

    @cached_property
    def _attribute_rows(self) -> sparse.csr_matrix:
        """Items by attributes, weighted by rarity (idf), rows of length 1."""
        matrix = self.catalogue.matrix
        carriers = np.diff(self.catalogue.matrix_t.indptr)
        weighted = matrix @ sparse.diags_array(
            np.log1p(len(self.catalogue) / np.maximum(carriers, 1)).astype(np.float32)
        )
        lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        return sparse.csr_matrix(sparse.diags_array((1 / np.maximum(lengths, 1e-6)).astype(np.float32)) @ weighted)

    @cached_property
    def _priors(self) -> LRU[tuple[str, tuple[str, ...], int], NDArray[np.float32]]:
        return LRU(self._cache_size)

    @cached_property
    def _leanings(self) -> LRU[tuple[tuple[tuple[str, float], ...], bool], NDArray[np.float32]]:
        return LRU(self._cache_size)

    @cached_property
    def _contents(self) -> LRU[tuple[str, bool], NDArray[np.float32]]:
        return LRU(self._cache_size)

    @property
    def _cache_size(self) -> int:
        return max(16, min(_CACHED, _CACHED_FLOATS // max(len(self.catalogue), 1)))
