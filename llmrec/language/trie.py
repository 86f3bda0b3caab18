"""The token sequences that decoding may produce, as a compact trie."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Sequences = Sequence[Sequence[int]] | NDArray[np.integer]


class TokenTrie:
    """Token sequences by number: item ids, attribute names, choices. Immutable, shared between threads and calls.

    Nodes are numbered level by level, in lexicographic order within a level, so that the children of a node are
    consecutive and three arrays hold everything: 12 bytes a node. One sequence may be the prefix of another.
    """

    root = 0

    def __init__(self, sequences: Sequences) -> None:
        """`sequences`: lists of token ids, or an integer array (n, length), which is faster.

        A sequence that is there twice keeps its first number. `ValueError` for empty sequences and negative tokens.
        """
        matrix = _matrix(sequences)
        # By the first token, then the second, ...; the padding of -1 puts a prefix before what it begins.
        order = np.lexsort(matrix.T[::-1]).astype(np.int32) if len(matrix) else np.empty(0, np.int32)
        matrix = matrix[order]
        changed = np.zeros(len(matrix), bool)
        changed[:1] = True  # whether a row differs from the row before up to this level
        above = np.zeros(len(matrix), np.int32)  # the node of each row one level up: first the root
        tokens, parents, ends = [np.array([-1], np.int32)], [], [np.array([-1], np.int32)]
        self.nodes = 1
        self.depth = matrix.shape[1]
        """Tokens of the longest sequence."""
        for level in range(self.depth):
            column = matrix[:, level]
            changed[1:] |= column[1:] != column[:-1]
            starts = changed & (column >= 0)
            rows = np.flatnonzero(starts)
            tokens.append(column[rows])
            parents.append(above[rows])
            above = np.cumsum(starts, dtype=np.int32) + np.int32(self.nodes - 1)
            # A row ends here where the next token is padding. Rows that are the same begin no node of their own, and
            # the sort is stable: the first row of a node has the lowest number.
            last = level + 1 == self.depth
            ends.append(order[rows] if last else np.where(matrix[rows, level + 1] < 0, order[rows], np.int32(-1)))
            self.nodes += len(rows)
        self._tokens = np.concatenate(tokens)
        self.largest = int(self._tokens.max())
        """The largest token id, -1 where there are no sequences."""
        self._ends = np.concatenate(ends)
        counts = np.bincount(np.concatenate(parents), minlength=self.nodes) if parents else np.zeros(1, np.int64)
        self._first = np.empty(self.nodes + 1, np.int32)
        self._first[0] = 1
        np.cumsum(counts, out=self._first[1:])
        self._first[1:] += 1

    def __len__(self) -> int:
        """How many different sequences there are."""
        return int((self._ends >= 0).sum())

    def __repr__(self) -> str:
        return f"TokenTrie({len(self):,} sequences of up to {self.depth} tokens)"

    def children(self, node: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Tokens that may follow, ascending, and the nodes that they lead to."""
        first, end = self._first[node], self._first[node + 1]
        return self._tokens[first:end], np.arange(first, end, dtype=np.int32)

    def expand(self, nodes: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
        """All children of many nodes: (positions in `nodes`, ascending; tokens; nodes that they lead to)."""
        first = self._first[nodes]
        counts = self._first[np.asarray(nodes) + 1] - first
        which = np.repeat(np.arange(len(counts)), counts)
        # Children of one parent are consecutive: count up from the first, anew for each parent.
        begin = np.cumsum(counts) - counts
        found = np.repeat(first - begin, counts) + np.arange(len(which))
        return which, self._tokens[found], found.astype(np.int32)

    def ends(self, nodes: NDArray[np.integer]) -> NDArray[np.int32]:
        """The number of the sequence that ends at each node, -1 where none does."""
        return self._ends[nodes]

    def inner(self, nodes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether each node has children."""
        return self._first[np.asarray(nodes) + 1] > self._first[nodes]


def _matrix(sequences: Sequences) -> NDArray[np.int32]:
    """(n, longest) tokens, padded by -1."""
    if isinstance(sequences, np.ndarray):
        if sequences.ndim != 2 or sequences.dtype.kind not in "iu":
            raise ValueError("an array of token sequences must be of integers and have the shape (n, length)")
        matrix = sequences.astype(np.int32, copy=False)
        if sequences.size and (sequences.min() < 0 or sequences.max() > np.iinfo(np.int32).max):
            raise ValueError("a token id is a number from 0")
    else:
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        flat = np.fromiter(chain.from_iterable(sequences), np.int32, int(lengths.sum()))
        if len(flat) and flat.min() < 0:
            raise ValueError("a token id is a number from 0")
        if len(lengths) and not lengths.all():
            raise ValueError("a token sequence must not be empty")
        matrix = np.full((len(lengths), int(lengths.max(initial=0))), -1, np.int32)
        matrix[np.arange(matrix.shape[1]) < lengths[:, None]] = flat
    if len(matrix) and not matrix.shape[1]:
        raise ValueError("a token sequence must not be empty")
    return matrix
