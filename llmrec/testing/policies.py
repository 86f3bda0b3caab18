"""The conformance kit of conversation policies.

    from llmrec.testing.policies import PolicyContract

    class TestMine(PolicyContract):
        kind = Mine

Every test of the contract then runs against `Mine`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from llmrec.contracts import Ask, BeliefView, Exchange, Policy, Recommend
from llmrec.data.catalogue import Catalogue
from llmrec.testing.datasets import make_dataset

TURNS = 15


@dataclass
class PlainBelief:
    """A `BeliefView` as simple as can be: Bayes' rule with a noise rate over one array."""

    catalogue: Catalogue
    probabilities: NDArray[np.float32]
    asked: frozenset[str] = frozenset()
    accepted: tuple[str, ...] = ()
    user: str | None = None
    exchanges: tuple[Exchange, ...] = ()

    @property
    def live(self) -> NDArray[np.int64]:
        """All with a positive probability."""
        return np.flatnonzero(self.probabilities)

    @property
    def live_probabilities(self) -> NDArray[np.float32]:
        """Of `live`."""
        return self.probabilities[self.live]

    @classmethod
    def uniform(cls, catalogue: Catalogue) -> PlainBelief:
        """Every item is as likely as any other."""
        return cls(catalogue, np.full(len(catalogue), 1 / len(catalogue), np.float32))

    def answered(self, attribute: str, yes: bool, noise: float = 0.01) -> PlainBelief:
        """The belief after a yes or no."""
        column = self.catalogue.attributes.position(attribute)
        having = self.catalogue.matrix[:, [column]].toarray().ravel() > 0
        likelihood = np.where(having == yes, 1 - noise, noise)
        accepted = (*self.accepted, attribute) if yes else self.accepted
        said = Exchange("accept" if yes else "reject", (attribute,))
        return self._with(self.probabilities * likelihood, self.asked | {attribute}, accepted, said)

    def without(self, items: tuple[str, ...]) -> PlainBelief:
        """The belief once these items are turned down."""
        left = self.probabilities.copy()
        left[self.catalogue.index.positions(items)] = 0
        return self._with(left, self.asked, self.accepted, Exchange("turned_down", items))

    def _with(self, weights: NDArray, asked: frozenset[str], accepted: tuple[str, ...], said: Exchange) -> PlainBelief:
        total = weights.sum()
        scaled = (weights / total if total else weights).astype(np.float32)
        return PlainBelief(self.catalogue, scaled, asked, accepted, self.user, (*self.exchanges, said))


def cube(colours: int = 5, sizes: int = 5, shapes: int = 5) -> Catalogue:
    """One item for each colour, size and shape; every attribute tells something."""
    rows = [
        {"item_id": f"i{c}{s}{f}", "title": f"{c} {s} {f}", "attributes": [f"colour {c}", f"size {s}", f"shape {f}"]}
        for c in range(colours)
        for s in range(sizes)
        for f in range(shapes)
    ]
    return Catalogue.from_dataset(make_dataset(rows))


class PolicyContract:
    """What `contracts.Policy` promises, tested on a small made catalogue."""

    kind: ClassVar[Callable[[], Policy]]

    def make(self) -> Policy:
        """A new policy; override it where it needs settings."""
        return type(self).kind()

    @pytest.fixture(scope="class")
    def catalogue(self) -> Catalogue:
        return cube()

    @pytest.fixture
    def belief(self, catalogue: Catalogue) -> BeliefView:
        return PlainBelief.uniform(catalogue)

    def test_decides_for_one_of_the_two_actions(self, belief: BeliefView, catalogue: Catalogue) -> None:
        for turn in (1, 2, TURNS - 1, TURNS, 10 * TURNS):
            action = self.make().decide(belief, turn)
            if isinstance(action, Ask):
                assert action.attributes
                assert all(name in catalogue.attributes for name in action.attributes)
                assert len(set(action.attributes)) == len(action.attributes)
                assert action.gain >= 0
            else:
                assert isinstance(action, Recommend)
                assert all(name in catalogue.index for name in action.items)

    def test_decides_alike_for_equal_beliefs(self, belief: BeliefView) -> None:
        assert self.make().decide(belief, 1) == self.make().decide(belief, 1)

    def test_leaves_the_belief_as_it_is(self, belief: BeliefView) -> None:
        before = belief.probabilities.copy()
        self.make().decide(belief, 1)
        assert np.array_equal(belief.probabilities, before)

    def test_never_asks_again(self, catalogue: Catalogue) -> None:
        policy, belief = self.make(), PlainBelief.uniform(catalogue)
        asked: set[str] = set()
        for turn in range(1, 4 * TURNS):
            action = policy.decide(belief, turn)
            if isinstance(action, Recommend):
                belief = belief.without(action.items)
                continue
            assert not asked & set(action.attributes)
            asked |= set(action.attributes)
            for name in action.attributes:
                belief = belief.answered(name, yes=False)

    def test_recommends_when_everything_has_been_asked(self, catalogue: Catalogue) -> None:
        belief = PlainBelief.uniform(catalogue)
        belief.asked = frozenset(catalogue.attributes)
        assert isinstance(self.make().decide(belief, 1), Recommend)

    @pytest.mark.parametrize("k", [1, 3, 10])
    def test_recommends_the_most_probable_items_once_each(self, catalogue: Catalogue, k: int) -> None:
        weights = np.zeros(len(catalogue), np.float32)
        weights[[7, 3, 50]] = [0.5, 0.3, 0.2]
        belief = PlainBelief(catalogue, weights, asked=frozenset(catalogue.attributes))
        action = self.make().decide(belief, 1, k)
        assert isinstance(action, Recommend)
        assert action.items == tuple(catalogue.index.ids[[7, 3, 50]])[:k]

    def test_has_nothing_to_recommend_when_nothing_is_left(self, catalogue: Catalogue) -> None:
        belief = PlainBelief(catalogue, np.zeros(len(catalogue), np.float32))
        assert self.make().decide(belief, 1) == Recommend(())

    def test_finds_what_a_truthful_person_wants(self, catalogue: Catalogue) -> None:
        found = 0
        targets = range(0, len(catalogue), 11)
        for target in targets:
            wanted = catalogue.attributes_of(target)
            belief = PlainBelief.uniform(catalogue).answered(wanted[0], yes=True)
            policy = self.make()
            for turn in range(1, TURNS):
                action = policy.decide(belief, turn)
                if isinstance(action, Recommend):
                    if catalogue.index.ids[target] in action.items:
                        found += 1
                        break
                    belief = belief.without(action.items)
                else:
                    for name in action.attributes:
                        belief = belief.answered(name, name in wanted)
        assert found == len(targets)
