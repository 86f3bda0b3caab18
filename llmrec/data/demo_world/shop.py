"""Two years in the shop: readers come in, see a shelf, and do something about the books on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from llmrec.contracts import Progress, no_progress
from llmrec.data import columns as c
from llmrec.data.demo_world.readers import Readers

OPENED = 1_704_067_200
"""1 January 2024, the first day of the log (unix seconds)."""
YEARS = 2
DURATION = (366 + 365) * 86_400
"""Seconds of the log."""

_SHELF = 24
"""Books that a reader sees in one visit."""
_BATCH = 250
_FIT, _VOICE, _QUALITY, _AUTHOR, _INTENT, _PRICE = 1.5, 0.7, 0.5, 1.2, 0.9, 0.35
_CARE = 0.7
"""How much worth decides which book is picked up, against chance."""
_NOISE = 0.7
"""What the blurb adds to or takes from the first impression."""
_SEEN_BEFORE = 2.0
"""How much a book that was picked up before recedes."""


@dataclass(frozen=True)
class Stock:
    """The latent truth about m books."""

    attributes: NDArray[np.float64]
    """(m, attributes) zeros and ones."""
    voice: NDArray[np.float64]
    """The author's voice and a little of the book's own (m, VOICE)."""
    quality: NDArray[np.float64]
    author: NDArray[np.int64]
    price: NDArray[np.float64]
    """Logarithm of the price, standardised."""
    released: NDArray[np.float64]
    """When the book came out, as a share of the two years; 0 if before."""


class Worth:
    """What every book is worth to every reader at any time, without chance or habit."""

    def __init__(self, readers: Readers, stock: Stock) -> None:
        # Rare attributes carry more meaning. Plain einsum, for sums in an order that no thread count changes.
        weight = 1 / np.sqrt(stock.attributes.mean(axis=0).clip(0.01))
        self._fit = [
            np.einsum("ua,ia->ui", taste * weight, stock.attributes, optimize=False)
            for taste in (readers.start, readers.end)
        ]
        voice = np.einsum("uv,iv->ui", readers.voice, stock.voice, optimize=False) / np.sqrt(stock.voice.shape[1])
        self._rest = _VOICE * voice + _QUALITY * stock.quality - _PRICE * readers.thrift[:, None] * stock.price

    def __call__(self, users: NDArray[np.int64], at: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, m) for `users` (n,) at times `at` (n,), a share of the two years; about 0 on average."""
        start, end = self._fit
        fit = start[users] + at[:, None] * (end[users] - start[users])
        fit -= fit.mean(axis=1, keepdims=True)
        return np.asarray(_FIT * fit / (fit.std(axis=1, keepdims=True) + 1e-9) + self._rest[users])


def simulate(
    rng: np.random.Generator,
    readers: Readers,
    stock: Stock,
    item_ids: list[str],
    events: int,
    progress: Progress = no_progress,
) -> pl.DataFrame:
    """Exactly `events` interactions in order of time."""
    log = _Log(rng, readers, stock)
    visits = _visits(rng, readers, max(int(events / 3.8), len(readers.joined)))
    total = int(visits["round"].max()) + 1  # type: ignore[arg-type]
    for number, (_, batch) in enumerate(visits.group_by("round", maintain_order=True)):
        users, times = batch["user"].to_numpy(), batch["time"].to_numpy()
        for start in range(0, len(users), _BATCH):
            log.visit(users[start : start + _BATCH], times[start : start + _BATCH])
        progress("two years in the shop", number + 1, total)
    return log.table(readers.ids, item_ids, events)


def _visits(rng: np.random.Generator, readers: Readers, number: int) -> pl.DataFrame:
    """Visits by round: the n-th visits of all readers are one round."""
    open_for = 1 - readers.joined
    weights = readers.visits * open_for
    counts = np.maximum(rng.poisson(number * weights / weights.sum()), 2)
    users = np.repeat(np.arange(len(counts)), counts)
    at = readers.joined[users] + open_for[users] * rng.random(len(users))
    day = np.floor(at * DURATION / 86_400)
    hour = np.clip(rng.normal(19, 3.5, len(users)), 6, 23.5)
    time = np.minimum(day * 86_400 + hour * 3_600, DURATION - 3_600)
    table = pl.DataFrame({"user": users, "time": time}).sort("user", "time", maintain_order=True)
    return table.with_columns(round=pl.int_range(pl.len()).over("user")).sort("round", "user", maintain_order=True)


class _Log:
    def __init__(self, rng: np.random.Generator, readers: Readers, stock: Stock) -> None:
        self.rng, self.readers, self.stock = rng, readers, stock
        self.worth = Worth(readers, stock)
        shape = (len(readers.joined), len(stock.quality))
        self.seen = np.zeros(shape, bool)
        self.over = np.zeros(shape, bool)  # bought or dismissed: not on a shelf again
        self.fond = np.zeros((shape[0], int(stock.author.max()) + 1), bool)  # of an author
        self.fame = 0.8 * stock.quality + rng.normal(0, 0.5, shape[1])
        self.rows: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], str]] = []

    def visit(self, users: NDArray[np.int64], times: NDArray[np.float64]) -> None:
        """One visit of each of `users`."""
        rng, stock = self.rng, self.stock
        at = times / DURATION
        worth = self.worth(users, at)
        worth += _AUTHOR * self.fond[users][:, stock.author] + _INTENT * self._intent(users, at)
        new = np.exp(-np.maximum(at[:, None] - stock.released, 0) * 8) * (stock.released > 0)
        shelf = self.fame + 0.8 * worth + 1.5 * new + rng.gumbel(size=worth.shape)
        shelf[self.over[users] | (stock.released > at[:, None])] = -np.inf
        shelf -= _SEEN_BEFORE * self.seen[users]
        shown = np.argpartition(-shelf, _SHELF, axis=1)[:, :_SHELF] if shelf.shape[1] > _SHELF else None
        shown = np.sort(shown, axis=1) if shown is not None else np.tile(np.arange(shelf.shape[1]), (len(users), 1))
        row = np.arange(len(users))[:, None]
        felt = np.where(np.isfinite(shelf[row, shown]), worth[row, shown], -np.inf)
        order = np.argsort(-(_CARE * felt + rng.gumbel(size=felt.shape)), axis=1, kind="stable")
        felt = felt + rng.normal(0, _NOISE, felt.shape)
        looks = np.minimum(1 + rng.poisson(2.2, len(users)), shown.shape[1])
        clock = times.copy()
        for place in range(int(looks.max())):
            clock += rng.uniform(20, 240, len(users))
            here = order[:, place]
            felt_here = felt[np.arange(len(users)), here]
            active = (looks > place) & np.isfinite(felt_here)
            self._react(users[active], shown[np.arange(len(users)), here][active], felt_here[active], clock[active])

    def _intent(self, users: NDArray[np.int64], at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Today's fancy: books with one attribute, drawn by taste."""
        share = at[:, None]
        taste = (1 - share) * self.readers.start[users] + share * self.readers.end[users]
        fancy = np.argmax(2 * taste + self.rng.gumbel(size=taste.shape), axis=1)
        return self.stock.attributes[:, fancy].T

    def _react(
        self, users: NDArray[np.int64], items: NDArray[np.int64], felt: NDArray[np.float64], clock: NDArray[np.float64]
    ) -> None:
        rng = self.rng
        chance = rng.random((4, len(users)))
        likes = chance[0] < _sigmoid(1.1 * felt - 8.6)
        adds = chance[1] < _sigmoid(1.1 * felt - 8.1)
        buys = adds & (chance[2] < 0.6)
        dismisses = ~adds & ~likes & (chance[3] < _sigmoid(-1.2 * felt + 3.2))
        self._write(users, items, clock, np.ones(len(users), bool), c.VIEW)
        self._write(users, items, clock + 5, dismisses, c.DISMISS)
        self._write(users, items, clock + 8, likes, c.LIKE)
        self._write(users, items, clock + 12, adds, c.ADD)
        self._write(users, items, clock + 15, buys, c.BUY)
        self.seen[users, items] = True
        self.over[users, items] |= buys | dismisses
        self.fond[users, self.stock.author[items]] |= buys | likes

    def _write(
        self,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        clock: NDArray[np.float64],
        happened: NDArray[np.bool_],
        event: str,
    ) -> None:
        times = OPENED + np.floor(clock[happened]).astype(np.int64)
        self.rows.append((users[happened], items[happened], times, event))

    def table(self, user_ids: list[str], item_ids: list[str], events: int) -> pl.DataFrame:
        users, items, times = (np.concatenate([row[n] for row in self.rows]) for n in range(3))
        kinds = np.repeat([row[3] for row in self.rows], [len(row[0]) for row in self.rows])
        table = pl.DataFrame({"user": users, "item": items, c.TIMESTAMP: times, c.EVENT: kinds})
        # Too many: idle looks, those that led to nothing, go first.
        idle = (pl.len().over("user", "item") == 1) & (pl.col(c.EVENT) == c.VIEW)
        chance = pl.Series("chance", self.rng.random(len(table)))
        table = table.with_columns(chance, idle=idle).with_columns(
            keep=pl.when(pl.col("idle")).then(pl.col("chance")).otherwise(-pl.col("chance")).rank("ordinal")
        )
        table = table.filter(pl.col("keep") <= events).sort(c.TIMESTAMP, "user", "item", maintain_order=True)
        return table.select(
            pl.Series(c.USER, np.array(user_ids, dtype=object)[table["user"].to_numpy()], pl.String),
            pl.Series(c.ITEM, np.array(item_ids, dtype=object)[table["item"].to_numpy()], pl.String),
            c.TIMESTAMP,
            c.EVENT,
        )


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-x)))
