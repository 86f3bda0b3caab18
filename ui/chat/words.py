"""Acts in the words of the person who clicks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation import say

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant

_PLAIN = {
    ActKind.RESULTS: "Show me results",
    ActKind.COMPARE: "Compare these",
    ActKind.EXPLAIN: "Why this?",
    ActKind.WHY: "Why this question?",
    ActKind.UNDO: "Undo",
    ActKind.RESET: "Start over",
    ActKind.MEMORY: "What do you remember about me?",
}
_ABOUT = {
    ActKind.ACCEPT: "Yes: {}",
    ActKind.REJECT: "No: {}",
    ActKind.DONT_CARE: "Doesn’t matter: {}",
    ActKind.LIKE_ITEM: "I like {}",
    ActKind.REJECT_ITEM: "Not for me: {}",
    ActKind.SEEN: "Seen: {}",
    ActKind.MORE_LIKE: "More like {}",
    ActKind.SEARCH: "“{}”",
    ActKind.FILTER: "Only: {}",
    ActKind.EXPLAIN: "Why {}?",
    ActKind.COMPARE: "Compare {}",
}
_MARKS = {
    ActKind.ACCEPT: "+",
    ActKind.REJECT: "−",
    ActKind.DONT_CARE: "any",
    ActKind.LIKE_ITEM: "♥",
    ActKind.REJECT_ITEM: "−",
    ActKind.SEEN: "seen",
    ActKind.MORE_LIKE: "like",
    ActKind.SEARCH: "search",
    ActKind.FILTER: "only",
}
_POLICIES = {
    "planner": "I plan ahead, and ask only what brings you to the right thing sooner.",
    "planner-choices": "I plan ahead, and begin with three things at once to say yes or no to.",
    "scpr": "I go from one thing that you like to the next, and have practised when to ask.",
    "max-entropy": "I ask whatever narrows the choice most, until few are left.",
    "abs-greedy": "I never ask, and show my best guesses each time.",
}


class Words:
    """Says acts as the person would; titles and labels are the assistant's."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    def say(self, acts: Sequence[Act]) -> str:
        """The sentence that stands in the person's bubble after a click."""
        if len(acts) > 1 and all(act.kind is ActKind.COMPARE for act in acts):
            return f"Compare these {len(acts)}"
        return " · ".join(self._one(act) for act in acts)

    def understood(self, acts: Sequence[Act]) -> list[tuple[str, str, str]]:
        """How a message was read: (kind, mark, words) of each act that carries something."""
        return [
            (act.kind.value, "removed" if act.remove else _MARKS[act.kind], self.about(act))
            for act in acts
            if act.kind in _MARKS and self.about(act)
        ]

    def about(self, act: Act) -> str:
        """What an act is about: a label, a title, a bound, a query."""
        return say.about(act, self._assistant.catalogue)

    def attribute(self, name: str) -> str:
        """An attribute on a chip."""
        return say.label(self._assistant.catalogue, name)

    def item(self, item_id: str) -> str:
        """A title."""
        return say.title(self._assistant.catalogue, item_id)

    def policy(self, name: str) -> str:
        """What a policy does; of a third party's, its name."""
        return _POLICIES.get(name, name)

    def _one(self, act: Act) -> str:
        about = self.about(act)
        if act.remove:
            return f"Forget: {about or _PLAIN.get(act.kind, act.kind.value)}"
        if about and act.kind in _ABOUT:
            return _ABOUT[act.kind].format(about)
        return _PLAIN.get(act.kind, act.kind.value)
