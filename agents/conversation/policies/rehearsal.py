"""One dialogue of a policy with a person who knows what they want, action by action: in lessons and in evaluation."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from llmrec.agents.conversation.belief import Belief
from llmrec.agents.conversation.policies.lessons import Person
from llmrec.contracts import Ask, Policy

ACTIONS = 14
"""Actions after the opening, which takes the first of the 15 steps of the protocol."""
LIST = 10
"""Items of one recommendation."""


@dataclass(frozen=True)
class Step:
    """One action and its answer."""

    asked: str = ""
    answer: bool | None = None
    shown: tuple[str, ...] = ()
    rank: int = 0
    """Of the accepted item, from 1; 0 where all were turned down."""
    left: int = 0
    """Candidates that agree with the most answers, before the action."""
    seconds: float = 0.0
    """Time that the policy took to decide."""


@dataclass
class Dialogue:
    """What was said, and how it ended."""

    user: str
    target: str
    opening: str
    steps: list[Step] = field(default_factory=list)

    @property
    def success(self) -> int:
        """The action at which an item was accepted, from 1; 0 for a failure."""
        return len(self.steps) if self.steps and self.steps[-1].rank else 0

    @property
    def rank(self) -> int:
        """Of the accepted item; 0 for a failure."""
        return self.steps[-1].rank if self.steps else 0


def talk(policy: Policy, person: Person, belief: Belief, actions: int = ACTIONS) -> Dialogue:
    """`policy` talks to `person`, beginning from `belief`, until an item is accepted or `actions` are over.

    A question is about one attribute (the first, where a policy offers several); a recommendation shows at most
    `LIST` items.
    """
    dialogue = Dialogue(person.user, person.wants()[0], person.opening)
    for action in range(1, actions + 1):
        left = belief.candidates_left
        started = time.perf_counter()
        decision = policy.decide(belief, action, LIST)
        seconds = time.perf_counter() - started
        if isinstance(decision, Ask):
            attribute = decision.attributes[0]
            answer = person.answer(attribute, action)
            dialogue.steps.append(Step(asked=attribute, answer=answer, left=left, seconds=seconds))
            belief = belief.answer(attribute, answer)
        else:
            shown = decision.items[:LIST]
            rank = person.accepts(shown, action)
            dialogue.steps.append(Step(shown=shown, rank=rank, left=left, seconds=seconds))
            if rank:
                break
            belief = belief.turn_down(shown)
    return dialogue
