"""Conditional logit (McFadden, 1974): weights of facts about candidates under which the chosen ones are most likely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_RIDGE = 1e-4
"""L2 penalty for each choice, on standardised facts."""
_STEPS = 50


def calibrated(choices: Sequence[tuple[NDArray[np.float32], int]]) -> NDArray[np.float32]:
    """Weights (f,) that maximise the mean log-probability of the choices, P(i) = softmax(facts @ weights)[i].

    Each choice is the facts (candidates, f) and the row that was chosen. Newton's method; a fact that never differs
    between candidates gets weight 0.
    """
    facts = np.concatenate([rows for rows, _ in choices])
    sizes = np.array([len(rows) for rows, _ in choices])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    chosen = starts + np.array([row for _, row in choices])
    scale = facts.std(axis=0)
    scale = np.where(scale > 1e-9, scale, np.inf).astype(np.float32)
    facts = facts / scale
    weights = np.zeros(facts.shape[1])
    loss, step = _loss(facts, weights, starts, sizes, chosen), 1.0
    for _ in range(_STEPS):
        p = _probabilities(facts, weights, starts, sizes)
        expected = np.add.reduceat(facts * p[:, None], starts)
        gradient = (expected - facts[chosen]).mean(axis=0, dtype=np.float64) + 2 * _RIDGE * weights
        curvature = facts.T @ (facts * p[:, None]) - expected.T @ expected
        curvature = curvature.astype(np.float64) / len(choices) + 2 * _RIDGE * np.eye(len(weights))
        direction = np.linalg.solve(curvature, gradient)
        step = 1.0
        while (better := _loss(facts, weights - step * direction, starts, sizes, chosen)) > loss and step > 1e-3:
            step /= 2
        gained, loss, weights = loss - better, better, weights - step * direction
        if gained < 1e-6:
            break
    return (weights / scale).astype(np.float32)


def _scores(
    facts: NDArray[np.float32], weights: NDArray[np.float64], starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.float32]:
    scores = facts @ weights.astype(np.float32)
    return scores - np.repeat(np.maximum.reduceat(scores, starts), sizes)


def _probabilities(
    facts: NDArray[np.float32], weights: NDArray[np.float64], starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.float32]:
    odds = np.exp(_scores(facts, weights, starts, sizes))
    return odds / np.repeat(np.add.reduceat(odds, starts), sizes)


def _loss(
    facts: NDArray[np.float32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    chosen: NDArray[np.int64],
) -> float:
    scores = _scores(facts, weights, starts, sizes)
    total = np.add.reduceat(np.exp(scores), starts)
    return float((np.log(total) - scores[chosen]).mean(dtype=np.float64) + _RIDGE * (weights**2).sum())
