"""The parts of an answer: cards with their paths, the question, comparison tables, the preference panel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation import say
from llmrec.agents.conversation.belief import Belief, items_with
from llmrec.agents.conversation.fold import State
from llmrec.agents.conversation.paths import Explainer, Ties
from llmrec.agents.conversation.world import World
from llmrec.agents.memory import MemoryEntry
from llmrec.data.catalogue import Catalogue
from llmrec.turn import Preference, Question, RecommendedItem

COMPARED = 4
"""Items side by side."""
_DESCRIPTION = 300
_MOST_FACETS = 12
MEMORY_ACTS = {
    "like": ActKind.LIKE_ITEM,
    "dislike": ActKind.REJECT_ITEM,
    "seen": ActKind.SEEN,
    "accept": ActKind.ACCEPT,
    "reject": ActKind.REJECT,
}
"""Kind of memory entry to the act that says the same."""


def cards(
    world: World,
    state: State,
    user: str | None,
    scores: Mapping[str, float],
    liked: Sequence[str] = (),
    found: frozenset[int] = frozenset(),
) -> list[RecommendedItem]:
    """The items of `scores` with facts, path and reason; ids that have vanished are left out.

    `liked` are items that the person likes, `found` the positions that a search has found.
    """
    catalogue = world.catalogue
    ids = [item_id for item_id in scores if item_id in catalogue.index]
    if not ids:
        return []
    explainer = Explainer(catalogue, world.words, state, user, found)
    ties = world.ties(liked, ids) if liked else Ties((), np.zeros((0, len(ids)), np.float32))
    shown = []
    for column, item_id in enumerate(ids):
        at = catalogue.index.position(item_id)
        why = explainer.explain(item_id, column, ties, world.is_popular(at))
        facts = card_facts(catalogue, item_id)
        shown.append(RecommendedItem(**facts, score=scores[item_id], path=why.path, reason=why.reason))
    return shown


def card_facts(catalogue: Catalogue, item_id: str) -> dict[str, Any]:
    """The catalogue's facts for a `RecommendedItem`."""
    facts = catalogue.item(item_id)
    facts.pop("available")
    if len(facts["description"]) > _DESCRIPTION:
        facts["description"] = facts["description"][:_DESCRIPTION].rsplit(" ", 1)[0] + "…"
    return facts


def question(
    world: World, belief: Belief, state: State, user: str | None, attributes: Sequence[str]
) -> Question | None:
    """The question about `attributes`; None where there are none (any more)."""
    catalogue, words = world.catalogue, world.words
    attributes = [name for name in attributes if name in catalogue.attributes]
    if not attributes:
        return None
    labels = {name: say.label(catalogue, name) for name in attributes}
    if len(attributes) == 1:
        text = say.question(attributes[0], words)
        share = float(belief.probabilities[items_with(catalogue, attributes[0])].sum())
        why = (
            f"About {share:.0%} of what fits so far has “{say.value_of(attributes[0])}”, "
            "so a yes or a no tells more than any other question."
        )
    else:
        text = f"Which of these: {say.listed(say.quoted(map(say.value_of, attributes)), 'or')}?"
        why = "Any of these narrows down what fits so far."
    explainer = Explainer(catalogue, words, state, user, frozenset())
    path = explainer.question(attributes[0], belief.probabilities)
    return Question(text=text, choices=attributes, labels=labels, why=why, path=path)


def comparison(catalogue: Catalogue, state: State, ids: Sequence[str]) -> dict[str, Any]:
    """A table of facts: `titles`, and `rows` of `name`, `cells` and whether all are the `same`; differences first."""
    items = [catalogue.item(item_id) for item_id in ids]
    facets: dict[str, list[list[str]]] = {}
    for place, item in enumerate(items):
        for name in item["attributes"]:
            facet, _, value = name.partition(": ")
            if not value:
                facet, value = "about", facet
            if facet != "brand":
                facets.setdefault(facet, [[] for _ in items])[place].append(say.plain(value))
    rows = [
        _row("brand", [item["brand"] for item in items]),
        _row("year", [str(item["year"] or "") for item in items]),
        _row("price", ["" if item["price"] is None else f"{item['price']:,.2f}" for item in items]),
    ]
    shared = sorted(facets.items(), key=lambda facet: -sum(bool(cell) for cell in facet[1]))[:_MOST_FACETS]
    rows += [_row(facet, [", ".join(cell[:8]) for cell in cells]) for facet, cells in shared]
    if wanted := state.kept(ActKind.ACCEPT):
        had = [[say.value_of(name) for name in wanted if name in item["attributes"]] for item in items]
        rows.append(_row("you asked for", [", ".join(names) or "–" for names in had]))
    rows = [row for row in rows if any(row["cells"])]
    return {
        "item_ids": list(ids),
        "titles": [say.title(catalogue, item_id) for item_id in ids],
        "rows": sorted(rows, key=lambda row: row["same"]),
    }


def _row(name: str, cells: list[str]) -> dict[str, Any]:
    return {
        "name": say.plain(name),
        "cells": [say.plain(c) for c in cells],
        "same": len(cells) > 1 and len(set(cells)) == 1,
    }


def preferences(catalogue: Catalogue, state: State, memory: Iterable[MemoryEntry]) -> list[Preference]:
    """Everything that is gone by, each entry with the act that withdraws it once `remove` is set."""
    acts = [Act(kind=kind, value=name) for name, kind in state.answers.items()]
    acts += [Act(kind=kind, item_id=name) for name, kind in state.items.items() if name in catalogue.index]
    if state.query:
        acts.append(Act(kind=ActKind.SEARCH, value=state.query))
    acts += [Act(kind=ActKind.FILTER, filter=condition) for condition in state.filters]
    shown = [Preference(act=act, label=say.about(act, catalogue)) for act in acts]
    for entry in memory:
        if entry.target not in state.items and entry.target not in state.answers:
            act = Act(kind=MEMORY_ACTS[entry.kind], item_id=entry.item_id, value=entry.attribute)
            if entry.item_id is None or entry.item_id in catalogue.index:
                shown.append(Preference(act=act, label=say.about(act, catalogue), source="memory"))
    return shown
