"""Edges between two kinds of nodes as two compact arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


@dataclass(frozen=True, eq=False)
class Links:
    """The ends of node i are `ends[starts[i] : starts[i + 1]]`, ascending and distinct: 4 bytes for an edge."""

    starts: NDArray[np.int64]
    """(nodes + 1,)"""
    ends: NDArray[np.int32]
    """(edges,)"""

    @classmethod
    def between(cls, froms: NDArray[np.integer], tos: NDArray[np.integer], shape: tuple[int, int]) -> Self:
        """From the two ends of each edge; repeated edges count once."""
        matrix = sparse.csr_matrix((np.ones(len(froms), np.bool_), (froms, tos)), shape=shape)
        matrix.sum_duplicates()
        return cls.of_matrix(matrix)

    @classmethod
    def of_matrix(cls, matrix: sparse.csr_matrix) -> Self:
        """An edge for each stored entry of a matrix with sorted rows; index arrays are shared where types allow."""
        return cls(matrix.indptr.astype(np.int64, copy=False), matrix.indices.astype(np.int32, copy=False))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def edges(self) -> int:
        """Number of edges."""
        return len(self.ends)

    def of(self, node: int) -> NDArray[np.int32]:
        """The ends of one node; none for node -1, which stands for an unknown one."""
        return self.ends[self.starts[node] : self.starts[node + 1]] if node >= 0 else self.ends[:0]

    def of_all(self, nodes: NDArray[np.integer]) -> NDArray[np.int32]:
        """The ends of all `nodes`, one after the other."""
        return entries(self.starts, self.ends, nodes)[1]

    def counts(self, nodes: NDArray[np.integer] | None = None) -> NDArray[np.int64]:
        """Number of ends of each of `nodes`, of every node without."""
        if nodes is None:
            return np.diff(self.starts)
        return self.starts[np.asarray(nodes) + 1] - self.starts[nodes]

    def keys(self, width: int) -> NDArray[np.int64]:
        """Each edge as one number, node * width + end, ascending; `width`: how many nodes there are at the ends."""
        return np.repeat(np.arange(len(self)), self.counts()) * np.int64(width) + self.ends

    def turned(self, nodes: int) -> Links:
        """The same edges from their ends, of which there are `nodes`."""
        ones = np.ones(self.edges, np.bool_)
        return Links.of_matrix(sparse.csr_matrix((ones, self.ends, self.starts), shape=(len(self), nodes)).T.tocsr())


def entries(
    starts: NDArray[np.integer], ends: NDArray[np.int32], nodes: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """For each edge of each of `nodes`, in order: the place of the node in `nodes`, the end.

    `starts` and `ends` as in `Links`, or as `indptr` and `indices` of a sparse matrix.
    """
    begins = starts[nodes].astype(np.int64)
    counts = starts[nodes + 1] - begins
    offsets = np.repeat(begins - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    return np.repeat(np.arange(len(nodes)), counts), ends[offsets]
