"""Small datasets for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from llmrec.data import columns as c
from llmrec.data.dataset import Dataset, empty
from llmrec.data.parse import typed

Rows = Sequence[Mapping[str, Any]]


def make_dataset(items: Rows, interactions: Rows = (), name: str = "made") -> Dataset:
    """A dataset from rows, typed and validated as files are."""
    return Dataset(name, _frame(c.ITEMS_FILE, items), _frame(c.INTERACTIONS_FILE, interactions))


def two_tastes(users: int = 60, items: int = 40, seed: int = 0) -> Dataset:
    """Users and items of two kinds: who likes even items likes no odd ones, and the other way round.

    Ids are `u0`, `i0`, ...; even users like even items, 5 to 12 of them, one of them twice; each dismisses one item of
    the other kind. The last four items are known to nobody.
    """
    rng = np.random.default_rng(seed)
    warm = np.arange(items - 4)
    events: list[dict[str, Any]] = []
    for user in range(users):
        alike, other = warm[warm % 2 == user % 2], warm[warm % 2 != user % 2]
        liked = rng.choice(alike, size=rng.integers(5, 13), replace=False)
        moments = enumerate([*liked, liked[0]])
        events += [_event(user, item, c.LIKE, moment) for moment, item in moments]
        events.append(_event(user, rng.choice(other), c.DISMISS, 3))
    return make_dataset([{c.ITEM: f"i{item}"} for item in range(items)], events, "two-tastes")


def _event(user: int, item: int, event: str, moment: int) -> dict[str, Any]:
    return {c.USER: f"u{user}", c.ITEM: f"i{item}", c.EVENT: event, c.TIMESTAMP: 100 * moment + user}


def _frame(table: str, rows: Rows) -> pl.DataFrame:
    return typed(pl.DataFrame([dict(row) for row in rows]), table, table, []) if rows else empty(table)
