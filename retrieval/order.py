"""One order of results everywhere: best score first, ties by catalogue position."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def best(scores: NDArray[np.float32], k: int, above: float = -np.inf) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions and scores of the k highest of `scores` (n,) that are greater than `above`; fewer where fewer are."""
    positions = np.flatnonzero(scores > above)
    if 0 < k < len(positions):
        kept = scores[positions]
        positions = positions[kept >= np.partition(kept, -k)[-k]]  # keeps every tie of the last place
    positions = positions[np.argsort(-scores[positions], kind="stable")][: max(k, 0)]
    return positions, scores[positions]
