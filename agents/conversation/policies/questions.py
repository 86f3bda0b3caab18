"""What an answer would tell, and what to show: the parts of policies that need no plan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmrec.agents.conversation.belief import items_with, top_positions
from llmrec.contracts import BeliefView, Recommend
from llmrec.data.catalogue import Catalogue
from llmrec.retrieval.graph.links import entries

LEAST_GAIN = 1e-3
"""Bits below which a question is not worth the reading."""


def information_gains(belief: BeliefView, noise: float) -> NDArray[np.float32]:
    """Expected reduction (m,) of the entropy in bits by an answer on each attribute; 0 for those already asked.

    I(answer; item) = H(q) - H(e), where q is the probability of a yes and e the rate of wrong answers.
    """
    catalogue = belief.catalogue
    gains = gain(catalogue.matrix_t @ belief.probabilities, noise)
    known = catalogue.attributes.positions((*belief.asked, *belief.accepted))
    gains[known[known >= 0]] = 0
    return gains


def gain(having: NDArray[np.floating], noise: float) -> NDArray[np.float32]:
    """The gain in bits where the probability `having` has the attribute."""
    having = np.clip(having, 0, 1)
    gains = _entropy(having * (1 - noise) + (1 - having) * noise) - _entropy(np.float32(noise))
    return np.maximum(gains, 0).astype(np.float32)


def best_question(belief: BeliefView, noise: float) -> tuple[str, float] | None:
    """The attribute with the largest gain and its bits, ties by catalogue order; None where no question tells."""
    gains = information_gains(belief, noise)
    if not gains.size or gains.max() < LEAST_GAIN:
        return None
    best = int(gains.argmax())
    return str(belief.catalogue.attributes.ids[best]), float(gains[best])


def recommend(belief: BeliefView, k: int) -> Recommend:
    """The k most probable items."""
    with np.errstate(divide="ignore"):
        best = top_positions(np.log(belief.probabilities), k)
    return listing(belief.catalogue, best)


def listing(catalogue: Catalogue, items: NDArray[np.int64]) -> Recommend:
    """Show the items at these positions, in this order."""
    return Recommend(tuple(str(item) for item in catalogue.index.ids[items]))


def candidates(belief: BeliefView) -> NDArray[np.int64]:
    """Positions (c,) of the items that have every accepted attribute and have not been turned down, ascending."""
    live = belief.live
    left = np.ones(len(live), bool)
    for attribute in belief.accepted:
        left &= np.isin(live, items_with(belief.catalogue, attribute), assume_unique=True)
    return live[left]


def incidences(catalogue: Catalogue, items: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """For each attribute of each of `items`: its place in `items`, its column."""
    return entries(catalogue.matrix.indptr, catalogue.matrix.indices, items)


def _entropy(p: NDArray[np.floating] | np.float32) -> NDArray[np.floating]:
    p = np.clip(p, 1e-12, 1 - 1e-7)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
