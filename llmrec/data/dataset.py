"""A dataset in memory: typed tables, indexes, and the views of them that models train on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from llmrec.data import columns as c
from llmrec.data.index import Index

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    c.ITEMS_FILE: {
        c.ITEM: pl.String,
        c.TITLE: pl.String,
        c.DESCRIPTION: pl.String,
        c.BRAND: pl.String,
        c.PRICE: pl.Float32,
        c.YEAR: pl.Int32,
        c.ATTRIBUTES: pl.List(pl.String),
        c.ATTRIBUTE_IDS: pl.List(pl.Int32),
        c.AVAILABLE: pl.Boolean,
    },
    c.INTERACTIONS_FILE: {
        c.USER: pl.String,
        c.ITEM: pl.String,
        c.TIMESTAMP: pl.Int64,
        c.RATING: pl.Float32,
        c.LABEL: pl.Int8,
        c.EVENT: pl.String,
        c.SPLIT: pl.String,
    },
    c.USERS_FILE: {
        c.USER: pl.String,
        c.FRIENDS: pl.List(pl.String),
        c.LIKED_ATTRIBUTES: pl.List(pl.String),
    },
    c.JUDGMENTS_FILE: {c.QUERY: pl.String, c.ITEM: pl.String, c.GRADE: pl.Int8},
    c.QUERIES_FILE: {
        c.QUERY: pl.String,
        c.USER: pl.String,
        c.ITEM: pl.String,
        c.TIMESTAMP: pl.Int64,
        c.SPLIT: pl.String,
    },
    c.REVIEWS_FILE: {
        c.USER: pl.String,
        c.ITEM: pl.String,
        c.TEXT: pl.String,
        c.RATING: pl.Float32,
        c.TIMESTAMP: pl.Int64,
    },
}
"""File name to its known columns and their types; every table of a `Dataset` has all of them."""

REQUIRED: Mapping[str, tuple[str, ...]] = {
    c.ITEMS_FILE: (c.ITEM,),
    c.INTERACTIONS_FILE: (c.USER, c.ITEM),
    c.USERS_FILE: (c.USER,),
    c.JUDGMENTS_FILE: (c.QUERY, c.ITEM, c.GRADE),
    c.QUERIES_FILE: (c.QUERY,),
    c.REVIEWS_FILE: (c.USER, c.ITEM, c.TEXT),
}
"""File name to the columns that it must have."""


def empty(table: str) -> pl.DataFrame:
    """The table with its known columns and no rows."""
    return pl.DataFrame(schema=dict(SCHEMAS[table]))


@dataclass(frozen=True)
class Dataset:
    """One dataset, validated by `read_dataset`. Tables have every known column; what a file lacks is null ("" for
    text, [] for lists, true for `available`). Columns that the format does not know are kept as they are.

    Item order is file order; user order is that of first appearance in the interactions.
    """

    name: str
    items: pl.DataFrame
    interactions: pl.DataFrame = field(default_factory=lambda: empty(c.INTERACTIONS_FILE))
    users: pl.DataFrame = field(default_factory=lambda: empty(c.USERS_FILE))
    judgments: pl.DataFrame = field(default_factory=lambda: empty(c.JUDGMENTS_FILE))
    queries: pl.DataFrame = field(default_factory=lambda: empty(c.QUERIES_FILE))
    reviews: pl.DataFrame = field(default_factory=lambda: empty(c.REVIEWS_FILE))
    warnings: tuple[str, ...] = ()
    """What reading left out or repaired, one sentence each."""
    mined: tuple[str, ...] = ()
    """Attributes that `facets.derive_facets` found in titles."""

    def tables(self) -> dict[str, pl.DataFrame]:
        """Every table by its file name."""
        return {name: getattr(self, name) for name in SCHEMAS}

    def with_interactions(self, interactions: pl.DataFrame) -> Dataset:
        """The same catalogue and people with other interactions."""
        return replace(self, interactions=interactions)

    @cached_property
    def item_index(self) -> Index:
        """Items in file order."""
        return Index(self.items[c.ITEM])

    @cached_property
    def user_index(self) -> Index:
        """Users in the order in which they first appear in the interactions."""
        return Index(self.interactions[c.USER].unique(maintain_order=True))

    @cached_property
    def positives(self) -> pl.DataFrame:
        """Interactions in file order, without `dismiss`, label 0 and ratings of 3 or less."""
        return self.interactions.filter(
            pl.col(c.EVENT).ne_missing(c.DISMISS)
            & pl.col(c.LABEL).ne_missing(0)
            & (pl.col(c.RATING).is_null() | (pl.col(c.RATING) > c.POSITIVE_RATING))
        )

    @cached_property
    def histories(self) -> dict[str, list[str]]:
        """User to distinct items with a positive event, oldest first: by first event, ties by file row.

        Users without a positive event have no entry.
        """
        ordered = (
            self.positives.select(c.USER, c.ITEM, c.TIMESTAMP)
            .sort(c.TIMESTAMP, maintain_order=True, nulls_last=False)
            .unique([c.USER, c.ITEM], keep="first", maintain_order=True)
            .group_by(c.USER, maintain_order=True)
            .agg(c.ITEM)
        )
        return dict(zip(ordered[c.USER].to_list(), ordered[c.ITEM].to_list(), strict=True))

    @cached_property
    def seen(self) -> dict[str, set[str]]:
        """User to every item with any event, negative ones included."""
        grouped = self.interactions.group_by(c.USER, maintain_order=True).agg(pl.col(c.ITEM).unique())
        return {user: set(items) for user, items in zip(grouped[c.USER], grouped[c.ITEM].to_list(), strict=True)}

    @cached_property
    def _matrix(self) -> sparse.csr_matrix:
        rows = self.user_index.positions(self.positives[c.USER])
        cols = self.item_index.positions(self.positives[c.ITEM])
        shape = (len(self.user_index), len(self.item_index))
        matrix = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, cols)), shape=shape)
        matrix.sum_duplicates()
        matrix.data[:] = 1
        return matrix

    def matrix(self) -> sparse.csr_matrix:
        """Binary float32 CSR matrix (users x items) of positive events; shared, so copy it before changing it."""
        return self._matrix

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the content of all tables, the dataset's name left out."""
        digest = hashlib.sha256()
        for name, table in self.tables().items():
            digest.update(f"{name}{table.schema}".encode())
            for part in table.iter_slices(500_000):
                digest.update(part.write_ndjson().encode())
        return digest.hexdigest()
