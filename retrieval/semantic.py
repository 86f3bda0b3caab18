"""Semantic search: the nearest texts in ChromaDB, with filters that stay fast and items that change while it serves.

Chroma's own filter walks its graph past whatever does not match: 23 ms and more for a filter that keeps 5% of 50,000
items. Here a filter is a mask over the catalogue; where it leaves few rows, exactly those rows of the matrix that lies
beside Chroma are scored, in 1 to 2 ms and without loss. See `EXACT_ROWS` for the switch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from llmrec import pool
from llmrec.contracts import Embedder, Hit, Progress, no_progress
from llmrec.data.catalogue import TEXT_LENGTH, Catalogue
from llmrec.errors import UnknownName, WorkspaceError
from llmrec.retrieval.item_vectors import ItemVectors
from llmrec.retrieval.order import best
from llmrec.retrieval.vectors import VectorStore

if TYPE_CHECKING:
    from llmrec.filters import Filter

EXACT_ROWS = 50_000
"""Rows of 384 numbers that are scored exactly rather than by Chroma's graph. Measured on 2 cores with 50,000 items:
exactly 2 ms for 5,000 rows, 7 ms for all; Chroma 4 to 8 ms for 200 neighbours at recall .93. Above, Chroma scales."""
_GATHER = 0.2
"""Share of the rows up to which picking them out first is cheaper than one product over all."""
_SPARE = 1.5
"""How many more neighbours than a loose filter should need are asked from Chroma."""


Scored = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Catalogue positions and their similarities."""


@dataclass(frozen=True)
class _State:
    """What one search sees; replaced as a whole, so that a search never sees half a change."""

    catalogue: Catalogue
    changed: Mapping[int, int] = field(default_factory=dict)
    """Catalogue position of each new or changed text to its row in `extra`."""
    extra: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))


class SemanticIndex:
    """Cosine similarity between a query and `Catalogue.text`."""

    def __init__(
        self, catalogue: Catalogue, vectors: ItemVectors, embedder: Embedder, store: VectorStore | None = None
    ) -> None:
        """Without a store every search is exact and changes live in memory only. Raises `WorkspaceError` where
        vectors, catalogue and embedder do not belong together."""
        if [str(item) for item in catalogue.index.ids[: len(vectors.ids)]] != vectors.ids:
            raise WorkspaceError("the vectors belong to another catalogue: build the workspace again")
        if vectors.model != embedder.name:
            raise WorkspaceError(
                f"the vectors were made by {vectors.model!r}, but the setting 'embeddings' is {embedder.name!r}: "
                "change it back, or build the workspace again"
            )
        self._embedder = embedder
        self._vectors = vectors
        self._store = store
        self._kept = dict(store.kept()) if store else {}
        self._state = _State(catalogue)
        current = {item: catalogue.index.position(item) for item in self._kept if item in catalogue.index}
        self._state = self._changed(
            self._state,
            catalogue,
            {
                position: self._kept[item][1]
                for (item, position), text in zip(current.items(), catalogue.text(current.values()), strict=True)
                if self._kept[item][0] == _digest(text)
            },
        )

    @classmethod
    def open(cls, catalogue: Catalogue, folder: Path, embedder: Embedder, uri: str) -> Self:
        """The index over the item vectors in `folder` and their copy in the store at `uri`, see `rebuild`.

        Raises `VectorStoreError` where the store is damaged, out of reach or without them.
        """
        vectors = ItemVectors.load(folder)
        store = VectorStore.open(uri, vectors.fingerprint, len(vectors.ids))
        try:
            return cls(catalogue, vectors, embedder, store)
        except BaseException:
            store.close()
            raise

    @staticmethod
    def rebuild(folder: Path, uri: str, progress: Progress = no_progress) -> None:
        """Write the item vectors in `folder` into the store anew, whatever state it is in."""
        vectors = ItemVectors.load(folder)
        VectorStore.build(uri, vectors.fingerprint, vectors.ids, vectors.matrix, progress)

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()

    # --- Searching ----------------------------------------------------------------------------------------------------

    async def search(self, query: str, k: int = 10, filters: Sequence[Filter] = ()) -> list[Hit]:
        """The k available items nearest to the query that satisfy every filter; none for an empty query."""
        catalogue = self._state.catalogue
        return _hits(catalogue, await pool.run(lambda: self.rank(query, k, catalogue.mask(filters))))

    async def similar(self, item_id: str, k: int = 10, filters: Sequence[Filter] = ()) -> list[Hit]:
        """The k other items nearest to an item; raises `UnknownName`."""
        catalogue = self._state.catalogue
        position = catalogue.index.position(item_id)
        if position < 0:
            raise UnknownName(f"there is no item {item_id!r} in the catalogue")

        def rank() -> Scored:
            mask = catalogue.mask(filters)
            mask[position] = False
            return self.nearest(self.vectors([position])[0], k, mask)

        return _hits(catalogue, await pool.run(rank))

    def rank(self, query: str, k: int, mask: NDArray[np.bool_]) -> Scored:
        """Positions and similarities of the k items under `mask` that are nearest to the query."""
        text = query.strip()[:TEXT_LENGTH]
        if not text or k < 1 or not mask.any():
            return np.empty(0, np.int64), np.empty(0, np.float32)
        return self.nearest(self._embedder.embed([text])[0], k, mask)

    def nearest(self, vector: NDArray[np.float32], k: int, mask: NDArray[np.bool_]) -> Scored:
        """Positions and similarities of the k items under `mask` (n,) nearest to a unit vector (d,), best first."""
        state = self._state
        allowed = np.flatnonzero(mask)
        found = None
        if self._store is not None and len(allowed) > EXACT_ROWS:
            found = self._approximate(self._store, vector, k, mask, len(allowed) / len(mask), state)
        positions, similarities = found or self._exact(vector, allowed, state)
        order, scores = best(similarities, k)
        return positions[order], scores

    def vectors(self, positions: Sequence[int]) -> NDArray[np.float32]:
        """Unit vectors (n, d) of items by catalogue position; zeros where the item has none yet."""
        state = self._state
        rows = np.zeros((len(positions), self._embedder.dimensions), np.float32)
        for row, position in enumerate(positions):
            if position in state.changed:
                rows[row] = state.extra[state.changed[position]]
            elif position < len(self._vectors.ids):
                rows[row] = self._vectors.matrix[position]
        return rows

    def _exact(self, vector: NDArray[np.float32], allowed: NDArray[np.int64], state: _State) -> Scored:
        """All `allowed` positions (ascending) that have a vector, with their similarities."""
        matrix = self._vectors.matrix
        rows = allowed[: np.searchsorted(allowed, len(matrix))]
        # Rather than a BLAS product, whose threads wait for each other for milliseconds where cores are busy.
        if len(rows) <= _GATHER * len(matrix):
            similarities = np.vecdot(matrix[rows], vector)
        else:
            similarities = np.vecdot(matrix, vector)[rows]
        return _merge(rows, similarities, *self._score_changed(vector, allowed, state))

    def _approximate(
        self,
        store: VectorStore,
        vector: NDArray[np.float32],
        k: int,
        mask: NDArray[np.bool_],
        share: float,
        state: _State,
    ) -> Scored | None:
        """The neighbours that Chroma finds under a loose filter, or None where they are too few."""
        asked = min(math.ceil(k / share * _SPARE) + len(state.changed), len(self._vectors.ids))
        ids, similarities = store.nearest(vector, asked)
        positions = state.catalogue.index.positions(ids)
        order = np.argsort(positions)
        positions, similarities = positions[order], similarities[order]
        fit = mask[positions] & ~np.isin(positions, list(state.changed))
        if np.count_nonzero(fit) < k:  # the filter keeps what is far from the query
            return None
        changed = self._score_changed(vector, np.flatnonzero(mask), state)
        return _merge(positions[fit], similarities[fit], *changed)

    def _score_changed(self, vector: NDArray[np.float32], allowed: NDArray[np.int64], state: _State) -> Scored:
        """Those of the changed positions that are allowed, with their similarities."""
        positions = np.fromiter(state.changed, np.int64, len(state.changed))
        fit = np.isin(positions, allowed)
        return positions[fit], np.vecdot(state.extra[fit], vector)

    # --- Changing -----------------------------------------------------------------------------------------------------

    async def upsert(self, catalogue: Catalogue, item_ids: Sequence[str]) -> None:
        """Search `catalogue` from now on, in which these items are new or changed. One caller at a time.

        A text is embedded only if it changed; the vector is kept in the store, so that the next start need not.
        """
        self._state = await pool.run(self._upsert, catalogue, item_ids)

    def _upsert(self, catalogue: Catalogue, item_ids: Sequence[str]) -> _State:
        state = self._state
        positions = sorted({int(p) for p in catalogue.index.positions(item_ids) if p >= 0})
        before = [p for p in positions if p < len(self._vectors.ids) or p in state.changed]
        same = dict(zip(before, state.catalogue.text(before), strict=True))
        texts = {
            position: text
            for position, text in zip(positions, catalogue.text(positions), strict=True)
            if same.get(position) != text
        }
        return self._changed(state, catalogue, self._embed_changed(catalogue, texts))

    def _changed(self, state: _State, catalogue: Catalogue, vectors: Mapping[int, NDArray[np.float32]]) -> _State:
        """`state` with these vectors by position."""
        merged = {position: state.extra[row] for position, row in state.changed.items()} | dict(vectors)
        extra = np.array(list(merged.values()), np.float32).reshape(len(merged), self._vectors.matrix.shape[1])
        return _State(catalogue, {position: row for row, position in enumerate(merged)}, extra)

    def _embed_changed(self, catalogue: Catalogue, texts: Mapping[int, str]) -> dict[int, NDArray[np.float32]]:
        """Vectors by position; those that the store keeps are not embedded again."""
        ids = {position: str(catalogue.index.ids[position]) for position in texts}
        digests = {position: _digest(text) for position, text in texts.items()}
        new = [p for p in texts if self._kept.get(ids[p], ("",))[0] != digests[p]]
        if new:
            matrix = self._embedder.embed([texts[p] for p in new])
            if self._store is not None:
                self._store.put([ids[p] for p in new], matrix, [digests[p] for p in new])
            self._kept |= {ids[p]: (digests[p], vector) for p, vector in zip(new, matrix, strict=True)}
        return {position: self._kept[ids[position]][1] for position in texts}


def _merge(
    positions: NDArray[np.int64],
    similarities: NDArray[np.float32],
    changed: NDArray[np.int64],
    changed_similarities: NDArray[np.float32],
) -> Scored:
    """Both in one, ascending by position; what changed replaces what was. `positions` ascend."""
    if not len(changed):
        return positions, similarities
    kept = ~np.isin(positions, changed)
    positions = np.concatenate([positions[kept], changed])
    order = np.argsort(positions)
    return positions[order], np.concatenate([similarities[kept], changed_similarities])[order]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _hits(catalogue: Catalogue, ranked: Scored) -> list[Hit]:
    return [Hit(str(catalogue.index.ids[p]), float(s)) for p, s in zip(*ranked, strict=True)]
