"""The value of asking on: a tree of questions over the likely items, solved backwards.

The tree asks, in every node, the attribute that most nearly halves the node's probability; its branches are the two
answers. Recommending from a node on, ten new items at each action that remains, has a value that is known exactly;
asking has that of the branches, one action later. The better of the two, from the leaves up, values a node under the
best time to stop asking. All nodes of a level are computed together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from llmrec.retrieval.graph.links import Links, entries

_LEAST_SHARE = 1e-4
"""Nodes with less of the probability are not asked further: nobody gets there."""


@dataclass(frozen=True, eq=False)
class Likely:
    """The items that a plan is made for, most probable first. Each of r rows stands for `counts` items that share its
    weight and its attributes, so that a large catalogue is planned for by a sample."""

    weights: NDArray[np.float64]
    """Probability (r,) of each row."""
    counts: NDArray[np.int64]
    """(r,)"""
    having: NDArray[np.bool_]
    """(r, q): whether it has the attribute of each of q questions."""

    @cached_property
    def answers(self) -> Links:
        """The questions whose attribute each row has."""
        return Links.of_matrix(sparse.csr_matrix(self.having))


def values(
    likely: Likely,
    roots: list[NDArray[np.int64]],
    actions: int,
    k: int,
    cost: float = 0.0,
    depth: int = 14,
    success: float = 0.0,
) -> NDArray[np.float64]:
    """The value of being in each of `roots`, sets of rows of `likely` in ascending order, with `actions` left.

    An item accepted at the first of n actions left is worth n, at the last 1: what it saves of the time of somebody who
    would leave unserved; and `success` in any case. `k` items fill a list, a question costs the share `cost` of what
    comes after it, and at most `depth` are asked in a row.
    """
    rows = np.concatenate(roots)
    node = np.repeat(np.arange(len(roots)), [len(root) for root in roots])
    # Of the 1st, 2nd, ... item that is recommended from now on.
    worth = np.repeat(np.arange(actions, 0, -1.0) + success, k)
    least = _LEAST_SHARE * likely.weights.sum()
    levels: list[tuple[NDArray[np.float64], NDArray[np.int64]]] = []
    nodes = len(roots)
    for level in range(actions):
        counts = likely.counts[rows]
        sizes = np.bincount(node, counts, nodes).astype(np.int64)
        weights = likely.weights[rows]
        total = np.bincount(node, weights, nodes)
        recommending = _recommending(weights, counts, node, sizes, worth[level * k :], nodes)
        grows = (sizes > k) & (total > least)
        if level == min(depth, actions - 1) or not grows.any():
            levels.append((recommending, np.empty(0, np.int64)))
            break
        kept = grows[node]
        rows, weights, inner = rows[kept], weights[kept], (np.cumsum(grows) - 1)[node[kept]]
        question, splits = _questions(likely, rows, weights, inner, total[grows])
        branch = 2 * inner + likely.having[rows, question[inner]]
        order = np.argsort(branch, kind="stable")
        order = order[splits[inner[order]]]
        rows, branch = rows[order], branch[order]
        there = np.zeros(2 * len(question), bool)
        there[branch] = True
        node, nodes = (np.cumsum(there) - 1)[branch], int(there.sum())
        levels.append((recommending, np.flatnonzero(grows)[np.flatnonzero(there) // 2]))
        if not nodes:
            break
    value = levels[-1][0]
    for recommending, parents in reversed(levels[:-1]):
        value = np.maximum(recommending, (1 - cost) * np.bincount(parents, value, len(recommending)))
    return value


def _recommending(
    weights: NDArray[np.float64],
    counts: NDArray[np.int64],
    node: NDArray[np.int64],
    sizes: NDArray[np.int64],
    worth: NDArray[np.float64],
    nodes: int,
) -> NDArray[np.float64]:
    """The value of recommending from now on, in each node."""
    so_far = np.concatenate([[0.0], np.cumsum(worth)])
    before = np.cumsum(counts) - counts - (np.cumsum(sizes) - sizes)[node]
    share = so_far[np.minimum(before + counts, len(worth))] - so_far[np.minimum(before, len(worth))]
    value: NDArray[np.float64] = np.bincount(node, weights / counts * share, nodes).astype(np.float64)
    return value


def _questions(
    likely: Likely,
    rows: NDArray[np.int64],
    weights: NDArray[np.float64],
    node: NDArray[np.int64],
    total: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The column that halves each node best, and whether it splits it at all."""
    q = likely.having.shape[1]
    places, columns = entries(likely.answers.starts, likely.answers.ends, rows)
    mass = np.bincount(node[places] * q + columns, weights[places], len(total) * q).reshape(len(total), q)
    question = np.abs(mass - total[:, None] / 2).argmin(axis=1)
    yes = mass[np.arange(len(total)), question]
    return question, (yes > 1e-9 * total) & (yes < (1 - 1e-9) * total)
