"""Fusion: several rankings of one catalogue become one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def reciprocal_rank_fusion(
    lists: Sequence[NDArray[np.int64] | Sequence[int]], k: int = 60
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions, best first, and scores: the sum of 1 / (k + rank) over `lists` of distinct catalogue positions,
    ranks from 1; ties by position (Cormack, Clarke and Büttcher 2009)."""
    ranked = [np.asarray(positions, np.int64) for positions in lists]
    found, where = np.unique(np.concatenate([*ranked, np.empty(0, np.int64)]), return_inverse=True)
    parts = np.concatenate([*(1 / (k + 1 + np.arange(len(positions))) for positions in ranked), np.empty(0)])
    scores = np.bincount(where, parts, len(found))
    # Sums in another order differ in the last bit, which must not decide a tie.
    order = np.lexsort((found, -scores.astype(np.float32)))
    return found[order], scores[order].astype(np.float32)
