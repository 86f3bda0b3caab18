"""What the collaborative recommenders share: ids, histories, seen items, candidates, fallback, batches, storage."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from llmrec.contracts import Config, Progress, Recommendations, Who, no_progress
from llmrec.data.dataset import Dataset
from llmrec.data.index import Index
from llmrec.errors import LlmrecError
from llmrec.retrieval.collaborative.arrays import Arrays, read_arrays, write_arrays
from llmrec.retrieval.collaborative.topk import top_k

_BLOCK = 1 << 22
"""Scores that are held at once, 16 MB: enough rows for fast matrix products, few enough to stay in the cache."""

_NOBODY = np.empty(0, np.int32)


class HistoryRecommender(ABC):
    """A `Recommender` whose scores depend on the items of a person's history alone.

    - It knows the items with at least one positive event; others are unknown to it, as the contract says.
    - A known user's history is that of the fitted data and of `update`. A history without any item that the model has
      learnt something about, such as an anonymous person's, is answered by popularity: the share of users per item.
    - Seen are the items of the history and, for known users, those of their negative events.
    - Equal scores are ordered as the items are in the catalogue. Repeated events count once.

    A subclass gives `_fit`, `_score`, `_arrays` and `_restore`.
    """

    config_type: ClassVar[type[Config]]
    knows_all_items: ClassVar[bool] = False

    def __init__(self, config: Config | None = None) -> None:
        self.config = self.config_type() if config is None else config

    # --- For subclasses -----------------------------------------------------------------------------------------------

    @abstractmethod
    def _fit(self, matrix: sparse.csr_matrix, dataset: Dataset, progress: Progress) -> NDArray[np.bool_]:
        """Learn from the binary matrix (users x known items) and, where it uses content, the items of `dataset`; tell
        for each known item if the model can reason from it."""

    @abstractmethod
    def _score(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        """New C-contiguous scores (rows, known items) of binary histories (rows x known items), in which the columns of
        each row stand in the order of time, oldest first."""

    def _similar(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Similarity (rows, known items) to the items at `positions`: by default what they alone recommend."""
        return self._score(_csr([position[None] for position in positions], len(self._items)))

    @abstractmethod
    def _arrays(self) -> Arrays:
        """What to save of the learnt model."""

    @abstractmethod
    def _restore(self, arrays: Arrays) -> None:
        """Take back what `_arrays` gave."""

    # --- The contract -------------------------------------------------------------------------------------------------

    def fit(self, dataset: Dataset, progress: Progress = no_progress) -> Self:
        """Learn from the positive events of `dataset`."""
        matrix = dataset.matrix()
        counts = np.asarray(matrix.sum(axis=0)).ravel()
        known = np.arange(matrix.shape[1]) if self.knows_all_items else np.flatnonzero(counts)
        self._items = Index(dataset.item_index.ids[known])
        self._users = dataset.user_index
        self._histories = _csr([self._positions(dataset.histories.get(user, ())) for user in self._users], len(known))
        self._disliked = _disliked(dataset, self._items, self._histories)
        self._popularity = (counts[known] / max(matrix.shape[0], 1)).astype(np.float32)
        self._updated: dict[str, NDArray[np.int32]] = {}
        self._informative = self._fit(matrix[:, known].tocsr(), dataset, progress)
        return self

    @property
    def item_ids(self) -> Sequence[str]:
        """Items that the model knows, in catalogue order: the columns of `score`."""
        return self._fitted._items.ids.tolist()

    def recommend(
        self, users: Sequence[Who], k: int = 10, *, within: Sequence[str] | None = None, exclude_seen: bool = True
    ) -> Recommendations:
        """The k best items for each person; ids in `within` that the model does not know are left out."""
        columns = None if within is None else np.sort(self._positions(within))
        histories, disliked = self._people(users)
        found = []
        for block in self._blocks(len(users)):
            scores = self._scores(histories[block])
            if exclude_seen:
                _mask(scores, histories[block])
                _mask(scores, disliked[block])
            found.append(self._best(scores, k, columns))
        return _joined(found, k)

    def score(self, users: Sequence[Who], candidates: Sequence[str] | None = None) -> NDArray[np.float32]:
        """Scores (users, candidates), seen items included; candidates that the model does not know get -inf."""
        histories, _ = self._people(users)
        columns = None if candidates is None else self._items.positions(candidates)
        out = np.empty((len(users), len(self._items) if columns is None else len(columns)), np.float32)
        for block in self._blocks(len(users)):
            scores = self._scores(histories[block])
            if columns is None:
                out[block] = scores
            elif len(self._items):
                out[block] = np.where(columns >= 0, scores[:, columns], np.float32(-np.inf))
            else:
                out[block] = -np.inf
        return out

    def similar(self, items: Sequence[str], k: int = 10) -> Recommendations:
        """The k most similar other items of each item, those of positive similarity only."""
        positions = self._fitted._items.positions(items)
        found = []
        for block in self._blocks(len(items)):
            here = positions[block]
            scores = np.full((len(here), len(self._items)), -np.inf, np.float32)
            rows = np.flatnonzero(here >= 0)
            if len(rows):
                scores[rows] = self._similar(here[rows])
                scores[rows, here[rows]] = -np.inf
            scores[scores <= 0] = -np.inf
            found.append(self._best(scores, k, None))
        return _joined(found, k)

    def update(self, events: Sequence[tuple[str, str]]) -> None:
        """Add (user id, item id) events to the histories; a new user starts one, unknown items are ignored."""
        positions = self._fitted._items.positions(item for _, item in events)
        for (user, _), position in zip(events, positions, strict=True):
            if position >= 0:
                history = self._history(user)
                if position not in history:
                    self._updated[user] = np.append(history, np.int32(position))

    def save(self, folder: Path) -> None:
        """Write `config.json`, `ids.json` and `model.safetensors` into an existing empty folder."""
        (folder / "config.json").write_text(self.config.model_dump_json(indent=1))
        ids = {
            "items": list(self._fitted._items),
            "users": list(self._users),
            "updated": {user: history.tolist() for user, history in self._updated.items()},
        }
        (folder / "ids.json").write_text(json.dumps(ids))
        shared = {
            "popularity": self._popularity,
            "informative": self._informative,
            "histories.indptr": self._histories.indptr,
            "histories.indices": self._histories.indices,
            "disliked.indptr": self._disliked.indptr,
            "disliked.indices": self._disliked.indices,
        }
        write_arrays(folder / "model.safetensors", {**shared, **self._arrays()})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        model = cls(cls.config_type.model_validate_json((folder / "config.json").read_text()))
        ids = json.loads((folder / "ids.json").read_text())
        arrays = read_arrays(folder / "model.safetensors")
        model._items, model._users = Index(ids["items"]), Index(ids["users"])
        model._updated = {user: np.array(history, np.int32) for user, history in ids["updated"].items()}
        model._popularity, model._informative = arrays["popularity"], arrays["informative"]
        shape = (len(model._users), len(model._items))
        model._histories = _binary(arrays["histories.indices"], arrays["histories.indptr"], shape)
        model._disliked = _binary(arrays["disliked.indices"], arrays["disliked.indptr"], shape)
        model._restore(arrays)
        return model

    # --- Parts --------------------------------------------------------------------------------------------------------

    @property
    def _fitted(self) -> Self:
        if not hasattr(self, "_items"):
            raise LlmrecError(f"{type(self).__name__} has not learnt anything yet: call fit or load first")
        return self

    def _blocks(self, rows: int) -> Iterator[slice]:
        step = max(1, _BLOCK // max(len(self._items), 1))
        return (slice(start, min(start + step, rows)) for start in range(0, rows, step))

    def _positions(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Distinct positions of the ids that are known, in their order."""
        positions = self._fitted._items.positions(dict.fromkeys(ids))
        return positions[positions >= 0]

    def _history(self, user: str) -> NDArray[np.int32]:
        updated = self._updated.get(user)
        if updated is not None:
            return updated
        return _row(self._histories, self._users.position(user))

    def _people(self, users: Sequence[Who]) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Histories, and known users' negative items: two binary matrices (users x known items)."""
        self._fitted  # noqa: B018
        histories: list[NDArray[np.integer]] = []
        disliked: list[NDArray[np.integer]] = []
        for who in users:
            if isinstance(who, str):
                histories.append(self._history(who))
                disliked.append(_row(self._disliked, self._users.position(who)))
            else:
                histories.append(self._positions(who))
                disliked.append(_NOBODY)
        return _csr(histories, len(self._items)), _csr(disliked, len(self._items))

    def _scores(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        scores = self._score(histories)
        scores[histories @ self._informative.astype(np.float32) == 0] = self._popularity
        return scores

    def _best(self, scores: NDArray[np.float32], k: int, columns: NDArray[np.int64] | None) -> Recommendations:
        positions, best = top_k(scores if columns is None else scores[:, columns], k)
        if columns is not None and len(columns):
            positions = np.where(positions >= 0, columns[positions], -1)
        # Position -1 is the padding, which stands at the end.
        return Recommendations(np.append(self._items.ids, "")[positions], best)


def _disliked(dataset: Dataset, items: Index, histories: sparse.csr_matrix) -> sparse.csr_matrix:
    """Binary matrix (users x items) of items with events that are all negative."""
    if len(dataset.positives) == len(dataset.interactions):
        return sparse.csr_matrix(histories.shape, dtype=np.float32)
    rows = dataset.user_index.positions(dataset.interactions["user_id"])
    columns = items.positions(dataset.interactions["item_id"])
    known = columns >= 0
    events = sparse.csr_matrix((np.ones(known.sum(), np.float32), (rows[known], columns[known])), histories.shape)
    disliked = events - events.multiply(histories)
    disliked.eliminate_zeros()
    return _binary(disliked.indices, disliked.indptr, histories.shape)


def _binary(indices: NDArray, indptr: NDArray, shape: tuple[int, int]) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)


def _csr(rows: Sequence[NDArray], columns: int) -> sparse.csr_matrix:
    """Binary CSR matrix from the positions of each row."""
    indptr = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=indptr[1:])
    indices = np.concatenate([_NOBODY, *rows]).astype(np.int32, copy=False)
    return _binary(indices, indptr, (len(rows), columns))


def _row(matrix: sparse.csr_matrix, position: int) -> NDArray[np.int32]:
    """Column positions of one row; none for position -1."""
    return matrix.indices[matrix.indptr[position] : matrix.indptr[position + 1]] if position >= 0 else _NOBODY


def _mask(scores: NDArray[np.float32], seen: sparse.csr_matrix) -> None:
    rows = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    scores[rows, seen.indices] = -np.inf


def _joined(parts: Sequence[Recommendations], k: int) -> Recommendations:
    if not parts:
        return Recommendations(np.empty((0, k), object), np.empty((0, k), np.float32))
    return Recommendations(np.concatenate([p.items for p in parts]), np.concatenate([p.scores for p in parts]))
