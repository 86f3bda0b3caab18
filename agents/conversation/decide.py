"""What to do next: ask, list, or only answer what was asked of the agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation.belief import Belief
from llmrec.agents.conversation.fold import State, has
from llmrec.contracts import Ask, Policy

LIST = 10
"""Items of a list."""
SHORTLIST = 3
"""Items beside a question: there is always something to look at."""
PATIENCE = 3
"""Questions in a row before people are shown results without asking for them."""

INFORMING = (ActKind.COMPARE, ActKind.EXPLAIN, ActKind.WHY, ActKind.MEMORY, ActKind.SMALL_TALK)
_LISTING = (ActKind.RESULTS, ActKind.MORE_LIKE, ActKind.SEARCH)


@dataclass(frozen=True)
class Decision:
    """The next action."""

    kind: Literal["ask", "list", "inform"]
    attributes: tuple[str, ...] = ()
    """To ask about; beside a list where a search could be narrowed."""
    items: tuple[str, ...] = ()
    """To show, best first."""
    again: bool = False
    """Whether the list starts over, because everything has been shown."""


def decide(policy: Policy, before: State, state: State, acts: Sequence[Act], belief: Belief) -> Decision:
    """`before` is the state that the person answered, `state` the one with their acts."""
    if informing(acts) and (before.asked or before.shown):
        return Decision("inform", before.asked, before.shown)
    listing = any(act.kind in _LISTING and not act.remove for act in acts)
    action = policy.decide(belief, state.turns + 1, LIST)
    ask = isinstance(action, Ask) and state.questions < PATIENCE
    attributes = action.attributes if isinstance(action, Ask) and ask else ()
    if attributes and not listing:
        return Decision("ask", attributes, _ids(belief, SHORTLIST))
    if not has(acts, ActKind.SEARCH):
        attributes = ()
    if not isinstance(action, Ask) and not state.listed:
        return Decision("list", attributes, action.items)
    index = belief.catalogue.index
    skip = [at for name in state.listed if (at := index.position(name)) >= 0]
    items = _ids(belief, LIST, skip)
    if items or not skip:
        return Decision("list", attributes, items)
    return Decision("list", attributes, _ids(belief, LIST), again=True)


def informing(acts: Sequence[Act]) -> bool:
    """Whether acts ask for information only, or nothing was understood."""
    return all(act.kind in INFORMING for act in acts)


def _ids(belief: Belief, k: int, skip: Sequence[int] = ()) -> tuple[str, ...]:
    return tuple(str(name) for name in belief.catalogue.index.ids[belief.top(k, skip)])
