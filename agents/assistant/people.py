"""Who did what: histories, seen items and popularity, as built and as events change them since."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from llmrec.data import columns as c
from llmrec.data.dataset import Dataset
from llmrec.data.index import Index

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class People:
    """Users of the data and their items, as catalogue positions of the build; immutable, compact, quick to open.

    `histories` hold distinct items with a positive event, oldest first; `seen` items of any event.
    """

    def __init__(self, users: Index, arrays: dict[str, NDArray]) -> None:
        """Use `of` or `load`."""
        self.users = users
        self._arrays = arrays

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """The users of a dataset, in order of first appearance."""
        users, items = dataset.user_index, dataset.item_index
        histories, seen = dataset.histories, dataset.seen
        arrays = {
            **_ragged("history", (items.positions(histories.get(user, ())) for user in users)),
            **_ragged("seen", (np.sort(items.positions(seen[user])) for user in users)),
            "popularity": np.asarray(dataset.matrix().sum(axis=0)).ravel().astype(np.float32),
        }
        return cls(users, arrays)

    def save(self, folder: Path) -> None:
        """Write into an existing folder."""
        (folder / "users.json").write_text(json.dumps(list(self.users), ensure_ascii=False), encoding="utf-8")
        np.savez(folder / "people.npz", **self._arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        users = Index(json.loads((folder / "users.json").read_text(encoding="utf-8")))
        with np.load(folder / "people.npz", allow_pickle=False) as arrays:
            return cls(users, dict(arrays))

    @property
    def popularity(self) -> NDArray[np.float32]:
        """Users (n,) with a positive event of each item."""
        return self._arrays["popularity"]

    def history(self, user: str) -> NDArray[np.int64]:
        """Positions, oldest first; none for unknown users."""
        return self._row("history", user)

    def seen(self, user: str) -> NDArray[np.int64]:
        """Positions in catalogue order; none for unknown users."""
        return self._row("seen", user)

    def _row(self, name: str, user: str) -> NDArray[np.int64]:
        at = self.users.position(user)
        if at < 0:
            return np.empty(0, np.int64)
        start, end = self._arrays[f"{name}.indptr"][at : at + 2]
        return self._arrays[f"{name}.indices"][start:end]


def _ragged(name: str, rows: Iterable[NDArray[np.int64]]) -> dict[str, NDArray]:
    kept = list(rows)
    indptr = np.zeros(len(kept) + 1, np.int64)
    np.cumsum([len(row) for row in kept], out=indptr[1:])
    return {f"{name}.indptr": indptr, f"{name}.indices": np.concatenate(kept) if kept else np.empty(0, np.int64)}


class Happenings:
    """Events since the build. One writer (the event loop); readers see whole tuples."""

    def __init__(self) -> None:
        self._liked: dict[str, tuple[str, ...]] = {}
        self._seen: dict[str, frozenset[str]] = {}
        self.popularity: dict[str, int] = {}
        """Item to new users with a positive event."""
        self.version: dict[str, int] = {}
        """User to a number that grows with their events."""

    def add(self, user: str, item_id: str, event: str) -> None:
        """Take one event: any makes an item seen, all but `dismiss` make it liked."""
        liked = self._liked.get(user, ())
        if event != c.DISMISS and item_id not in liked:
            self._liked[user] = (*liked, item_id)
            self.popularity[item_id] = self.popularity.get(item_id, 0) + 1
        self._seen[user] = self._seen.get(user, frozenset()) | {item_id}
        self.version[user] = self.version.get(user, 0) + 1

    def liked(self, user: str) -> tuple[str, ...]:
        """Items with a new positive event, oldest first."""
        return self._liked.get(user, ())

    def seen(self, user: str) -> frozenset[str]:
        """Items with any new event."""
        return self._seen.get(user, frozenset())

    @property
    def users(self) -> Sequence[str]:
        """Users with new events, the most recently begun last."""
        return list(self._seen)


class LRU(Generic[K, V]):
    """A bounded cache of computed values; several threads may compute one value at once, which does no harm."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, compute: Callable[[], V]) -> V:
        """The value of `key`, computed where it is not cached."""
        try:
            self._values.move_to_end(key)
            return self._values[key]
        except KeyError:
            value = self._values[key] = compute()
        while len(self._values) > self._size:
            try:
                self._values.popitem(last=False)
            except KeyError:
                break
        return value
