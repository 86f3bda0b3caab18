"""The workspace as a turn sees it, and what remembered items do to a belief."""

from __future__ import annotations

import numpy as np

from llmrec.acts import ActKind
from llmrec.agents.assistant import Assistant
from llmrec.agents.conversation.fold import State
from llmrec.agents.conversation.weigh import weigh
from llmrec.agents.memory import MemoryEntry
from llmrec.agents.memory.records import MemoryKind


def entry(kind: MemoryKind, item_id: str) -> MemoryEntry:
    return MemoryEntry(user="anna", kind=kind, item_id=item_id)


async def test_what_is_said_and_what_is_remembered_of_items_leans_the_belief(assistant: Assistant) -> None:
    world = assistant._live.world
    await world.search.wait()
    said = State(items={"book-0001": ActKind.LIKE_ITEM, "book-0002": ActKind.SEEN})
    old = [entry("like", "book-0003"), entry("dislike", "book-0004"), entry("seen", "book-0005"), entry("like", "gone")]
    belief = weigh(world, None, said, old).belief
    prior = world.prior(None, ("book-0001", "gone", "book-0003"))
    leaning = 2.5 * world.similarity("book-0001") + world.similarity("book-0003") - world.similarity("book-0004")
    assert np.abs(leaning).max() > 0.5
    np.testing.assert_allclose(belief.log_weights[belief.live], (prior + leaning)[belief.live], atol=1e-5)
    assert len(belief.live) == len(world.catalogue) - 5


async def test_years_of_likes_take_no_more_memory_than_one(assistant: Assistant) -> None:
    world = assistant._live.world
    ids = [str(name) for name in world.catalogue.index.ids[:300]]
    for count in range(1, 301):
        world.leaning(dict.fromkeys(ids[count - 1 : count + 3], 1.0))
        world.prior(None, ids[:count][-3:])
    for cache in (world._leanings, world._contents, world._priors):
        assert 0 < len(cache._values) <= 128
