"""A fixed order of names: id to position and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray


class Index:
    """An immutable bijection between n distinct strings and the positions 0..n-1."""

    __slots__ = ("_positions", "ids")

    def __init__(self, ids: Iterable[str]) -> None:
        """Keep `ids` in the given order; raises `ValueError` if one occurs twice."""
        names = ids.to_list() if isinstance(ids, pl.Series) else list(ids)
        self.ids: NDArray[np.object_] = np.empty(len(names), dtype=object)
        self.ids[:] = names
        self.ids.flags.writeable = False
        self._positions: dict[str, int] = {name: position for position, name in enumerate(names)}
        if len(self._positions) != len(names):
            raise ValueError("an index needs distinct names")

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, name: object) -> bool:
        return name in self._positions

    def __iter__(self) -> Iterator[str]:
        return iter(self._positions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Index) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # equality is by content, and contents are long

    def extended(self, names: Iterable[str]) -> Index:
        """This index with those of `names` that it lacks behind it; itself if it lacks none."""
        new = [name for name in dict.fromkeys(names) if name not in self._positions]
        if not new:
            return self
        index = Index.__new__(Index)
        index.ids = np.append(self.ids, np.array(new, dtype=object))
        index.ids.flags.writeable = False
        index._positions = self._positions | {name: at for at, name in enumerate(new, start=len(self))}
        return index

    def position(self, name: str) -> int:
        """The position of `name`, -1 if unknown."""
        return self._positions.get(name, -1)

    def near(self, name: str) -> str | None:
        """The known name that is most like `name`, for "did you mean"; None where none is like it."""
        from rapidfuzz import fuzz, process

        found = process.extractOne(name, self.ids.tolist(), scorer=fuzz.ratio, score_cutoff=75)
        return None if found is None else str(found[0])

    def positions(self, names: Iterable[str]) -> NDArray[np.int64]:
        """Positions (n,) of `names`, -1 where unknown."""
        get = self._positions.get
        return np.fromiter((get(name, -1) for name in names), dtype=np.int64)
