"""Users, items, attributes and friends: what was chosen, what it is like, who knows whom.

After Lei et al., Interactive Path Reasoning on Graph for Conversational Recommendation (KDD 2020): nodes are users,
items and attributes, edges are interact (user-item), friends (user-user), like (user-attribute) and belong to
(item-attribute). What it says of people comes from the interactions that it is built from, so the graph of a training
part knows nothing of what is held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from llmrec.data import columns as c
from llmrec.data.catalogue import Catalogue
from llmrec.data.dataset import Dataset
from llmrec.data.index import Index
from llmrec.retrieval.graph.links import Links

_PARTS = ("interact", "friends", "like", "belong")


@dataclass(frozen=True)
class Stop:
    """One node of a path."""

    kind: Literal["user", "item", "attribute"]
    name: str


@dataclass(frozen=True, eq=False)
class AttributeGraph:
    """The graph; items and attributes are numbered as in the catalogue."""

    users: Index
    items: Index
    attributes: Index
    interact: Links
    """User to the items of their positive events."""
    friends: Links
    """User to users, as the data has it."""
    like: Links
    """User to attributes: those they are said to like, else all, of which one of their items carries one."""
    belong: Links
    """Item to its attributes."""

    @classmethod
    def build(cls, train: Dataset, catalogue: Catalogue) -> Self:
        """From the positive events of `train`, the attributes of `catalogue` and, where there are any, users' friends
        and liked attributes. A liked attribute that no item of the user's events carries is left out."""
        matrix = train.matrix()
        users, items, attributes = train.user_index, catalogue.index, catalogue.attributes
        known = matrix.tocoo()
        at = items.positions(train.item_index.ids)[known.col]
        interact = Links.between(known.row[at >= 0], at[at >= 0], (len(users), len(items)))
        belong = Links.of_matrix(catalogue.matrix)
        carried = Links.between(
            np.repeat(np.arange(len(users)), _carried_counts(interact, belong)),
            belong.of_all(interact.ends),
            (len(users), len(attributes)),
        )
        return cls(
            users,
            items,
            attributes,
            interact,
            _listed(train.users, c.FRIENDS, users, users),
            _liked(train.users, users, attributes, carried),
            belong,
        )

    # --- Turned around ------------------------------------------------------------------------------------------------

    @cached_property
    def carriers(self) -> Links:
        """Attribute to the items that have it."""
        return self.belong.turned(len(self.attributes))

    @cached_property
    def likers(self) -> Links:
        """Attribute to the users who like it."""
        return self.like.turned(len(self.attributes))

    @cached_property
    def choosers(self) -> Links:
        """Item to the users who have chosen it."""
        return self.interact.turned(len(self.items))

    # --- Walking ------------------------------------------------------------------------------------------------------

    def reachable(self, attribute: str, candidates: NDArray[np.bool_], user: str | None = None) -> NDArray[np.bool_]:
        """Attributes (m,) one step from `attribute`: those of the items of `candidates` (n,) that carry it, and those
        liked by friends of `user` who like it. `attribute` itself is among them where it has a step to itself."""
        at = self.attributes.position(attribute)
        mask = np.zeros(len(self.attributes), bool)
        carriers = self.carriers.of(at)
        mask[self.belong.of_all(carriers[candidates[carriers]])] = True
        mask[self.like.of_all(self._friends_who_like(user, at))] = True
        return mask

    def step(self, user: str | None, attribute: str, weights: NDArray[np.float32] | None = None) -> list[Stop]:
        """From the user to `attribute`: by an item of theirs that has it, else by a friend who likes it. `weights`
        (n,) tells which of the items to name; the first one without."""
        at, person = self.attributes.position(attribute), self._user(user)
        own = np.intersect1d(self.interact.of(person), self.carriers.of(at), assume_unique=True)
        end = [Stop("user", user or ""), Stop("attribute", attribute)]
        if own.size:
            return [end[0], self._item(own, weights), end[1]]
        friends = self._friends_who_like(user, at)
        return [end[0], Stop("user", str(self.users.ids[friends[0]])), end[1]] if friends.size else end

    def question(
        self, user: str | None, accepted: str, attribute: str, weights: NDArray[np.float32] | None = None
    ) -> list[Stop]:
        """From the user by the attribute accepted last to `attribute`: along the item with the largest of `weights`
        (n,) that has both, else along a friend who likes both, else (it is asked for all the same) directly."""
        at, asked = self.attributes.position(accepted), self.attributes.position(attribute)
        path = [Stop("user", user or ""), Stop("attribute", accepted)]
        both = np.intersect1d(self.carriers.of(at), self.carriers.of(asked), assume_unique=True)
        if weights is not None:
            both = both[weights[both] > 0]
        friends = np.intersect1d(self._friends_who_like(user, at), self.likers.of(asked), assume_unique=True)
        if both.size:
            path.append(self._item(both, weights))
        elif friends.size:
            path.append(Stop("user", str(self.users.ids[friends[0]])))
        return [*path, Stop("attribute", attribute)]

    def recommendation(self, user: str | None, accepted: tuple[str, ...], item_id: str) -> list[Stop]:
        """From the user to the item: by the accepted attributes that it has, else by an item of theirs and the rarest
        attribute that both have, else by a friend who has chosen it, else directly."""
        item, person = self.items.position(item_id), self._user(user)
        start, end = Stop("user", user or ""), Stop("item", item_id)
        names = self.attributes.ids[self.belong.of(item)]
        had = [Stop("attribute", name) for name in accepted if name in names]
        if had:
            return [start, *had, end]
        own = self.interact.of(person)
        own = own[own != item]
        shared = np.intersect1d(self.belong.of_all(own), self.belong.of(item))
        if shared.size:
            rarest = int(shared[self.carriers.counts(shared).argmin()])
            carrier = np.intersect1d(own, self.carriers.of(rarest), assume_unique=True)
            return [start, self._item(carrier, None), Stop("attribute", str(self.attributes.ids[rarest])), end]
        friends = np.intersect1d(self.friends.of(person), self.choosers.of(item), assume_unique=True)
        return [start, Stop("user", str(self.users.ids[friends[0]])), end] if friends.size else [start, end]

    # --- Keeping ------------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write `graph.npz` into an existing folder; items and attributes are the catalogue's to keep."""
        arrays = {
            f"{name}.{part}": getattr(getattr(self, name), part) for name in _PARTS for part in ("starts", "ends")
        }
        np.savez(folder / "graph.npz", users=np.array([str(name) for name in self.users], np.str_), **arrays)

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        """Read what `save` wrote, for the catalogue that it was built from."""
        with np.load(folder / "graph.npz", allow_pickle=False) as arrays:
            links = [Links(arrays[f"{name}.starts"], arrays[f"{name}.ends"]) for name in _PARTS]
            users = Index(arrays["users"].tolist())
        return cls(users, catalogue.index, catalogue.attributes, *links)

    # --- Parts --------------------------------------------------------------------------------------------------------

    def _user(self, user: str | None) -> int:
        return -1 if user is None else self.users.position(user)

    def _friends_who_like(self, user: str | None, attribute: int) -> NDArray[np.int32]:
        friends = self.friends.of(self._user(user))
        if not friends.size:
            return friends
        return np.intersect1d(friends, self.likers.of(attribute), assume_unique=True)

    def _item(self, items: NDArray[np.int32], weights: NDArray[np.float32] | None) -> Stop:
        best = items[0] if weights is None else items[weights[items].argmax()]
        return Stop("item", str(self.items.ids[best]))


def _carried_counts(interact: Links, belong: Links) -> NDArray[np.int64]:
    """For each user, how many (item, attribute) pairs their items make."""
    totals = np.concatenate([[0], np.cumsum(belong.counts(interact.ends))])
    return np.diff(totals[interact.starts])


def _listed(users: pl.DataFrame, column: str, rows: Index, names: Index) -> Links:
    """The known names in a list column, from each of `rows`."""
    long = users.select(c.USER, column).explode(column, empty_as_null=False, keep_nulls=False)
    froms, tos = rows.positions(long[c.USER]), names.positions(long[column])
    known = (froms >= 0) & (tos >= 0)
    return Links.between(froms[known], tos[known], (len(rows), len(names)))


def _liked(users: pl.DataFrame, rows: Index, attributes: Index, carried: Links) -> Links:
    said = _listed(users, c.LIKED_ATTRIBUTES, rows, attributes)
    if not said.edges:
        return carried
    width = len(attributes)
    both = np.intersect1d(said.keys(width), carried.keys(width), assume_unique=True)
    return Links.between(both // width, both % width, (len(rows), len(attributes)))
