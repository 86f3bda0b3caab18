"""Dialogues as a person reads them: titles, answers, and the path behind each question and list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmrec.agents.conversation.policies.rehearsal import Dialogue
from llmrec.data.catalogue import Catalogue
from llmrec.retrieval.graph import AttributeGraph, Stop

_ANSWERS = {True: "yes", False: "no", None: "don't care"}


def readable(dialogue: Dialogue, catalogue: Catalogue, graph: AttributeGraph) -> dict[str, Any]:
    """`{"user", "wants", "opening", "success", "rank", "steps": [...]}`; a step has `ask` and `answer`, or `show` and
    `accepted` (the rank, 0 for none), and in both cases `left`, the candidates before it, and `path`: of the question,
    or of the accepted (else the first) item."""
    accepted = [dialogue.opening]
    steps: list[dict[str, Any]] = []
    for step in dialogue.steps:
        if step.asked:
            path = graph.question(dialogue.user, accepted[-1], step.asked)
            told: dict[str, Any] = {"ask": step.asked, "answer": _ANSWERS[step.answer]}
            if step.answer:
                accepted.append(step.asked)
        else:
            item = step.shown[max(step.rank - 1, 0)] if step.shown else None
            path = graph.recommendation(dialogue.user, tuple(accepted), item) if item else []
            told = {"show": [_title(catalogue, item) for item in step.shown], "accepted": step.rank}
        steps.append({**told, "left": step.left, "path": _words(path, catalogue)})
    return {
        "user": dialogue.user,
        "wants": _title(catalogue, dialogue.target),
        "opening": dialogue.opening,
        "success": dialogue.success,
        "rank": dialogue.rank,
        "steps": steps,
    }


def _words(path: Sequence[Stop], catalogue: Catalogue) -> list[str]:
    """The stops as words; the person themselves is "you", a friend "user 17"."""
    words = []
    for place, stop in enumerate(path):
        if stop.kind == "user":
            words.append("user " + stop.name if place else "you")
        else:
            words.append(_title(catalogue, stop.name) if stop.kind == "item" else stop.name)
    return words


def _title(catalogue: Catalogue, item_id: str) -> str:
    return catalogue.titles[catalogue.index.position(item_id)] or item_id
