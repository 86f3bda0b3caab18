"""Splits of the interactions into train, valid and test.

The unit is the pair of user and item: repeated events of a pair stay together, so that nothing is both learnt and
predicted. Only `temporal` (the log cut at two moments) and `given` go by row. Order is pinned: by timestamp, then
by file row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from llmrec.data import columns as c
from llmrec.data.dataset import Dataset
from llmrec.errors import UserError

Method = Literal["leave-one-out", "temporal", "random-by-user", "given"]
FitOn = Literal["train", "train+valid"]

_PARTS = np.array([c.TRAIN, c.VALID, c.TEST])


@dataclass(frozen=True)
class Split:
    """A partition of `dataset.interactions`; every part keeps file order."""

    dataset: Dataset
    method: Method
    part: pl.Series
    """`train`, `valid` or `test` for each interaction."""

    @cached_property
    def train(self) -> pl.DataFrame:
        """The interactions to learn from."""
        return self.dataset.interactions.filter(self.part == c.TRAIN)

    @cached_property
    def valid(self) -> pl.DataFrame:
        """The interactions to choose settings by."""
        return self.dataset.interactions.filter(self.part == c.VALID)

    @cached_property
    def test(self) -> pl.DataFrame:
        """The interactions to report on."""
        return self.dataset.interactions.filter(self.part == c.TEST)

    def fit(self, on: FitOn = "train") -> Dataset:
        """The dataset to fit on: the whole catalogue with the interactions of `on` alone."""
        return self._fit[on]

    @cached_property
    def _fit(self) -> dict[str, Dataset]:
        both = self.dataset.interactions.filter(self.part != c.TEST)
        return {
            "train": self.dataset.with_interactions(self.train),
            "train+valid": self.dataset.with_interactions(both),
        }

    def targets(self, part: Literal["valid", "test"] = "test", on: FitOn = "train") -> dict[str, list[str]]:
        """User to the items to predict, oldest first: positive in `part`, not seen in what was fitted on."""
        positives = self.dataset.with_interactions(self.valid if part == "valid" else self.test).histories
        seen = self.fit(on).seen
        new = {user: [i for i in items if i not in seen.get(user, ())] for user, items in positives.items()}
        return {user: items for user, items in new.items() if items}


def split(
    dataset: Dataset, method: Method, *, seed: int = 0, fractions: tuple[float, float, float] | None = None
) -> Split:
    """Part the interactions of `dataset`.

    - `leave-one-out`: each user's last positive item is test, the one before valid, the rest train; items go by their
      first event; users with fewer than three are train only, and so are negative events.
    - `temporal`: the oldest events train, the newest test, cut at global quantiles of time (`fractions` .8, .1, .1).
    - `random-by-user`: each user's items at random (`seed`) by `fractions` (.7, .15, .15), rounded.
    - `given`: the column `split`.

    Raises `UserError` if the data lacks what the method needs.
    """
    if method not in get_args(Method):
        raise UserError(f"there is no split {method!r}: use one of {', '.join(get_args(Method))}")
    if not len(dataset.interactions):
        raise UserError(f"{dataset.name} has no interactions to split: add an interactions file")
    if method == "leave-one-out":
        part = _leave_one_out(dataset)
    elif method == "temporal":
        part = _temporal(dataset, fractions or (0.8, 0.1, 0.1))
    elif method == "random-by-user":
        part = _random_by_user(dataset, seed, fractions or (0.7, 0.15, 0.15))
    else:
        part = _given(dataset)
    return Split(dataset, method, part)


def _of_pairs(interactions: pl.DataFrame, pairs: pl.DataFrame) -> pl.Series:
    """The part of every row from the parts of its pair; rows of other pairs are train."""
    joined = interactions.select(c.USER, c.ITEM).join(pairs, on=[c.USER, c.ITEM], how="left", maintain_order="left")
    return joined["part"].fill_null(c.TRAIN)


def _leave_one_out(dataset: Dataset) -> pl.Series:
    rows = [
        (user, item, part)
        for user, items in dataset.histories.items()
        if len(items) >= 3
        for item, part in ((items[-2], c.VALID), (items[-1], c.TEST))
    ]
    pairs = pl.DataFrame(rows, schema=dict.fromkeys((c.USER, c.ITEM, "part"), pl.String), orient="row")
    return _of_pairs(dataset.interactions, pairs)


def _temporal(dataset: Dataset, fractions: tuple[float, float, float]) -> pl.Series:
    time = dataset.interactions[c.TIMESTAMP]
    if time.null_count():
        raise UserError(f"{dataset.name} has interactions without a timestamp: use another split than temporal")
    seconds = time.to_numpy()
    first, second = np.quantile(seconds, [fractions[0], fractions[0] + fractions[1]], method="lower")
    return pl.Series(_PARTS[(seconds > first).astype(int) + (seconds > second)])


def _random_by_user(dataset: Dataset, seed: int, fractions: tuple[float, float, float]) -> pl.Series:
    pairs = dataset.interactions.select(c.USER, c.ITEM).unique(maintain_order=True)
    rng = np.random.default_rng(seed)
    pairs = pairs.with_columns(chance=pl.Series(rng.random(len(pairs)))).select(
        c.USER,
        c.ITEM,
        rank=pl.col("chance").rank("ordinal").over(c.USER) - 1,
        items=pl.len().over(c.USER),
    )
    rank, items = pairs["rank"].to_numpy(), pairs["items"].to_numpy()
    test = _rounded(items * fractions[2])
    valid = np.minimum(_rounded(items * fractions[1]), items - test)
    part = pl.Series("part", _PARTS[np.where(rank < test, 2, np.where(rank < test + valid, 1, 0))])
    return _of_pairs(dataset.interactions, pairs.select(c.USER, c.ITEM, part))


def _rounded(share: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(share + 0.5).astype(np.int64)


def _given(dataset: Dataset) -> pl.Series:
    part = dataset.interactions[c.SPLIT]
    if part.null_count():
        raise UserError(
            f"{dataset.name} has interactions without a split: fill the column 'split' or use another split"
        )
    return part
