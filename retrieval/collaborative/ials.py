"""iALS: matrix factorisation of implicit feedback, fitted by the `implicit` library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from threadpoolctl import threadpool_limits

from llmrec.contracts import Config, Progress
from llmrec.data.dataset import Dataset
from llmrec.retrieval.collaborative.arrays import Arrays
from llmrec.retrieval.collaborative.base import HistoryRecommender


class IALSConfig(Config):
    """Settings of `IALS`. The defaults are chosen on the validation events of `amazon-beauty` and `ml-100k`, at 128
    factors: `llmrec eval tune DATA --recommender ials`. More factors suit Beauty better, at half the speed.
    """

    factors: int = Field(128, ge=1)
    regularization: float = Field(20.0, gt=0)
    alpha: float = Field(40.0, gt=0)
    """Confidence of a positive event; an absent one has 1."""
    iterations: int = Field(15, ge=1)
    seed: int = 0


class IALS(HistoryRecommender):
    """Implicit alternating least squares (Hu, Koren and Volinsky, ICDM 2008).

    Only item factors are kept. Everybody, known or new, is folded in: their factors are the least-squares solution for
    their history, so that an update counts at once and equals a refit of that person.
    """

    config_type = IALSConfig
    config: IALSConfig

    def _fit(self, matrix: sparse.csr_matrix, dataset: Dataset, progress: Progress) -> NDArray[np.bool_]:
        c = self.config
        factors = np.zeros((matrix.shape[1], c.factors), np.float32)
        if matrix.nnz:
            # The solver has its own threads and becomes many times slower where BLAS starts more inside them.
            with threadpool_limits(1, "blas"):
                factors = _factorise(matrix, c, progress)
        # Coordinates in which Y'Y + lambda I is the identity make folding in cheap; see `_fold_in`.
        gram = factors.astype(np.float64)
        gram = gram.T @ gram + c.regularization * np.eye(c.factors)
        self._factors = factors
        self._whitened = np.linalg.solve(np.linalg.cholesky(gram), factors.T).T.astype(np.float32, order="C")
        return np.ones(matrix.shape[1], bool)

    def _score(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        folded = self._fold_in(histories)
        if len(folded) == 1:  # not by BLAS, whose threads wait for each other for milliseconds where cores are busy
            return np.vecdot(self._whitened, folded)[None]
        return folded @ self._whitened.T

    def _fold_in(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        """Whitened factors (rows, factors) of the histories.

        A person's factors solve (Y'Y + lambda I + (a-1) Yu'Yu) x = a Yu'1, with Yu the factors of the history's items
        and a = alpha. With Z = Y L^-T, where L L' = Y'Y + lambda I, this is (I + (a-1) Zu'Zu) q = a Zu'1, or for n
        items q = a Zu' (I + (a-1) Zu Zu')^-1 1: an n x n system, small for short histories.
        """
        alpha, d = np.float32(self.config.alpha), self.config.factors
        lengths = np.diff(histories.indptr)
        folded = np.zeros((len(lengths), d), np.float32)
        for n in np.unique(lengths[lengths > 0]):
            rows = np.flatnonzero(lengths == n)
            items = histories.indices[histories.indptr[rows][:, None] + np.arange(n)]
            z = self._whitened[items]  # (rows, n, d)
            if n < d:
                system = np.eye(n, dtype=np.float32) + (alpha - 1) * (z @ z.transpose(0, 2, 1))
                weights = np.linalg.solve(system, np.full((len(rows), n, 1), alpha))
                folded[rows] = (weights * z).sum(axis=1)
            else:
                system = np.eye(d, dtype=np.float32) + (alpha - 1) * (z.transpose(0, 2, 1) @ z)
                folded[rows] = np.linalg.solve(system, alpha * z.sum(axis=1)[:, :, None])[:, :, 0]
        return folded

    def _similar(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosine of the factors."""
        unit = self._factors / np.maximum(np.linalg.norm(self._factors, axis=1, keepdims=True), 1e-12)
        return unit[positions] @ unit.T

    def _arrays(self) -> Arrays:
        return {"factors": self._factors, "whitened": self._whitened}

    def _restore(self, arrays: Arrays) -> None:
        self._factors, self._whitened = arrays["factors"], arrays["whitened"]


def _factorise(matrix: sparse.csr_matrix, config: IALSConfig, progress: Progress) -> NDArray[np.float32]:
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=config.factors,
        regularization=config.regularization,
        alpha=config.alpha,
        iterations=config.iterations,
        random_state=config.seed,
    )
    model.fit(
        matrix,
        show_progress=False,
        callback=lambda iteration, seconds, loss: progress("iterations", iteration + 1, config.iterations),
    )
    return model.item_factors
