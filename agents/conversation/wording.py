"""The sentences of an answer, from what was decided: facts first, then words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation import say
from llmrec.agents.conversation.decide import Decision
from llmrec.agents.conversation.fold import Record, has
from llmrec.agents.conversation.weigh import Weighed
from llmrec.agents.conversation.world import World
from llmrec.agents.memory import MemoryEntry
from llmrec.turn import Question, RecommendedItem

_NAMED = 5
"""Titles in a sentence; the rest is on the cards."""
_BRIEF_CELL = 30
_UNSAID = (ActKind.SEARCH, ActKind.MORE_LIKE)


@dataclass
class Facts:
    """All that an answer may speak of."""

    acts: Sequence[Act]
    text: str
    first: bool
    """Whether the conversation begins."""
    unknown: Sequence[str] = ()
    """Names that the person used and that do not exist (any more)."""
    undone: Record | None = None
    memory: Sequence[MemoryEntry] = ()
    """What is remembered, where the person asked for it."""
    user: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


def words(
    world: World,
    facts: Facts,
    weighed: Weighed,
    decision: Decision,
    items: list[RecommendedItem],
    question: Question | None,
) -> str:
    """The whole answer in plain text."""
    parts = [
        *_replies(world, facts, items),
        *_notes(world, facts, weighed),
        *_offer(world, facts, weighed, decision, items),
    ]
    if question is not None:
        parts.append(question.text)
        if decision.kind == "ask" and items:
            parts.append(f"My best guesses so far: {say.listed(_titles(items))}.")
    return " ".join(part for part in parts if part)


def _replies(world: World, facts: Facts, items: list[RecommendedItem]) -> list[str]:
    """What the person asked of the agent."""
    replies = []
    for kind in dict.fromkeys(act.kind for act in facts.acts):
        if kind == ActKind.UNDO:
            replies.append(_undone(world, facts.undone))
        elif kind == ActKind.RESET:
            replies.append("We start over.")
        elif kind == ActKind.SMALL_TALK:
            replies.append("Hello!" if facts.first else "Happy to help.")
        elif kind == ActKind.MEMORY:
            replies.append(_memory(world, facts))
        elif kind == ActKind.COMPARE:
            replies.append(_compared(facts))
        elif kind == ActKind.EXPLAIN:
            replies.append(_explained(items))
        elif kind == ActKind.WHY:
            replies.append(facts.data.get("why") or "I have not asked anything yet.")
    if not facts.acts:
        replies.append(_not_understood(world, facts))
    return replies


def _undone(world: World, undone: Record | None) -> str:
    if undone is None:
        return "There is nothing to take back."
    what = say.said(undone.acts, world.catalogue)
    return f"Taken back: {what}." if what else "I took back the last step."


def _memory(world: World, facts: Facts) -> str:
    if not facts.user:
        return "You are anonymous, so I remember nothing beyond this conversation."
    verb = next(act.value for act in facts.acts if act.kind == ActKind.MEMORY)
    if verb == "delete":
        return "I have forgotten everything that I remembered about you."
    if not facts.memory:
        return "I remember nothing about you yet."
    if verb == "export":
        return f"Here is all that I remember about you: {len(facts.memory)} entries."
    return f"I remember: {remembered(world, facts.memory)}."


def remembered(world: World, entries: Sequence[MemoryEntry], most: int = 6) -> str:
    """Memory entries in words, newest first."""
    verbs = {"like": "you like", "dislike": "not", "seen": "you know", "accept": "you like", "reject": "not"}
    shown = [f"{verbs[entry.kind]} “{memory_label(world, entry)}”" for entry in reversed(entries)]
    return say.listed([*shown[:most], *([f"{len(shown) - most} more"] if len(shown) > most else [])])


def memory_label(world: World, entry: MemoryEntry) -> str:
    """The title or attribute that an entry is about."""
    if entry.item_id is not None:
        return say.title(world.catalogue, entry.item_id)
    return say.label(world.catalogue, entry.attribute or "")


def _compared(facts: Facts) -> str:
    table = facts.data.get("comparison")
    if not table or len(table["titles"]) < 2:
        return "There are no two things to compare: name them, or let me show you some."
    differing = [row for row in table["rows"] if not row["same"]]
    brief = [row for row in differing if max(map(len, row["cells"])) <= _BRIEF_CELL][:2]
    if differing and not brief:
        return f"Here are {say.listed(say.quoted(table['titles']))} side by side."
    if not brief:
        return f"As far as the catalogue tells, {say.listed(say.quoted(table['titles']))} do not differ."
    told = []
    for row in brief:
        cells = (f"{cell or '–'} ({name})" for name, cell in zip(table["titles"], row["cells"], strict=True))
        told.append(f"{row['name']}: {', '.join(cells)}")
    return f"They differ in {'; '.join(told)}."


def _explained(items: list[RecommendedItem]) -> str:
    if not items:
        return "I have not recommended anything yet."
    named = zip(_titles(items[:3]), items[:3], strict=True)
    return " ".join(f"{name}: {item.reason or 'it fits best what is known so far.'}" for name, item in named)


def _not_understood(world: World, facts: Facts) -> str:
    if facts.unknown:
        return ""
    if facts.first or not facts.text.strip():
        return "Hello!" if facts.first else ""
    return f"I did not get that: name {world.words.many} or qualities that you like, or answer the question."


def _notes(world: World, facts: Facts, weighed: Weighed) -> list[str]:
    """How the person was understood, and what could not be done."""
    notes = []
    noted = say.said((act for act in facts.acts if act.kind not in _UNSAID), world.catalogue)
    if noted:
        notes.append(f"Noted: {noted}.")
    if facts.unknown:
        names = say.listed(say.quoted(map(say.plain, facts.unknown)))
        notes.append(f"{names} {'is' if len(facts.unknown) == 1 else 'are'} not in the catalogue.")
    if weighed.relaxed:
        bounds = say.listed(map(say.bound, weighed.relaxed))
        notes.append(f"Nothing else fits with {bounds}, so I left that out.")
    return notes


def _offer(world: World, facts: Facts, weighed: Weighed, decision: Decision, items: list[RecommendedItem]) -> list[str]:
    if decision.kind != "list":
        return []
    if not items:
        if not len(world.catalogue):
            return ["The catalogue is empty, so there is nothing to recommend yet."]
        left = f"There are no {world.words.many} left that you have not seen or turned down"
        return [f"{left}: take something back, or start over."]
    again = "That was all, so here is the beginning again." if decision.again else ""
    names = say.listed(_titles(items[:_NAMED]))
    rest = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    what = say.count(len(items), world.words)
    searched = next((act.value for act in facts.acts if act.kind == ActKind.SEARCH and not act.remove), None)
    if searched:
        query = say.plain(searched)
        head = f"For “{query}” I found" if weighed.found else f"I found nothing for “{query}”; the closest I have:"
        return [again, f"{head} {names}{rest}."]
    like = next((act.item_id for act in facts.acts if act.kind == ActKind.MORE_LIKE and not act.remove), None)
    if like:
        return [again, f"More like “{say.title(world.catalogue, like)}”: {names}{rest}."]
    if has(facts.acts, ActKind.RESULTS):
        return [again, f"Here {'is' if len(items) == 1 else 'are'} {what}: {names}{rest}."]
    return [again, say.offer([say.plain(item.title) or "this one" for item in items[:_NAMED]], len(items))]


def _titles(items: Sequence[RecommendedItem]) -> list[str]:
    return say.quoted(say.plain(item.title) or "this one" for item in items)
