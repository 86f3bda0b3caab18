"""What has changed since the build: items, events and feedback, applied while turns go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from llmrec import pool
from llmrec.agents.assistant.opened import Opened
from llmrec.agents.assistant.people import Happenings
from llmrec.agents.assistant.policies import Policies
from llmrec.agents.assistant.search_door import SearchDoor
from llmrec.agents.assistant.world import LiveWorld
from llmrec.agents.conversation.say import Vocabulary
from llmrec.agents.conversation.understanding import Understanding
from llmrec.agents.memory import Change, StateStore
from llmrec.data import columns as c
from llmrec.data.catalogue import Catalogue
from llmrec.data.columns import POSITIVE_RATING
from llmrec.errors import EngineError, VectorStoreError

logger = logging.getLogger("llmrec.assistant")

FEEDBACK = {"like": c.LIKE, "dislike": c.DISMISS, "seen": c.DISMISS}
"""Kind of feedback to the event that it is for the history: what is seen only is neither liked nor shown again."""


class Live:
    """One opened version of the workspace and all changes of the state store, as a `LiveWorld` that is replaced as a
    whole. Closed once nobody uses it any more."""

    def __init__(self, opened: Opened, world: LiveWorld, understanding: Callable[[Catalogue], Understanding]) -> None:
        """Use `open`."""
        self.opened = opened
        self.world = world
        self._understanding = understanding
        self._sequence = 0
        self._lock = asyncio.Lock()
        self._users = 0
        self._retired = False

    @classmethod
    async def open(
        cls,
        opened: Opened,
        store: StateStore,
        understanding: Callable[[Catalogue], Understanding],
        policies: Policies,
    ) -> Self:
        """Apply the changes kept in `store` and begin to open search in the background."""
        changes = await store.changes_since(0)
        items = _items(changes)
        catalogue = await asyncio.to_thread(_upserted, opened.catalogue, items)
        reader = await asyncio.to_thread(understanding, catalogue)
        has_model = "ease" in opened.recommenders
        world = LiveWorld(
            catalogue=catalogue,
            words=Vocabulary.of(opened.name, catalogue),
            policies=policies,
            reader=reader,
            search=SearchDoor(opened.open_search, opened.embedder.load, catalogue, [str(row[c.ITEM]) for row in items]),
            people=opened.people,
            happenings=Happenings(),
            model=await asyncio.to_thread(opened.recommender, "ease") if has_model else None,
        )
        live = cls(opened, world, understanding)
        live._take(changes)
        return live

    async def refresh(self, store: StateStore) -> None:
        """Apply what has changed since, here or in another process."""
        if not await store.changes_since(self._sequence):
            return
        async with self._lock:
            changes = await store.changes_since(self._sequence)
            items = _items(changes)
            if items:
                world = self.world
                catalogue = await pool.run(_upserted, world.catalogue, items)
                try:
                    await world.search.upsert(catalogue, [str(row[c.ITEM]) for row in items])
                except (VectorStoreError, EngineError) as error:
                    logger.warning("search does not know the changed items until the next start: %s", error)
                # Names take longest, so they are indexed outside of the pool that turns wait for.
                reader = await asyncio.to_thread(self._understanding, catalogue)
                self.world = replace(world, catalogue=catalogue, reader=reader)
            self._take(changes)

    def _take(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind == "event":
                self.world.happenings.add(change.data["user_id"], change.data["item_id"], change.data["event"])
            elif change.kind == "feedback" and change.data["user"] and change.data["kind"] in FEEDBACK:
                event = FEEDBACK[change.data["kind"]]
                self.world.happenings.add(change.data["user"], change.data["item_id"], event)
        if changes:
            self._sequence = changes[-1].sequence

    # --- Switching ----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        if self._retired and not self._users:
            await self._close()

    async def retire(self) -> None:
        """Close it now, or when the last turn that uses it ends."""
        self._retired = True
        if not self._users:
            await self._close()

    async def _close(self) -> None:
        await self.world.search.aclose()
        self.opened.close()


def event_kind(row: Mapping[str, Any]) -> str:
    """The event of a row: bad ratings and labels are dismissals."""
    rating, label = row.get(c.RATING), row.get(c.LABEL)
    if label == 0 or (rating is not None and float(rating) <= POSITIVE_RATING):
        return c.DISMISS
    return str(row.get(c.EVENT) or c.LIKE)


def _items(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [change.data for change in changes if change.kind == "item"]


def _upserted(catalogue: Catalogue, rows: Sequence[dict[str, Any]]) -> Catalogue:
    return catalogue.upsert(rows) if rows else catalogue
