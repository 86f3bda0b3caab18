"""`Assistant`: one workspace as the agent that the API, the chat page, the command line and the evaluation speak to."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from llmrec import pool
from llmrec.agents.assistant import recommend as picking
from llmrec.agents.assistant.language import Language
from llmrec.agents.assistant.live import FEEDBACK, Live, event_kind
from llmrec.agents.assistant.opened import Opened
from llmrec.agents.assistant.own import own_model
from llmrec.agents.assistant.policies import Policies
from llmrec.agents.conversation.conversation import Conversations
from llmrec.agents.conversation.understanding import Understanding
from llmrec.agents.memory import Event, Feedback, MemoryEntry, StateStore
from llmrec.contracts import Message, Who
from llmrec.data import columns as c
from llmrec.data.catalogue import Catalogue
from llmrec.errors import LlmrecError, UnknownName, UserError
from llmrec.filters import Filter
from llmrec.settings import Settings
from llmrec.turn import RecommendedItem, Turn, TurnEvent, TurnRequest
from llmrec.workspace import Workspace

logger = logging.getLogger("llmrec.assistant")

_SWITCH_PAUSE = 10.0
"""Seconds before a new build that could not be opened is tried again."""


class Assistant:
    """An opened workspace with its state. Every call sees all changes made before it, also by other processes.

    Memory and conversations belong to an owner (a namespace, see `TurnRequest`) and a user; `user` None is anonymous.
    """

    def __init__(self, live: Live, store: StateStore, settings: Settings, language: Language | None) -> None:
        """Use `open`."""
        self.settings = settings
        self.language = language
        """The language model, None where there is none."""
        self.training = ""
        """What is trained beside this, and how far it is, for `health`; whoever trains writes it."""
        self.answered = asyncio.Event()
        """Set once a turn has been answered."""
        self._live, self._store = live, store
        self._conversations = Conversations(store)
        self._switching: asyncio.Task[None] | None = None
        self._next_switch = 0.0
        self._leaving: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, workspace: Workspace | Path | str, settings: Settings | None = None) -> Self:
        """Open a workspace; takes over a `Workspace` that is given. Search opens in the background.

        Raises `UserError` where there is no workspace or a setting is wrong, `WorkspaceError` for a damaged one,
        `StateError` where state cannot be read.
        """
        view = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace)
        settings = settings or Settings.load(view.path)
        opened = await asyncio.to_thread(Opened.open, view, settings)
        store: StateStore | None = None
        language: Language | None = None
        try:
            if not settings.state:
                view.state_folder  # noqa: B018 (makes it)
            store = await StateStore.open(settings.state_uri(view.path))
            language = await asyncio.to_thread(Language.of, view, settings)
            policies = Policies(settings.policy, view, opened.catalogue)
            live = await Live.open(opened, store, _understanding(settings, language), policies)
        except BaseException:
            opened.close()
            if store is not None:
                await store.aclose()
            if language is not None:
                await language.aclose()
            raise
        return cls(live, store, settings, language)

    async def aclose(self) -> None:
        """Close everything; turns that have begun should have ended."""
        if self._switching is not None:
            await asyncio.wait([self._switching])
        await self._live.retire()
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        if self.language is not None:
            await self.language.aclose()
        await self._store.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # --- Conversations ------------------------------------------------------------------------------------------------

    async def turn(self, request: TurnRequest) -> Turn:
        """Answer one message or some clicks. `UnknownName` for a thread that this user does not have."""
        async with aclosing(self.stream(request)) as events:
            async for event in events:
                if event.turn is not None:
                    return event.turn
        raise AssertionError("a stream ends with its turn")

    async def stream(self, request: TurnRequest) -> AsyncGenerator[TurnEvent]:
        """The same as events: stages as they end, text as it comes, the turn last."""
        async with (
            self._current() as live,
            aclosing(self._conversations.stream(request, live.world)) as events,
        ):
            async for event in events:
                if event.turn is not None:
                    self.answered.set()
                yield event

    async def turn_from_transcript(
        self, messages: Sequence[Message], user: str | None = None, owner: str = "", policy: str = ""
    ) -> Turn:
        """Answer the last message of a client that keeps no thread; see `Conversations.from_transcript`."""
        async with self._current() as live:
            turn = await self._conversations.from_transcript(
                messages, live.world, owner=owner, user=user, policy=policy
            )
        self.answered.set()
        return turn

    async def history(self, owner: str, user: str | None, thread: str) -> list[tuple[TurnRequest, Turn]]:
        """All turns of a conversation, oldest first; `UnknownName` where this user has none of this name."""
        return await self._store.history(owner, user, thread)

    async def policies(self) -> list[str]:
        """Names of the policies that can decide a turn at present, the default first."""
        async with self._current() as live:
            return await pool.run(live.world.policies.ready)

    # --- Recommendations and search -----------------------------------------------------------------------------------

    async def recommend(
        self, users: Sequence[Who], k: int = 10, *, filters: Sequence[Filter] = (), recommender: str | None = None
    ) -> list[list[RecommendedItem]]:
        """The k best unseen items for each known user, history (a new user) or [] (anonymous), with their paths.

        Without a `recommender` it is the blend of all, which also finds new items by their content.
        """
        async with self._current() as live:
            names = [name for name in picking.BLENDED if name in live.opened.recommenders]
            if recommender not in (None, "blend"):
                names = [recommender]
            models = {name: await asyncio.to_thread(live.opened.recommender, name) for name in names}
            return [await pool.run(picking.recommend, live.world, who, k, filters, models) for who in users]

    async def search(
        self, query: str, k: int = 10, filters: Sequence[Filter] = (), user: str | None = None
    ) -> list[RecommendedItem]:
        """The k best items for free text; `user` makes the order personal."""
        async with self._current() as live:
            search = await live.world.search.wait()
            hits = await search.search(query, picking.search_depth(k, user), filters)
            return await pool.run(picking.found, live.world, query, hits, k, user)

    async def similar(self, item_id: str, k: int = 10) -> list[RecommendedItem]:
        """The k items most similar to one; raises `UnknownName`."""
        async with self._current() as live:
            return await pool.run(picking.similar, live.world, item_id, k)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (n, d) of the workspace's text model."""
        return await pool.run(self._live.opened.embedder.embed, list(texts))

    async def rerank(self, query: str, documents: Sequence[str], user: str | None = None) -> list[float]:
        """Relevance of each document, higher is better; a document that is an item id stands for that item, and items
        are mixed with the taste of `user`."""
        async with self._current() as live:
            catalogue = live.world.catalogue
            index = catalogue.index
            names = [document if document in index else "" for document in documents]
            texts = [
                catalogue.text([index.position(name)])[0] if name else document
                for name, document in zip(names, documents, strict=True)
            ]
            vectors = await self.embed([query, *texts])
            return await pool.run(picking.rerank, live.world, vectors[0], vectors[1:], names, user)

    # --- Catalogue and people -----------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self._live.opened.name

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue as it is now."""
        return self._live.world.catalogue

    @property
    def workspace(self) -> Workspace:
        """The workspace that is open."""
        return self._live.opened.workspace

    def item(self, item_id: str) -> dict[str, Any]:
        """Facts about one item; raises `UnknownName`."""
        return self.catalogue.item(item_id)

    def users(self, limit: int = 50) -> list[str]:
        """Some users: those of the build in order of first appearance, then new ones."""
        world = self._live.world
        return list(dict.fromkeys((*world.people.users, *world.happenings.users)))[:limit]

    def knows(self, user: str) -> bool:
        """Whether there are events of this user."""
        return bool(self._live.world.seen(user))

    def starters(self, user: str | None = None) -> list[str]:
        """What one could say first."""
        return picking.starters(self._live.world, user)

    def health(self) -> dict[str, Any]:
        """Whether turns can be answered, and with what."""
        world, opened = self._live.world, self._live.opened
        search = "ready" if world.search.ready is not None else world.search.problem or "opening"
        language = self.language
        return {
            "ready": not world.search.problem,
            "name": self.name,
            "items": len(world.catalogue),
            "users": len(world.people.users),
            "recommenders": opened.recommenders,
            "search": search,
            "language_model": {"name": language.name, "state": language.state} if language else None,
            "training": self.training,
        }

    async def upsert_items(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Change or add items; a row changes only the columns that it names. Returns how many items there were.

        Raises `DataError` for malformed rows, and then changes nothing.
        """
        changes = [dict(row) for row in rows]
        await pool.run(self.catalogue.upsert, changes)
        count = await self._store.upsert_items(changes)
        await self._live.refresh(self._store)
        return count

    async def add_events(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Append interactions (columns as in an interactions file); returns how many are new. They count at once."""
        events = []
        for number, row in enumerate(rows, 1):
            facts = {name: row[name] for name in (c.USER, c.ITEM, c.TIMESTAMP) if row.get(name) is not None}
            try:
                events.append(Event(**facts, event=event_kind(row)))
            except (ValidationError, TypeError, ValueError) as error:
                raise UserError(f"event {number} cannot be read: {_first_problem(error)}") from None
        count = await self._store.add_events(events)
        await self._live.refresh(self._store)
        return count

    async def feedback(
        self,
        owner: str,
        user: str | None,
        item_id: str,
        kind: str,
        thread: str | None = None,
        message_id: str | None = None,
    ) -> None:
        """Keep a verdict on an item, one of like, dislike and seen; it reaches the user's history at once."""
        self.item(item_id)
        if kind not in FEEDBACK:
            raise UserError(f"there is no feedback {kind!r}: use {', '.join(FEEDBACK)}")
        verdict = Feedback(owner=owner, user=user, item_id=item_id, kind=kind, thread=thread, message_id=message_id)
        await self._store.add_feedback([verdict])
        await self._live.refresh(self._store)

    # --- Memory -------------------------------------------------------------------------------------------------------

    async def memory(self, owner: str, user: str) -> list[MemoryEntry]:
        """What is remembered of a user, oldest first."""
        return await self._store.memory(owner, user)

    async def remember(
        self, owner: str, user: str, kind: str, value: str | None = None, item_id: str | None = None
    ) -> MemoryEntry:
        """Remember `like`, `dislike` or `seen` of an item, or `accept` or `reject` of the attribute `value`."""
        if item_id is not None:
            self.item(item_id)
        elif value is not None and value not in self.catalogue.attributes:
            raise UnknownName(f"there is no attribute {value!r} in the catalogue")
        try:
            entry = MemoryEntry(owner=owner, user=user, kind=kind, item_id=item_id, attribute=value)  # type: ignore[arg-type]
        except ValidationError as error:
            raise UserError(f"this cannot be remembered: {_first_problem(error)}") from None
        await self._store.remember([entry])
        return entry

    async def forget(self, owner: str, user: str, entry_id: str) -> None:
        """Remove one entry; raises `UnknownName`."""
        await self._store.forget(owner, user, entry_id)

    async def export_memory(self, owner: str, user: str) -> dict[str, Any]:
        """All that is remembered of a user, as JSON values."""
        return await self._store.export(owner, user)

    async def delete_memory(self, owner: str, user: str) -> None:
        """Forget all that `export_memory` shows."""
        await self._store.delete_all(owner, user)
        await self._live.refresh(self._store)

    # --- Keeping up ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _current(self) -> AsyncGenerator[Live]:
        """The live workspace with all changes applied."""
        self.keep_up()
        async with self._live as live:
            await live.refresh(self._store)
            yield live

    def keep_up(self) -> None:
        """Begin to switch where the workspace has been built anew; every turn does this."""
        if self._switching is None and self._live.opened.workspace.changed():
            now = time.monotonic()
            if now >= self._next_switch:
                self._next_switch = now + _SWITCH_PAUSE
                self._switching = asyncio.create_task(self._switch())

    async def _switch(self) -> None:
        """Open the new build while turns go on with the old one, then use it."""
        old, before, language = self._live, self.language, self.language
        try:
            view = await asyncio.to_thread(Workspace.open, old.opened.workspace.path)
            if not self.settings.llm and own_model(view) != own_model(old.opened.workspace):
                language = await asyncio.to_thread(Language.of, view, self.settings)
            opened = await asyncio.to_thread(Opened.open, view, self.settings)
            policies = Policies(self.settings.policy, view, opened.catalogue)
            new = await Live.open(opened, self._store, _understanding(self.settings, language), policies)
            try:
                await new.world.search.wait()
            except LlmrecError:
                await new.retire()
                raise
            self._live, self.language = new, language
            if language is not None and language is not before:
                language.wake()
            await old.retire()
        except LlmrecError as error:
            logger.warning("the workspace was built anew but cannot be used, the old one goes on: %s", error)
        finally:
            unused = before if self.language is language else language
            if unused is not None and unused is not self.language:
                self._leaving.add(task := asyncio.create_task(self._leave(unused)))
                task.add_done_callback(self._leaving.discard)
            self._switching = None

    async def _leave(self, language: Language) -> None:
        """Close a language model once all who asked it have their answer."""
        try:
            await asyncio.sleep(self.settings.llm_timeout)
        finally:
            await language.aclose()


def _understanding(settings: Settings, language: Language | None) -> Callable[[Catalogue], Understanding]:
    """How messages about a catalogue are read."""
    if language is None or not language.instructed:
        return Understanding
    return lambda catalogue: Understanding(
        catalogue, language.engine, timeout=settings.llm_timeout, breaker=language.breaker
    )


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    return str(error)
