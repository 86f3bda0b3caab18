"""Simulated people: how somebody answers who wants one held-out item.

Published is the user simulator of Sun and Zhang, Conversational Recommender System (SIGIR 2018), as EAR, SCPR and
UNICORN use it. The others differ from it in one thing each, so that a policy's loss has one cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from llmrec.data.catalogue import Catalogue


@dataclass(frozen=True)
class Simulator:
    """How people answer. What is drawn is drawn for (dialogue, attribute): asking again does not help."""

    name: str
    wrong: float = 0.0
    """Probability that the answer about an attribute is the opposite of the truth."""
    dont_care: float = 0.0
    """Probability that it is "don't care"."""
    changes_before: int = 0
    """The action before which the wanted item becomes another held-out item of the user; 0 for never."""
    several: bool = False
    """Whether any held-out item of the user that has the opening attribute will do; a yes is true of any of them."""


SIMULATORS: Mapping[str, Simulator] = {
    simulator.name: simulator
    for simulator in (
        Simulator("published"),
        Simulator("noise-5", wrong=0.05),
        Simulator("noise-10", wrong=0.10),
        Simulator("noise-20", wrong=0.20),
        Simulator("dont-care", dont_care=0.10),
        Simulator("changed-mind", changes_before=6),
        Simulator("several", several=True),
    )
}


@dataclass(frozen=True)
class Pair:
    """One held-out (user, item): one dialogue."""

    number: int
    """Place among all pairs: what is drawn for it does not depend on which others are measured."""
    user: str
    target: str
    others: tuple[str, ...] = ()
    """The user's other held-out items."""


def pairs_of(targets: Mapping[str, Sequence[str]], count: int = 0, seed: int = 0) -> list[Pair]:
    """Every (user, item) of `targets`; a random `count` of them (in their order) where that is less and not 0.

    Items without any attribute, of which nobody can name one, must have been left out.
    """
    held = [(user, item, items) for user, items in targets.items() for item in items]
    chosen = np.arange(len(held))
    if 0 < count < len(held):
        chosen = np.sort(np.random.default_rng(seed).permutation(len(held))[:count])
    return [
        Pair(int(at), held[at][0], held[at][1], tuple(name for name in held[at][2] if name != held[at][1]))
        for at in chosen
    ]


class SimulatedPerson:
    """Somebody who wants the target of a pair. Satisfies `policies.lessons.Person`."""

    def __init__(self, simulator: Simulator, catalogue: Catalogue, pair: Pair, seed: int = 0) -> None:
        self.simulator, self.pair, self.user = simulator, pair, pair.user
        self._catalogue, self._seed = catalogue, seed
        names = catalogue.attributes_of(catalogue.index.position(pair.target))
        self.opening = names[self._draws(0).integers(len(names))]
        """Drawn uniformly from the attributes of the target."""

    def wants(self, action: int = 1) -> tuple[str, ...]:
        """The items that satisfy them at an action."""
        changes = self.simulator.changes_before
        if changes and action >= changes and self.pair.others:
            return (self.pair.others[self._draws(1).integers(len(self.pair.others))],)
        if self.simulator.several:
            index = self._catalogue.index
            others = [i for i in self.pair.others if self.opening in self._catalogue.attributes_of(index.position(i))]
            return (self.pair.target, *others)
        return (self.pair.target,)

    def answer(self, attribute: str, action: int) -> bool | None:
        """Yes if a wanted item has the attribute, or the opposite; None for "don't care"."""
        column = self._catalogue.attributes.position(attribute)
        if self._careless is not None and self._careless[column]:
            return None
        truth = any(attribute in names for names in self._wanted_attributes(action))
        return truth if self._mistakes is None else bool(truth ^ self._mistakes[column])

    def accepts(self, items: Sequence[str], action: int) -> int:
        """The rank, from 1, of the first wanted item; 0 if there is none. Never a mistake."""
        wanted = self.wants(action)
        return next((rank for rank, item in enumerate(items, start=1) if item in wanted), 0)

    # --- Parts --------------------------------------------------------------------------------------------------------

    def _wanted_attributes(self, action: int) -> list[list[str]]:
        index = self._catalogue.index
        return [self._catalogue.attributes_of(index.position(item)) for item in self.wants(action)]

    def _draws(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, self.pair.number, purpose))

    @cached_property
    def _mistakes(self) -> NDArray[np.bool_] | None:
        if not self.simulator.wrong:
            return None
        return self._draws(2).random(len(self._catalogue.attributes)) < self.simulator.wrong

    @cached_property
    def _careless(self) -> NDArray[np.bool_] | None:
        if not self.simulator.dont_care:
            return None
        return self._draws(3).random(len(self._catalogue.attributes)) < self.simulator.dont_care
