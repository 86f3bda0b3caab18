"""Generates a demo world into a folder, with the latent truth beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from llmrec.contracts import Progress, no_progress
from llmrec.data import columns as c
from llmrec.data.demo_world import books as bookmaking
from llmrec.data.demo_world import readers as readership
from llmrec.data.demo_world import reviews, searches, shop
from llmrec.data.index import Index

TRUTH_FOLDER = "truth"


def generate(
    folder: Path,
    *,
    seed: int = 0,
    items: int = 2_000,
    users: int = 1_000,
    events: int = 50_000,
    progress: Progress = no_progress,
) -> None:
    """Write a bookshop as a dataset into `folder` (made if absent): the same arguments write the same bytes.

    `read_dataset(folder)` reads items, interactions, users, queries, judgments and reviews. What made them lies in
    `folder/truth` (tastes, qualities, wishes behind searches; see `load_truth`) and is for evaluation only.
    """
    root = np.random.SeedSequence(seed)
    streams = [np.random.default_rng(child) for child in root.spawn(7)]
    progress("books", 0, items)
    library = bookmaking.compose(streams[0], items)
    item_table = bookmaking.to_items(library)
    item_ids = item_table[c.ITEM].to_list()
    progress("books", items, items)
    readers = readership.create(streams[1], users)
    stock = _stock(streams[2], library)
    interactions = shop.simulate(streams[3], readers, stock, item_ids, events, progress)

    wishes = searches.create(streams[4], library, max(items * 3 // 20, 10))
    judgments = searches.to_judgments(streams[4], wishes, item_ids)
    queries = searches.to_queries(streams[4], wishes, interactions, item_ids, events // 16)
    truth = Truth(Index(readers.ids), Index(item_ids), readers, stock)
    pleasure = truth.pleasure(interactions.filter(pl.col(c.EVENT) == c.BUY))
    by_id = dict(zip(item_ids, library, strict=True))
    opinions = reviews.create(streams[5], interactions, by_id, pleasure, events // 16)
    people = readership.to_users(streams[6], readers)

    folder = Path(folder)
    (folder / TRUTH_FOLDER).mkdir(parents=True, exist_ok=True)
    for name, table in (
        (c.ITEMS_FILE, item_table),
        (c.INTERACTIONS_FILE, interactions),
        (c.USERS_FILE, people),
        (c.QUERIES_FILE, queries),
        (c.JUDGMENTS_FILE, judgments),
        (c.REVIEWS_FILE, opinions),
    ):
        table.write_parquet(folder / f"{name}.parquet")
    truth.save(folder / TRUTH_FOLDER)
    wanted = pl.Series("attributes", [list(wish.wanted) for wish in wishes], pl.List(pl.String))
    queries_truth = pl.DataFrame([pl.Series(c.QUERY, [wish.query for wish in wishes], pl.String), wanted])
    queries_truth.write_parquet(folder / TRUTH_FOLDER / "queries.parquet")


@dataclass(frozen=True)
class Truth:
    """Who likes what, and when: the oracle of a demo world."""

    users: Index
    items: Index
    readers: readership.Readers
    stock: shop.Stock

    def utility(self, users: Sequence[str], at: Sequence[float]) -> NDArray[np.float64]:
        """What each book is worth (n, items) to each of n users at unix times `at`, unreleased books -inf."""
        share = (np.asarray(at, float) - shop.OPENED) / shop.DURATION
        worth = self._worth(self.users.positions(users), share.clip(0, 1))
        worth[self.stock.released > share[:, None]] = -np.inf
        return worth

    @cached_property
    def _worth(self) -> shop.Worth:
        return shop.Worth(self.readers, self.stock)

    def pleasure(self, events: pl.DataFrame) -> NDArray[np.float64]:
        """What the book of each event (n,) was worth to its user at the time."""
        out = np.empty(len(events))
        for start in range(0, len(events), 500):
            part = events[start : start + 500]
            worth = self.utility(part[c.USER].to_list(), part[c.TIMESTAMP].to_list())
            out[start : start + 500] = worth[np.arange(len(part)), self.items.positions(part[c.ITEM])]
        return out

    def save(self, folder: Path) -> None:
        """Write `users.parquet`, `items.parquet` and `attributes.parquet` into an existing folder."""
        for name, ids, rows in ((c.USER, self.users, self.readers), (c.ITEM, self.items, self.stock)):
            columns = {f.name: getattr(rows, f.name) for f in fields(rows)}
            table = pl.DataFrame({name: list(ids), **{k: list(v) if v.ndim > 1 else v for k, v in columns.items()}})
            table.write_parquet(folder / ("users.parquet" if name == c.USER else "items.parquet"))
        pl.DataFrame({"attribute": readership.ATTRIBUTES}).write_parquet(folder / "attributes.parquet")


def load_truth(folder: Path) -> Truth:
    """The truth of the demo world in `folder`, for evaluation only."""
    tables = {name: pl.read_parquet(Path(folder) / TRUTH_FOLDER / f"{name}.parquet") for name in ("users", "items")}

    def arrays(table: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
        return {
            name: np.array(table[name].to_list()) if table[name].dtype == pl.List else table[name].to_numpy()
            for name in table.columns[1:]
        }

    readers = readership.Readers(**arrays(tables["users"]))
    stock = shop.Stock(**arrays(tables["items"]))  # type: ignore[arg-type]
    return Truth(Index(tables["users"][c.USER]), Index(tables["items"][c.ITEM]), readers, stock)


def _stock(rng: np.random.Generator, library: Sequence[bookmaking.Book]) -> shop.Stock:
    at = {name: number for number, name in enumerate(readership.ATTRIBUTES)}
    attributes = np.zeros((len(library), len(at)))
    for row, book in enumerate(library):
        attributes[row, [at[name] for name in book.attributes()]] = 1
    authors = {name: number for number, name in enumerate(dict.fromkeys(book.author.name for book in library))}
    price = np.log([book.price for book in library])
    first = bookmaking.LAST_YEAR - shop.YEARS + 1
    year = np.array([book.year for book in library])
    released = np.where(year >= first, (year - first + rng.random(len(library))) / shop.YEARS, 0.0)
    return shop.Stock(
        attributes=attributes,
        voice=np.array([book.author.voice for book in library]) + rng.normal(0, 0.6, (len(library), bookmaking.VOICE)),
        quality=rng.normal(size=len(library)),
        author=np.array([authors[book.author.name] for book in library]),
        price=(price - price.mean()) / (price.std() + 1e-9),
        released=released,
    )
