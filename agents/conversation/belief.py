"""What the agent believes: a posterior over the items that a person may be looking for.

A prior (collaborative scores and popularity) is multiplied by one likelihood for each piece of evidence. Answers are
never trusted fully: with the noise rate e a yes to attribute p multiplies the items that have p by (1 - e) / e, a no
divides them by it. So rejections are evidence, and contradictory answers cost probability instead of the target.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from llmrec.contracts import Exchange
from llmrec.data.catalogue import Catalogue

NOISE = 0.002
"""Rate of wrong answers: so low that who asks for jazz gets jazz, whatever they liked before, but never zero, so that
a slip costs probability instead of the target."""

TEMPERATURE = 0.15
"""Of EASE scores: what makes their softmax a calibrated probability."""
_POPULARITY = 0.25
"""Weight of the log popularity for somebody with a long history."""
_QUERY_DECAY = 1.5
"""Exponent of the relevance of search results: P(target at rank r) is proportional to r ** -1.5 (a Zipf law)."""


@dataclass(frozen=True, eq=False)
class Belief:
    """A posterior over the n items of `catalogue`; each method returns a new one. Satisfies `contracts.BeliefView`."""

    catalogue: Catalogue
    log_weights: NDArray[np.float32]
    """Unnormalised log-probability (n,)."""
    allowed: NDArray[np.bool_]
    """Items (n,) that may be shown: available, neither rejected nor seen, within the filters."""
    noise: float = NOISE
    asked: frozenset[str] = frozenset()
    accepted: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    user: str | None = None
    exchanges: tuple[Exchange, ...] = ()
    negative: bool = True
    """Whether a no is evidence against the items that have the attribute."""
    _hits: NDArray[np.int64] | None = field(default=None, repr=False)

    @classmethod
    def start(
        cls,
        catalogue: Catalogue,
        prior: NDArray[np.float32] | None = None,
        *,
        noise: float = NOISE,
        user: str | None = None,
        negative: bool = True,
    ) -> Belief:
        """The log-prior (n,) over available items; uniform without."""
        weights = np.zeros(len(catalogue), np.float32) if prior is None else prior.astype(np.float32)
        return cls(catalogue, weights, catalogue.available.copy(), noise, user=user, negative=negative)

    # --- Evidence -------------------------------------------------------------------------------------------------

    def accept(self, attribute: str) -> Belief:
        """The person wants `attribute`; an attribute that the catalogue does not have changes nothing."""
        return replace(
            self._weigh(attribute, self._log_odds),
            accepted=(*self.accepted, attribute),
            exchanges=(*self.exchanges, Exchange("accept", (attribute,))),
        )

    def open(self, attribute: str) -> Belief:
        """The person has named `attribute` themselves, which is never a mistake: only items that have it are left."""
        having = np.zeros(len(self.catalogue), bool)
        having[items_with(self.catalogue, attribute)] = True
        return self.within(having).accept(attribute)

    def reject(self, attribute: str) -> Belief:
        """The person does not want `attribute`."""
        return replace(
            self._weigh(attribute, -self._log_odds if self.negative else np.float32(0)),
            rejected=(*self.rejected, attribute),
            exchanges=(*self.exchanges, Exchange("reject", (attribute,))),
        )

    def skip(self, attribute: str) -> Belief:
        """No preference: no evidence, but never asked again."""
        return replace(
            self, asked=self.asked | {attribute}, exchanges=(*self.exchanges, Exchange("skip", (attribute,)))
        )

    def answer(self, attribute: str, answer: bool | None) -> Belief:
        """Yes, no or (None) no preference."""
        if answer is None:
            return self.skip(attribute)
        return self.accept(attribute) if answer else self.reject(attribute)

    def turn_down(self, items: tuple[str, ...]) -> Belief:
        """These were shown and none of them was it: they are never shown again."""
        positions = self.catalogue.index.positions(items)
        without = self.exclude(positions[positions >= 0])
        return replace(without, exchanges=(*self.exchanges, Exchange("turned_down", items)))

    def lean(self, similarity: NDArray[np.float32], strength: float) -> Belief:
        """Shift towards (or, with a negative strength, away from) items by `similarity` (n,) in 0..1."""
        return replace(self, log_weights=self.log_weights + np.float32(strength) * similarity)

    def search(self, positions: NDArray[np.int64]) -> Belief:
        """The person searched and these items (best first) were found: relevance falls with the rank by a power law."""
        weights = self.log_weights.copy()
        ranks = np.arange(1, len(positions) + 1, dtype=np.float32)
        weights[positions] += _QUERY_DECAY * np.log(2 * (len(positions) + 1) / ranks)
        return replace(self, log_weights=weights, _hits=positions)

    def exclude(self, positions: Iterable[int] | NDArray[np.int64]) -> Belief:
        """Items that must not be shown: rejected ones, seen ones."""
        allowed = self.allowed.copy()
        allowed[np.asarray(positions if isinstance(positions, np.ndarray) else list(positions), np.int64)] = False
        return replace(self, allowed=allowed)

    def within(self, mask: NDArray[np.bool_]) -> Belief:
        """Only items of `mask` (n,), as filters say."""
        return replace(self, allowed=self.allowed & mask)

    @property
    def _log_odds(self) -> np.float32:
        noise = min(max(self.noise, 1e-6), 0.5)
        return np.float32(np.log((1 - noise) / noise))

    def _weigh(self, attribute: str, log_odds: np.float32) -> Belief:
        weights = self.log_weights.copy()
        weights[items_with(self.catalogue, attribute)] += log_odds
        return replace(self, log_weights=weights, asked=self.asked | {attribute})

    # --- Views ----------------------------------------------------------------------------------------------------

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """(n,), sums to 1 over the allowed items, 0 elsewhere; all 0 where nothing is allowed."""
        if not self.allowed.any():
            return np.zeros(len(self.log_weights), np.float32)
        weights = np.where(self.allowed, self.log_weights, -np.inf)
        weights = np.exp(weights - weights.max(), dtype=np.float32)
        return weights / weights.sum(dtype=np.float64).astype(np.float32)

    def probability(self, item_id: str) -> float:
        """Of one item; 0 for those unknown or not allowed."""
        at = self.catalogue.index.position(item_id)
        return round(float(self.probabilities[at]), 6) if at >= 0 else 0.0

    def top(self, k: int, skip: Iterable[int] = ()) -> NDArray[np.int64]:
        """Positions of the k most probable allowed items less `skip`, best first; ties by catalogue order."""
        weights = np.where(self.allowed, self.log_weights, -np.inf)
        weights[list(skip)] = -np.inf
        return top_positions(weights, k)

    @cached_property
    def candidates_left(self) -> int:
        """Allowed items that agree with the most answers (all of them, unless answers contradict the catalogue)."""
        if not self.allowed.any():
            return 0
        agreement = np.zeros(len(self.allowed), np.int32)
        for attribute in self.accepted:
            agreement[items_with(self.catalogue, attribute)] += 1
        for attribute in self.rejected:
            agreement[items_with(self.catalogue, attribute)] -= 1
        if self._hits is not None:
            agreement[self._hits] += 1
        agreement = agreement[self.allowed]
        return int((agreement == agreement.max()).sum())


def items_with(catalogue: Catalogue, attribute: str) -> NDArray[np.int32]:
    """Positions of the items that have `attribute`, empty where it is unknown."""
    column = catalogue.attributes.position(attribute)
    if column < 0:
        return np.empty(0, np.int32)
    start, end = catalogue.matrix_t.indptr[column : column + 2]
    return catalogue.matrix_t.indices[start:end]


def top_positions(weights: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Positions of the k largest finite weights, best first; ties by position."""
    k = min(k, int(np.isfinite(weights).sum()))
    if k == 0:
        return np.empty(0, np.int64)
    least = -np.partition(-weights, k - 1)[k - 1]
    above = np.flatnonzero(weights >= least)
    return above[np.argsort(-weights[above], kind="stable")][:k]


def log_prior(
    scores: NDArray[np.float32] | None, popularity: NDArray[np.float32], known: int = 0
) -> NDArray[np.float32]:
    """Log-prior (n,) from collaborative scores of a history of `known` items and `popularity` (n,), counts of events.

    `scores` None is an anonymous person; items that the model does not know may be -inf and count as 0, so that cold
    items stay reachable. What everybody likes says less, the more is known of somebody. Temperature and weights
    maximise the likelihood of held-out last events on ml-100k, lastfm-star and amazon-beauty together.
    """
    prior = np.float32(_POPULARITY + (1 - _POPULARITY) / (1 + known)) * np.log1p(popularity, dtype=np.float32)
    if scores is not None:
        prior = prior + np.where(np.isfinite(scores), scores, 0).astype(np.float32) / np.float32(TEMPERATURE)
    return prior
