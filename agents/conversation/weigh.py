"""From the state of a conversation to a belief: the one place where evidence gets its weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmrec.acts import ActKind
from llmrec.agents.conversation.belief import Belief, items_with
from llmrec.agents.conversation.fold import State
from llmrec.agents.conversation.world import World
from llmrec.agents.memory import MemoryEntry
from llmrec.data.catalogue import Catalogue
from llmrec.filters import Filter

_LEANS = {ActKind.MORE_LIKE: 5.0, ActKind.LIKE_ITEM: 2.5, ActKind.REJECT_ITEM: -1.5}
"""Log-weight of full similarity to an item that something was said of."""
_REMEMBERED = {"like": 1.0, "dislike": -1.0, "accept": 1.0, "reject": -1.0}
"""The same of what was said in earlier conversations: a habit, not a wish of today."""
_SEARCHING = 0.3
"""Exponent of the prior beside a search: who types words wants what they say before what they usually like."""
_LIKED_TIES = 50


@dataclass(frozen=True)
class Weighed:
    """A belief and what it took to get there."""

    belief: Belief
    liked: tuple[str, ...]
    """Items that the person likes: those said here first, then remembered ones, then the newest of the history."""
    relaxed: tuple[Filter, ...] = ()
    """Filters left out, because nothing would be left with them."""
    found: frozenset[int] = frozenset()
    """Positions that the search found."""


def weigh(
    world: World,
    user: str | None,
    state: State,
    memory: Sequence[MemoryEntry] = (),
    found: NDArray[np.int64] | None = None,
) -> Weighed:
    """The posterior after everything said in `state`; `found` are the positions of its search, best first."""
    catalogue = world.catalogue
    old = [entry for entry in memory if entry.target not in state.items and entry.target not in state.answers]
    said = [*reversed(state.kept(ActKind.MORE_LIKE)), *reversed(state.kept(ActKind.LIKE_ITEM))]
    likes = (*said, *(entry.target for entry in reversed(old) if entry.kind == "like"))
    prior = world.prior(user, likes)
    belief = Belief.start(catalogue, prior * np.float32(_SEARCHING) if state.query else prior, user=user)

    for attribute, kind in state.answers.items():
        if kind == ActKind.ACCEPT:
            belief = belief.accept(attribute)
        elif kind == ActKind.REJECT:
            belief = belief.reject(attribute)
        else:
            belief = belief.skip(attribute)
    for attribute in state.passed:
        belief = belief.skip(attribute)
    strengths = {item_id: _LEANS[kind] for item_id, kind in state.items.items() if kind in _LEANS}
    strengths |= {entry.item_id: _REMEMBERED[entry.kind] for entry in old if entry.item_id and entry.kind != "seen"}
    strengths = {item_id: strength for item_id, strength in strengths.items() if item_id in catalogue.index}
    if strengths:
        belief = belief.lean(world.leaning(strengths), 1)
    for entry in old:
        if entry.attribute is not None:
            having = np.zeros(len(catalogue), np.float32)
            having[items_with(catalogue, entry.attribute)] = 1
            belief = belief.lean(having, _REMEMBERED[entry.kind])
    if found is not None and found.size:
        belief = belief.search(found)

    # A search may be for something known; recommendations are for something new.
    known = [] if state.query else world.seen(user)
    hidden = [*state.items, *(entry.item_id for entry in old if entry.item_id), *known]
    positions = catalogue.index.positions(hidden)
    belief = belief.exclude(positions[positions >= 0])
    belief, relaxed = _filtered(catalogue, belief, state.filters)

    history = reversed(world.history(user)[-_LIKED_TIES:])
    liked = tuple(dict.fromkeys(name for name in (*likes, *history) if name in catalogue.index))
    return Weighed(belief, liked, relaxed, frozenset() if found is None else frozenset(found.tolist()))


def _filtered(catalogue: Catalogue, belief: Belief, filters: Sequence[Filter]) -> tuple[Belief, tuple[Filter, ...]]:
    """The belief within the filters, less as many of the newest as it takes to leave something."""
    for kept in range(len(filters), -1, -1):
        within = belief.within(catalogue.mask(filters[:kept])) if kept else belief
        if within.live.size or not kept:
            return within, tuple(filters[kept:])
    raise AssertionError
