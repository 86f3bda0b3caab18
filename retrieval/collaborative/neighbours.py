"""Nearest neighbours of items by the users that they share."""

from __future__ import annotations

import numpy as np
from implicit.nearest_neighbours import all_pairs_knn
from scipy import sparse


def nearest_neighbours(matrix: sparse.csr_matrix, k: int) -> sparse.csr_matrix:
    """Similarities (items x items): each row the item's at most k nearest others by cosine of the columns of `matrix`
    (users x items); items that share no user are no neighbours."""
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel())
    unit = (matrix @ sparse.diags(1 / np.maximum(norms, np.finfo(np.float32).tiny))).tocsr().astype(np.float64)
    # One more than k, because each item is its own nearest neighbour.
    near = all_pairs_knn(unit, k + 1, show_progress=False).tocsr().astype(np.float32)
    near.setdiag(0)
    near.eliminate_zeros()
    near.sort_indices()
    return near
