"""The k best columns of every row, exactly and with a pinned order of ties."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GROUPS = 512


def top_k(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions and scores (rows, k), best first; equal scores in column order; padded by -1 and -inf.

    Columns at -inf are never returned; `scores` (rows, columns) must hold no NaN.

    Sorting whole rows is what makes batches slow. Instead the columns are dealt into groups: the k-th largest of the
    groups' maxima bounds the k-th best score from below, so only the few columns that reach it are sorted.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    rows, columns = scores.shape
    groups = max(_GROUPS, 8 * k)
    depth = columns // groups
    pool = scores[:, : groups * depth].reshape(rows, depth, groups).max(axis=1) if depth > 1 else scores
    if pool.shape[1] > k:
        bound = np.partition(pool, pool.shape[1] - k, axis=1)[:, pool.shape[1] - k]
    else:
        bound = np.full(rows, -np.inf, np.float32)
    bound = np.maximum(bound, np.finfo(np.float32).min)  # leaves -inf out

    flat = np.flatnonzero(scores >= bound[:, None])
    row, column = np.divmod(flat, max(columns, 1))
    value = scores[row, column]
    # Of the columns that tie with the bound, k in a row are enough: there can be thousands of them.
    tied = np.flatnonzero(value == bound[row])
    needless = tied[_rank_within(row[tied]) >= k]
    if len(needless):
        row, column, value = (np.delete(part, needless) for part in (row, column, value))

    order = np.lexsort((-value, row))  # stable, so ties keep column order
    row, column, value = row[order], column[order], value[order]
    rank = _rank_within(row)
    kept = rank < k
    positions = np.full((rows, k), -1, np.int64)
    best = np.full((rows, k), -np.inf, np.float32)
    positions[row[kept], rank[kept]] = column[kept]
    best[row[kept], rank[kept]] = value[kept]
    return positions, best


def _rank_within(row: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, ... within each run of equal values of the sorted `row`."""
    return np.arange(len(row)) - np.searchsorted(row, row)
