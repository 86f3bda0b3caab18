"""What a policy may learn from before it is measured or put to work.

A policy that learns is constructed by name (`plugins.load("llmrec.policies", name)(config)`) and has, beside
`contracts.Policy`, the methods of `Learner`. One that only decides works too: its beliefs begin as `begin` has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from llmrec.agents.conversation.belief import Belief
from llmrec.contracts import Action, BeliefView, Config, Policy, Progress, no_progress
from llmrec.data.catalogue import Catalogue
from llmrec.data.dataset import Dataset
from llmrec.retrieval.graph import AttributeGraph


class Person(Protocol):
    """Somebody in a dialogue who knows what they want. Only lessons may look at `wants`."""

    user: str
    opening: str
    """The attribute that they name at the start; always true."""

    def wants(self, action: int = 1) -> Sequence[str]:
        """The items that satisfy them at an action."""
        ...

    def answer(self, attribute: str, action: int) -> bool | None:
        """Whether they want `attribute`; None for "don't care". `action` counts from 1."""
        ...

    def accepts(self, items: Sequence[str], action: int) -> int:
        """The rank, from 1, of the first item that satisfies them; 0 if none does."""
        ...


@dataclass(frozen=True, eq=False)
class Ground:
    """What a policy that has learnt stands on."""

    catalogue: Catalogue
    graph: AttributeGraph
    """Of the train interactions alone."""


@dataclass(frozen=True, eq=False)
class Lessons(Ground):
    """Everything that may be learnt from: nothing of it is ever measured on."""

    train: Dataset
    """The interactions that priors, embeddings and the graph are fitted on."""
    people: Sequence[Person]
    """Validation dialogues, with the simulator and the candidates of the evaluation."""
    actions: int = 14
    """Actions of a dialogue after its opening."""
    unseen: bool = False
    """Whether the items of a user's train events are no candidates."""

    def candidates(self, user: str | None) -> NDArray[np.bool_]:
        """Items (n,) that may be the target."""
        mask = self.catalogue.available.copy()
        if self.unseen and user is not None:
            mask[self.graph.interact.of(self.graph.users.position(user))] = False
        return mask


@runtime_checkable
class Learner(Protocol):
    """A policy that learns. `learn` is called once, on a new policy; `save` keeps what it learnt."""

    config_type: ClassVar[type[Config]]
    needs_lessons: ClassVar[bool]
    """Whether it cannot decide before it has learnt."""
    config: Config

    def learn(self, lessons: Lessons, progress: Progress = no_progress) -> Self:
        """Learn from `lessons`, which may be kept (the catalogue, the graph) but not saved."""
        ...

    def begin(self, user: str | None) -> Belief:
        """What is believed of `user` before anything is said."""
        ...

    def decide(self, belief: BeliefView, turn: int, k: int = 10) -> Action:
        """See `contracts.Policy`."""
        ...

    def save(self, folder: Path) -> None:
        """Write config and arrays (JSON, npz, safetensors) into an existing folder."""
        ...

    @classmethod
    def load(cls, folder: Path, ground: Ground) -> Self:
        """Read what `save` wrote, for the same catalogue and train interactions."""
        ...


def begin(policy: Policy, lessons: Lessons, person: Person) -> Belief:
    """The belief at a person's first action: what the policy believes of them, and the opening, which is certain."""
    belief = policy.begin(person.user) if isinstance(policy, Learner) else Belief.start(lessons.catalogue)
    return belief.within(lessons.candidates(person.user)).open(person.opening)
