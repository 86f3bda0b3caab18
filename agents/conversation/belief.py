"""What the agent believes: a posterior over the items that a person may be looking for.

A prior (collaborative scores and popularity) is multiplied by one likelihood for each piece of evidence. Answers are
never trusted fully: with the noise rate e a yes to attribute p multiplies the items that have p by (1 - e) / e, a no
divides them by it. So rejections are evidence, and contradictory answers cost probability instead of the target.

In a large catalogue answers soon leave most items without any probability to speak of. These are dropped, so that what
comes later costs as much as the items that are left; where an answer contradicts so much that they may count again, all
evidence is weighed anew over all items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from llmrec.contracts import Exchange, ExchangeKind
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


_FEW = 4096
"""Items up to which nothing is dropped."""
_DROPPED = np.log(1e-3)
"""Log of the probability that one round of dropping may cost."""
_RECALLED = np.log(0.05)
"""Log of the probability that the dropped items may have before they are taken back."""

Weights = NDArray[np.float32]
Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What was said, as a change of the log-weights (c,) of the items at ascending positions (c,)."""

    change: Callable[[Positions, Weights], Weights]
    """New weights; -inf for what may not be shown."""
    most: float = 0.0
    """By how much it can raise an item at most."""
    agrees: Callable[[Positions], NDArray[np.int32]] | None = None
    """+1 for items that agree with it more than others, -1 for those that agree less (c,); None where none does."""


@dataclass(frozen=True, eq=False)
class _State:
    """The items that count, and what is kept of the others."""

    positions: Positions
    """(c,) ascending."""
    weights: Weights
    """Unnormalised log-probability (c,)."""
    agreement: NDArray[np.int32]
    """Answers that each item (c,) agrees with, up to a constant."""
    dropped: float = -np.inf
    """An upper bound of the log-weight of all dropped items together."""

    @classmethod
    def of(cls, weights: Weights, allowed: NDArray[np.bool_]) -> _State:
        """All allowed items, from arrays (n,)."""
        positions = np.flatnonzero(allowed)
        return cls(positions, weights[positions], np.zeros(len(positions), np.int32))

    def then(self, evidence: _Evidence) -> _State:
        """After one piece of evidence."""
        weights = evidence.change(self.positions, self.weights)
        agreement = self.agreement if evidence.agrees is None else self.agreement + evidence.agrees(self.positions)
        state = _State(self.positions, weights, agreement, self.dropped + evidence.most)
        gone = np.isneginf(weights)
        return state._kept(~gone) if gone.any() else state

    def _kept(self, mask: NDArray[np.bool_]) -> _State:
        return replace(self, positions=self.positions[mask], weights=self.weights[mask], agreement=self.agreement[mask])

    @cached_property
    def total(self) -> float:
        """Log of the sum of all weights; -inf without any item."""
        if not len(self.weights):
            return -np.inf
        top = float(self.weights.max())
        return top + float(np.log(np.exp(self.weights - top).sum(dtype=np.float64)))

    @property
    def doubtful(self) -> bool:
        """Whether the dropped items may count."""
        return self.dropped > self.total + _RECALLED

    def without_the_improbable(self) -> _State:
        """Items are dropped that have, all together, no probability to speak of."""
        count = len(self.weights)
        if count <= _FEW:
            return self
        least = self.total - np.log(count) + _DROPPED
        likely = self.weights >= least
        if likely.sum() > 0.8 * count:  # not worth the copying
            return self
        state = self._kept(likely)
        gone = float(least + np.log(count - len(state.weights)))
        return replace(state, dropped=float(np.logaddexp(self.dropped, gone)))


@dataclass(frozen=True, eq=False)
class Belief:
    """A posterior over the n items of `catalogue`; each method returns a new one. Satisfies `contracts.BeliefView`."""

    catalogue: Catalogue
    _start: _State = field(repr=False)
    """Before all evidence."""
    _state: _State = field(repr=False)
    """After all of it."""
    _evidence: tuple[_Evidence, ...] = field(default=(), repr=False)
    noise: float = NOISE
    negative: bool = True
    """Whether a no is evidence against the items that have the attribute."""
    changes: tuple[float, ...] = ()
    """Probability that the person changes their mind before the 1st, 2nd, ... action; 0 beyond."""
    asked: frozenset[str] = frozenset()
    accepted: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    user: str | None = None
    exchanges: tuple[Exchange, ...] = ()
    _wishes: _State | None = field(default=None, repr=False)
    """What was believed before the opening: where a changed mind may go."""

    @classmethod
    def start(
        cls,
        catalogue: Catalogue,
        prior: NDArray[np.float32] | None = None,
        *,
        noise: float = NOISE,
        negative: bool = True,
        changes: Sequence[float] = (),
        user: str | None = None,
    ) -> Belief:
        """The log-prior (n,) over available items; uniform without."""
        weights = np.zeros(len(catalogue), np.float32) if prior is None else prior.astype(np.float32)
        state = _State.of(weights, catalogue.available)
        return cls(catalogue, state, state, noise=noise, negative=negative, changes=tuple(changes), user=user)

    # --- Evidence -------------------------------------------------------------------------------------------------

    def accept(self, attribute: str) -> Belief:
        """The person wants `attribute`; an attribute that the catalogue does not have changes nothing."""
        after = self._heard(self._answered(attribute, self._log_odds, 1), "accept", attribute)
        return replace(after, accepted=(*self.accepted, attribute))

    def open(self, attribute: str) -> Belief:
        """The person has named `attribute` themselves, which is never a mistake: only items that have it are left."""
        having = np.zeros(len(self.catalogue), bool)
        having[items_with(self.catalogue, attribute)] = True
        return replace(self.within(having), _wishes=self._state).accept(attribute)

    def reject(self, attribute: str) -> Belief:
        """The person does not want `attribute`."""
        evidence = self._answered(attribute, -self._log_odds if self.negative else np.float32(0), -1)
        after = self._heard(evidence, "reject", attribute)
        return replace(after, rejected=(*self.rejected, attribute))

    def skip(self, attribute: str) -> Belief:
        """No preference: no evidence, but never asked again."""
        return self._heard(None, "skip", attribute)

    def answer(self, attribute: str, answer: bool | None) -> Belief:
        """Yes, no or (None) no preference."""
        if answer is None:
            return self.skip(attribute)
        return self.accept(attribute) if answer else self.reject(attribute)

    def turn_down(self, items: tuple[str, ...]) -> Belief:
        """These were shown and none of them was it: they are never shown again."""
        positions = self.catalogue.index.positions(items)
        return self.exclude(positions[positions >= 0])._heard(None, "turned_down", *items)

    def lean(self, similarity: NDArray[np.float32], strength: float) -> Belief:
        """Shift towards (or, with a negative strength, away from) items by `similarity` (n,)."""
        shift = np.float32(strength) * similarity
        return self._with(_Evidence(lambda at, weights: weights + shift[at], float(shift.max(initial=0))))

    def search(self, positions: NDArray[np.int64]) -> Belief:
        """The person searched and these items (best first) were found: relevance falls with the rank by a power law."""
        ranks = np.arange(1, len(positions) + 1, dtype=np.float32)
        shift = np.zeros(len(self.catalogue), np.float32)
        shift[positions] = np.float32(_QUERY_DECAY) * np.log(np.float32(2 * (len(positions) + 1)) / ranks)
        found = np.zeros(len(self.catalogue), np.int32)
        found[positions] = 1
        most = float(shift.max(initial=0))
        return self._with(_Evidence(lambda at, weights: weights + shift[at], most, lambda at: found[at]))

    def exclude(self, positions: Iterable[int] | NDArray[np.int64]) -> Belief:
        """Items that must not be shown: rejected ones, seen ones."""
        excluded = np.unique(np.asarray(positions if isinstance(positions, np.ndarray) else list(positions), np.int64))

        def change(at: Positions, weights: Weights) -> Weights:
            weights = weights.copy()
            places = np.searchsorted(at, excluded)
            there = places < len(at)
            places, wanted = places[there], excluded[there]
            weights[places[at[places] == wanted]] = -np.inf
            return weights

        return self._with(_Evidence(change))

    def within(self, mask: NDArray[np.bool_]) -> Belief:
        """Only items of `mask` (n,), as filters say."""
        return self._with(_only(mask))

    @property
    def _log_odds(self) -> np.float32:
        noise = min(max(self.noise, 1e-6), 0.5)
        return np.float32(np.log((1 - noise) / noise))

    def _answered(self, attribute: str, log_odds: np.float32, sign: int) -> _Evidence:
        having = np.zeros(len(self.catalogue), bool)
        having[items_with(self.catalogue, attribute)] = True
        return _Evidence(
            lambda at, weights: weights + log_odds * having[at].astype(np.float32),
            max(float(log_odds), 0.0),
            lambda at: np.int32(sign) * having[at],
        )

    def _with(self, evidence: _Evidence) -> Belief:
        everything = (*self._evidence, evidence)
        state = self._state.then(evidence)
        if state.doubtful:
            state = self._start
            for earlier in everything:
                state = state.then(earlier)
        return replace(self, _state=state.without_the_improbable(), _evidence=everything)

    def _heard(self, evidence: _Evidence | None, kind: ExchangeKind, *names: str) -> Belief:
        after = self if evidence is None else self._with(evidence)
        asked = self.asked if kind == "turned_down" else self.asked | {names[0]}
        after = replace(after, asked=asked, exchanges=(*self.exchanges, Exchange(kind, names)))
        action = len(self.exchanges)  # the next one, from 0: the opening comes before the first
        return after._changed(self.changes[action]) if action < len(self.changes) and self.changes[action] else after

    def _changed(self, chance: float) -> Belief:
        """With this probability they now want something else, of which nothing is known but what was at the start."""
        before = self._wishes or self._start
        down = [name for said in self.exchanges if said.kind == "turned_down" for name in said.names]
        mask = np.ones(len(self.catalogue), bool)
        mask[self.catalogue.index.positions(down)] = False
        fresh = before.then(_only(mask))
        weights = np.full(len(self.catalogue), -np.inf, np.float32)
        weights[self._state.positions] = self._state.weights - np.float32(self._state.total) + np.log1p(-chance)
        again = fresh.weights - np.float32(fresh.total) + np.float32(np.log(chance))
        weights[fresh.positions] = np.logaddexp(weights[fresh.positions], again)
        state = _State.of(weights, np.isfinite(weights))
        return replace(self, _start=state, _state=state.without_the_improbable(), _evidence=())

    # --- Views ----------------------------------------------------------------------------------------------------

    @property
    def live(self) -> NDArray[np.int64]:
        """Positions (c,) of the items that count, ascending."""
        return self._state.positions

    @cached_property
    def live_probabilities(self) -> NDArray[np.float32]:
        """Probabilities (c,) of `live`; they sum to 1 unless there are none."""
        if not len(self._state.weights):
            return self._state.weights
        weights = np.exp(self._state.weights - self._state.weights.max(), dtype=np.float32)
        return weights / weights.sum(dtype=np.float64).astype(np.float32)

    @cached_property
    def log_weights(self) -> NDArray[np.float32]:
        """Unnormalised log-probability (n,), -inf where it is zero."""
        weights = np.full(len(self.catalogue), -np.inf, np.float32)
        weights[self._state.positions] = self._state.weights
        return weights

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """(n,), sums to 1 over the items that may be shown, 0 elsewhere; all 0 where nothing may."""
        probabilities = np.zeros(len(self.catalogue), np.float32)
        probabilities[self.live] = self.live_probabilities
        return probabilities

    def probability(self, item_id: str) -> float:
        """Of one item; 0 for those unknown or not allowed."""
        at = self.catalogue.index.position(item_id)
        return round(float(self.probabilities[at]), 6) if at >= 0 else 0.0

    def top(self, k: int, skip: Iterable[int] = ()) -> NDArray[np.int64]:
        """Positions of the k most probable allowed items less `skip`, best first; ties by catalogue order."""
        left = self.exclude(list(skip))._state if skip else self._state
        return left.positions[top_positions(left.weights, k)]

    @cached_property
    def candidates_left(self) -> int:
        """Allowed items that agree with the most answers (all of them, unless answers contradict the catalogue)."""
        agreement = self._state.agreement
        return int((agreement == agreement.max()).sum()) if agreement.size else 0


def _only(mask: NDArray[np.bool_]) -> _Evidence:
    return _Evidence(lambda at, weights: np.where(mask[at], weights, np.float32(-np.inf)))


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
