"""EASE: a linear item-item model in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

from llmrec.contracts import Config, Progress
from llmrec.data.dataset import Dataset
from llmrec.retrieval.collaborative.arrays import Arrays
from llmrec.retrieval.collaborative.base import HistoryRecommender
from llmrec.retrieval.collaborative.neighbours import nearest_neighbours

_BLOCK = 512


class EASEConfig(Config):
    """Settings of `EASE`."""

    regularization: float = Field(50.0, gt=0)
    """L2 penalty (lambda): more for smaller or noisier data."""
    exact_items: int = Field(25_000, ge=0)
    """Largest number of items with events that is solved exactly: memory 4 n^2 bytes (2.5 GB at 25,000), time cubic."""
    neighbours: int = Field(200, ge=1)
    """Above `exact_items`: weights for each item, from its nearest neighbours by cosine."""


class EASE(HistoryRecommender):
    """Embarrassingly Shallow Autoencoders (Steck, WWW 2019): scores are X B, with B the ridge regression of every item
    on all others: B = I - P diag(1 / diag P), P = (X'X + lambda I)^-1.

    Catalogues with more than `exact_items` items switch to the sparse approximation of Steck, Markov Random Fields for
    Collaborative Filtering (NeurIPS 2019), section 3.2: each column of B from the inverse of the sub-matrix of X'X that
    belongs to the item and its nearest neighbours, zero elsewhere. `exact` tells which it is.
    """

    config_type = EASEConfig
    config: EASEConfig

    @property
    def exact(self) -> bool:
        """Whether the weights are the closed form rather than its sparse approximation."""
        return isinstance(self._weights, np.ndarray)

    def _fit(self, matrix: sparse.csr_matrix, dataset: Dataset, progress: Progress) -> NDArray[np.bool_]:
        self._weights: NDArray[np.float32] | sparse.csr_matrix
        if matrix.shape[1] <= self.config.exact_items:
            self._weights = exact_weights(matrix, self.config.regularization, progress)
            return np.asarray(self._weights.any(axis=1))
        # Its many small systems become many times slower where BLAS starts threads for each.
        with threadpool_limits(1, "blas"):
            self._weights = sparse_weights(matrix, self.config.regularization, self.config.neighbours, progress)
        return np.diff(self._weights.indptr) > 0

    def _score(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        scores = histories @ self._weights
        return scores if isinstance(scores, np.ndarray) else scores.toarray()

    def _arrays(self) -> Arrays:
        if isinstance(self._weights, np.ndarray):
            return {"weights": self._weights}
        return {f"weights.{part}": getattr(self._weights, part) for part in ("data", "indices", "indptr")}

    def _restore(self, arrays: Arrays) -> None:
        if "weights" in arrays:
            self._weights = arrays["weights"]
        else:
            parts = tuple(arrays[f"weights.{part}"] for part in ("data", "indices", "indptr"))
            self._weights = sparse.csr_matrix(parts, shape=(len(self._items), len(self._items)))


def exact_weights(matrix: sparse.csr_matrix, regularization: float, progress: Progress) -> NDArray[np.float32]:
    """B (items, items) of EASE in float32; needs one matrix of that size and little more."""
    gram = (matrix.T @ matrix).toarray(order="C")  # histories @ weights needs whole rows
    gram[np.diag_indices_from(gram)] += np.float32(regularization)
    inverse = inverse_in_place(gram, progress)
    inverse /= -np.diag(inverse).copy()
    np.fill_diagonal(inverse, 0)
    return inverse


def inverse_in_place(matrix: NDArray[np.float32], progress: Progress) -> NDArray[np.float32]:
    """Replace a symmetric positive definite matrix by its inverse, and return it.

    Cholesky (LAPACK's potrf, potri) by blocks of columns, arranged so that all work is large matrix products: OpenBLAS
    does those at full speed but its own potri at a third of it. With L the factor and P the inverse, for each block of
    columns k from the last to the first and the rows r below it:
    P[r,k] = -P[r,r] L[r,k] L[k,k]^-1 and P[k,k] = L[k,k]^-T L[k,k]^-1 - (L[r,k] L[k,k]^-1)' P[r,k].
    """
    n = len(matrix)
    blocks = [slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]
    inverses = []
    for done, k in enumerate(blocks):
        progress("factorising", done, 2 * len(blocks))
        below = slice(k.stop, n)
        if k.start:
            matrix[k.start :, k] -= matrix[k.start :, : k.start] @ matrix[k, : k.start].T
        factor = np.linalg.cholesky(matrix[k, k].astype(np.float64))
        unit = np.eye(len(factor))
        inverses.append(linalg.solve_triangular(factor, unit, lower=True).astype(np.float32))
        matrix[below, k] = matrix[below, k] @ inverses[-1].T
    for done, (k, inverse) in enumerate(zip(reversed(blocks), reversed(inverses), strict=True), start=len(blocks)):
        progress("inverting", done, 2 * len(blocks))
        below = slice(k.stop, n)
        scaled = matrix[below, k] @ inverse
        matrix[below, k] = -(matrix[below, below] @ scaled)
        matrix[k, k] = inverse.T @ inverse - scaled.T @ matrix[below, k]
        matrix[k, below] = matrix[below, k].T
    return matrix


def sparse_weights(
    matrix: sparse.csr_matrix, regularization: float, neighbours: int, progress: Progress
) -> sparse.csr_matrix:
    """The sparse approximation of B (items, items): a ridge regression of each item on its nearest neighbours."""
    near = nearest_neighbours(matrix, neighbours)
    by_item = matrix.tocsc()
    n = matrix.shape[1]
    rows, values = [], []
    for item in range(n):
        if item % 1000 == 0:
            progress("items", item, n)
        others = near.indices[near.indptr[item] : near.indptr[item + 1]]
        columns = by_item[:, np.append(others, item)]
        gram = (columns.T @ columns).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += regularization
        rows.append(others)
        values.append(
            linalg.solve(gram[:-1, :-1], gram[:-1, -1], assume_a="pos").astype(np.float32)
            if len(others)
            else np.empty(0, np.float32)
        )
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    by_column = sparse.csc_matrix((np.concatenate(values), np.concatenate(rows), indptr), shape=(n, n))
    return by_column.tocsr()
