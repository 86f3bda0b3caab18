"""What there is to read in a dataset: items, reviews, searches, histories as titles in order, and dialogues about them.

Only what a model may learn from is read: the train part where the interactions or searches are split, no review and no
search of an interaction outside it, no relevance judgment, nothing that is known of users.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from llmrec.contracts import Message
from llmrec.data import columns as c
from llmrec.data.dataset import Dataset
from llmrec.language.training import dialogues
from llmrec.language.training.dialogues import Item

Document = str | tuple[Message, ...]
"""A text, or a dialogue."""

HELD_OUT = 0.02
"""Share of items and of users that only the validation part tells of."""
_MOST = 100_000
"""Items, histories, reviews and searches that are read of a large dataset, each; drawn by the seed."""
_WINDOW = 30
"""Titles in one history document."""


@dataclass(frozen=True)
class Corpus:
    """Shuffled documents. Of some items and users only `validation` tells: it alone has their texts, histories, reviews
    and searches, and no history in `train` names such an item."""

    train: list[Document]
    validation: list[Document]


def build_corpus(dataset: Dataset, seed: int = 0) -> Corpus:
    """The corpus of a dataset, the same for the same seed; empty where nothing has a word to it."""
    return _Reader(_readable(dataset), seed).corpus()


def _readable(dataset: Dataset) -> Dataset:
    """The dataset without what an evaluation holds out."""
    in_train = pl.col(c.SPLIT).is_null() | (pl.col(c.SPLIT) == c.TRAIN)
    interactions = dataset.interactions.filter(in_train)
    reviews, queries = dataset.reviews, dataset.queries.filter(in_train)
    if len(dataset.interactions):
        # A review or search beside a held-out interaction would tell of it.
        pairs = interactions.select(c.USER, c.ITEM).unique()
        reviews = reviews.join(pairs, on=[c.USER, c.ITEM], how="semi", maintain_order="left")
        alone = pl.col(c.USER).is_null() | pl.col(c.ITEM).is_null()
        beside = queries.join(pairs, on=[c.USER, c.ITEM], how="semi", maintain_order="left")
        queries = pl.concat([queries.filter(alone), beside])
    tables = {**dataset.tables(), c.INTERACTIONS_FILE: interactions, c.REVIEWS_FILE: reviews, c.QUERIES_FILE: queries}
    return Dataset(dataset.name, **tables)  # type: ignore[arg-type]


class _Reader:
    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.dataset, self.rng = dataset, np.random.default_rng(seed)
        self.items = {item.id: item for item in _items(dataset)}
        ids = list(self.items)
        self.held_items = set(self._draw(ids, round(HELD_OUT * len(ids))))
        users = list(dataset.histories)
        self.held_users = set(self._draw(users, round(HELD_OUT * len(users))))
        self.train: list[Document] = []
        self.validation: list[Document] = []

    def corpus(self) -> Corpus:
        self._read_items()
        self._read_histories()
        self._read_reviews()
        self._read_queries()
        if self.items:
            self.train += dialogues.small_talk()
        return Corpus(*([part[i] for i in self.rng.permutation(len(part))] for part in (self.train, self.validation)))

    def _draw(self, names: Sequence[str], count: int) -> list[str]:
        """`count` of the names (at most all), in their order."""
        chosen = self.rng.permutation(len(names))[:count]
        return [names[i] for i in sorted(chosen)]

    def _add(self, held_out: bool, documents: Iterator[Document] | Sequence[Document]) -> None:
        (self.validation if held_out else self.train).extend(documents)

    def _read_items(self) -> None:
        known = [item for item in self.items.values() if item.id not in self.held_items]
        for name in self._draw(list(self.items), _MOST):
            item = self.items[name]
            self._add(name in self.held_items, [item.page(), dialogues.about(item, self.rng)])
        self._add(False, dialogues.about_attributes(known, self.rng))

    def _read_histories(self) -> None:
        histories = self.dataset.histories
        for user in self._draw(list(histories), _MOST):
            held = user in self.held_users
            read = [self.items[i] for i in histories[user] if i in self.items and (held or i not in self.held_items)]
            read = [item for item in read if item.title]
            for start in range(0, len(read), _WINDOW):
                window = read[start : start + _WINDOW]
                if len(window) > 1:
                    self._add(held, ["\n".join(["In this order:", *(f"- {item.title}" for item in window)])])
                    self._add(held, [dialogues.what_next(window, self.rng)])

    def _read_reviews(self) -> None:
        for user, name, text, rating in self._rows(self.dataset.reviews, c.USER, c.ITEM, c.TEXT, c.RATING):
            if text.strip() and name in self.items:
                stars = "" if rating is None else f", {rating:g} stars"
                self._add(self._held(user, name), [f"A review of {self.items[name].title}{stars}:\n{text.strip()}"])

    def _read_queries(self) -> None:
        for user, name, query in self._rows(self.dataset.queries, c.USER, c.ITEM, c.QUERY):
            item = self.items.get(name)
            if query.strip():
                document = dialogues.found(query, item, self.rng) if item and item.title else f"A search: {query}"
                self._add(self._held(user, name), [document])

    def _held(self, user: str | None, item: str | None) -> bool:
        return user in self.held_users or item in self.held_items

    def _rows(self, table: pl.DataFrame, *columns: str) -> Iterator[tuple]:
        rows = table.select(columns)
        if len(rows) > _MOST:
            rows = rows[np.sort(self.rng.permutation(len(rows))[:_MOST])]
        return rows.iter_rows()


def _items(dataset: Dataset) -> Iterator[Item]:
    """The items that have a word to them."""
    columns = (c.ITEM, c.TITLE, c.DESCRIPTION, c.BRAND, c.PRICE, c.YEAR, c.ATTRIBUTES)
    for name, title, description, brand, price, year, attributes in dataset.items.select(columns).iter_rows():
        item = Item(name, title.strip(), description.strip(), brand.strip(), price, year, tuple(attributes))
        if item.title or item.description or item.attributes:
            yield item
