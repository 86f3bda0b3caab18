"""Embeddings of the graph's nodes by a factorisation machine, for conversations.

How well an item suits a user who has accepted the attributes P: s(v | u, P) = u.v + sum over p in P of p.v; how well
another attribute does: s(q | u, P) = u.q + sum over p in P of p.q. After Lei et al., Estimation-Action-Reflection
(WSDM 2020), section 4.1, whose embeddings SCPR builds on. Pairwise ranking (BPR) of a chosen item against one that the
user has not chosen, and against one of those that have all of P, too; and of its other attributes against foreign ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.numpy import load_file, save_file
from torch.nn.functional import embedding_bag, logsigmoid

from llmrec.contracts import Config, Progress, no_progress
from llmrec.retrieval.graph.graph import AttributeGraph
from llmrec.retrieval.graph.links import entries

_FILE = "embeddings.safetensors"
_TRIES = 16
"""Draws of an item that has all accepted attributes; where none fits, there is taken to be none."""


class FactorisationConfig(Config):
    """Settings of the factorisation machine."""

    dimensions: int = Field(default=64, ge=1)
    epochs: int = Field(default=60, ge=1)
    batch: int = Field(default=1024, ge=1)
    learning_rate: float = Field(default=0.005, gt=0)
    penalty: float = Field(default=1e-3, ge=0)
    """Weight of the squared lengths of the embeddings (L2)."""
    seed: int = 0


class Factorisation:
    """Vectors of users (u, d), items (n, d) and attributes (m, d)."""

    users: NDArray[np.float32]
    items: NDArray[np.float32]
    attributes: NDArray[np.float32]

    def __init__(self, config: FactorisationConfig | None = None) -> None:
        self.config = config or FactorisationConfig()

    def fit(self, graph: AttributeGraph, progress: Progress = no_progress) -> Self:
        """Learn from the interact and belong edges; of each chosen item, some random attributes count as accepted."""
        config = self.config
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            user_table = _table(len(graph.users), config.dimensions)
            item_table = _table(len(graph.items), config.dimensions)
            attribute_table = _table(len(graph.attributes), config.dimensions)
        tables = [user_table, item_table, attribute_table]
        optimizer = torch.optim.Adam([table.weight for table in tables], config.learning_rate)
        examples = _Examples(graph, config.batch, config.seed)
        for epoch in range(config.epochs):
            progress("embeddings", epoch, config.epochs)
            for batch in examples.epoch():
                attributes = attribute_table.weight
                squares = (attributes**2).sum(1, keepdim=True)
                accepted, accepted_squares = (
                    embedding_bag(batch.accepted, table, batch.starts, mode="sum") for table in (attributes, squares)
                )
                wish = user_table(batch.user) + accepted
                item = item_table(batch.item)

                def beats(good: torch.Tensor, bad: torch.Tensor, wish: torch.Tensor = wish) -> torch.Tensor:
                    return logsigmoid((wish * (good - bad)).sum(1))

                gains = beats(item, item_table(batch.unchosen))
                gains = gains + batch.has_rival * beats(item, item_table(batch.rival))
                gains = gains + batch.has_other * beats(attribute_table(batch.other), attribute_table(batch.foreign))
                lengths = (wish**2).sum(1) + (item**2).sum(1) + accepted_squares[:, 0]
                optimizer.zero_grad()
                (config.penalty * lengths - gains).mean().backward()
                optimizer.step()
        self.users, self.items, self.attributes = (table.weight.detach().numpy() for table in tables)
        return self

    def wish(self, user: int, accepted: NDArray[np.integer]) -> NDArray[np.float32]:
        """u plus the sum of the accepted attributes (d,), to be multiplied with items; user -1 is the average one."""
        who = self.users[user] if user >= 0 else self.users.mean(axis=0)
        wish: NDArray[np.float32] = who + self.attributes[accepted].sum(axis=0)
        return wish

    def save(self, folder: Path) -> None:
        """Write the vectors into an existing folder."""
        arrays = {"users": self.users, "items": self.items, "attributes": self.attributes}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        model = cls()
        arrays = load_file(folder / _FILE)
        model.users, model.items, model.attributes = arrays["users"], arrays["items"], arrays["attributes"]
        return model


@dataclass(frozen=True)
class _Batch:
    """Numbers of nodes, all (b,) but `accepted`: those of all rows one after the other, which begin at `starts`."""

    user: torch.Tensor
    item: torch.Tensor
    accepted: torch.Tensor
    starts: torch.Tensor
    unchosen: torch.Tensor
    """An item that the user has not chosen."""
    rival: torch.Tensor
    """One that has all accepted attributes, too; where `has_rival` is 0 it means nothing."""
    has_rival: torch.Tensor
    other: torch.Tensor
    """An attribute of the item that is not among the accepted; where `has_other` is 0 it means nothing."""
    has_other: torch.Tensor
    foreign: torch.Tensor
    """An attribute that the item does not have."""


class _Accepted(NamedTuple):
    """Attributes of all rows one after the other; where each row begins. No row is empty."""

    attributes: NDArray[np.int64]
    starts: NDArray[np.int64]


class _Examples:
    """Every interact edge whose item has attributes, once an epoch, in random order."""

    def __init__(self, graph: AttributeGraph, size: int, seed: int) -> None:
        self._graph, self._size = graph, size
        self._rng = np.random.default_rng(seed)
        users = np.repeat(np.arange(len(graph.users)), graph.interact.counts())
        described = graph.belong.counts(graph.interact.ends) > 0
        self._users, self._items = users[described], graph.interact.ends[described].astype(np.int64)
        self._chosen = graph.interact.keys(len(graph.items))
        self._belongs = graph.belong.keys(len(graph.attributes))
        self._carried = graph.carriers.counts()

    def epoch(self) -> Iterator[_Batch]:
        order = self._rng.permutation(len(self._users))
        for start in range(0, len(order), self._size):
            yield self._batch(order[start : start + self._size])

    def _batch(self, rows: NDArray[np.int64]) -> _Batch:
        rng = self._rng
        users, items = self._users[rows], self._items[rows]
        places, has = entries(self._graph.belong.starts, self._graph.belong.ends, items)
        starts = np.searchsorted(places, np.arange(len(items)))

        # A random share of the attributes is accepted, at least one of them.
        luck = rng.random(len(has))
        by_luck = np.lexsort((luck, places))
        first, last = by_luck[starts], by_luck[np.append(starts[1:], len(has)) - 1]
        share = np.maximum(rng.random(len(items)), luck[first])
        said = luck <= share[places]
        accepted = _Accepted(has[said].astype(np.int64), np.searchsorted(places[said], np.arange(len(items))))
        foreign = rng.integers(len(self._graph.attributes), size=len(items))
        has_other = (luck[last] > share) & ~np.logical_or.reduceat(has == foreign[places], starts)

        rival, has_rival = self._rivals(users, items, places[said], accepted)
        unchosen = rng.integers(len(self._graph.items), size=len(items))
        again = self._has_chosen(users, unchosen)  # once is enough: hardly anybody has chosen much of a catalogue
        unchosen[again] = rng.integers(len(self._graph.items), size=int(again.sum()))
        arrays = (users, items, accepted.attributes, accepted.starts, unchosen, rival)
        others = (has_rival.astype(np.float32), has[last].astype(np.int64), has_other.astype(np.float32), foreign)
        return _Batch(*map(torch.from_numpy, (*arrays, *others)))

    def _rivals(
        self, users: NDArray[np.int64], items: NDArray[np.int64], places: NDArray[np.int64], accepted: _Accepted
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """For each row a random item that has all accepted attributes and was not chosen; whether one was found.
        `places`: the row of each accepted attribute."""
        by_carriers = np.lexsort((self._carried[accepted.attributes], places))
        rarest = accepted.attributes[by_carriers[accepted.starts]]
        firsts, counts = self._graph.carriers.starts[rarest], self._carried[rarest]
        result, found = items.copy(), np.zeros(len(users), bool)
        for _ in range(_TRIES):
            drawn = self._graph.carriers.ends[firsts + (self._rng.random(len(users)) * counts).astype(np.int64)]
            drawn = drawn.astype(np.int64)
            has_all = np.logical_and.reduceat(self._has(drawn[places], accepted.attributes), accepted.starts)
            fits = has_all & ~self._has_chosen(users, drawn)
            result[fits & ~found] = drawn[fits & ~found]
            found |= fits
        return result, found

    def _has(self, items: NDArray[np.int64], attributes: NDArray[np.int64]) -> NDArray[np.bool_]:
        return _among(self._belongs, items * np.int64(len(self._graph.attributes)) + attributes)

    def _has_chosen(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.bool_]:
        return _among(self._chosen, users * np.int64(len(self._graph.items)) + items)


def _among(known: NDArray[np.int64], keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each of `keys` is in the ascending `known`."""
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    found: NDArray[np.bool_] = known[at] == keys
    return found


def _table(rows: int, dimensions: int) -> torch.nn.Embedding:
    table = torch.nn.Embedding(rows, dimensions)
    with torch.no_grad():
        table.weight.mul_(0.1)
    return table
