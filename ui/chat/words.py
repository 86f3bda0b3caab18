"""Acts in the words of the person who clicks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmrec.acts import Act, ActKind
from llmrec.filters import Filter

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
    ActKind.EXPLAIN: "Why {}?",
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
_OPERATORS = {"<=": "at most", ">=": "at least", "<": "below", ">": "above", "=": "", "!=": "not"}


class Words:
    """Says acts; `attribute` and `item` turn a name and an id into what people call them."""

    def __init__(self, attribute: Callable[[str], str], item: Callable[[str], str]) -> None:
        self.attribute, self.item = attribute, item

    def say(self, acts: Sequence[Act]) -> str:
        """The sentence that stands in the person's bubble after a click."""
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
        if act.filter is not None:
            return bound(act.filter)
        if act.item_id is not None:
            return self.item(act.item_id)
        if act.value and act.kind in (ActKind.ACCEPT, ActKind.REJECT, ActKind.DONT_CARE):
            return self.attribute(act.value)
        return act.value or ""

    def _one(self, act: Act) -> str:
        about = self.about(act)
        if act.remove:
            return f"Forget: {about or _PLAIN.get(act.kind, act.kind.value)}"
        if act.kind is ActKind.FILTER:
            return f"Only: {about}"
        if about and act.kind in _ABOUT:
            return _ABOUT[act.kind].format(about)
        return _PLAIN.get(act.kind, act.kind.value)


def bound(condition: Filter) -> str:
    """`price<=100` is "price at most 100", `brand!=HP` is "not HP"."""
    words = _OPERATORS[condition.operator]
    if condition.field in ("price", "year"):
        return " ".join(filter(None, (condition.field, words, f"{float(condition.value):g}")))
    return f"{words} {condition.value}".strip()
