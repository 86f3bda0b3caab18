"""Conversations: turns in order, each one once, stored with its answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any
from weakref import WeakValueDictionary

from llmrec.agents.conversation.graph import Context, build_graph
from llmrec.agents.conversation.world import World
from llmrec.agents.memory import StateStore
from llmrec.contracts import Message
from llmrec.errors import UserError
from llmrec.turn import Stage, Turn, TurnEvent, TurnRequest


class Conversations:
    """All conversations in one state store. A thread belongs to one owner and user; nobody else can reach it."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        graph = build_graph()
        self._graph = graph.compile(checkpointer=store.checkpointer())
        self._dry = graph.compile()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def turn(self, request: TurnRequest, world: World) -> Turn:
        """The answer to one message."""
        return await _last(self.stream(request, world))

    async def stream(self, request: TurnRequest, world: World) -> AsyncGenerator[TurnEvent]:
        """Stages as they end, text as it comes, the turn last. Turns of one thread wait for each other.

        A message id that was answered before gets the stored answer again. Raises `UnknownName` for a thread that
        this user does not have.
        """
        if request.message_id is not None:
            stored = await self._store.stored_turn(request.owner, request.user, request.thread, request.message_id)
            if stored is not None:
                yield TurnEvent(kind="text", text=stored.text)
                yield TurnEvent(kind="turn", turn=stored)
                return
        context = Context(
            world,
            self._store,
            thread=request.thread or uuid.uuid4().hex,
            message_id=request.message_id or uuid.uuid4().hex,
            continues=request.thread is not None,
        )
        async with aclosing(self._answer(request, context)) as events:
            async for event in events:
                yield event

    async def _answer(self, request: TurnRequest, context: Context) -> AsyncGenerator[TurnEvent]:
        key = self._store.checkpoint_id(request.owner, request.user, context.thread)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            config = {"configurable": {"thread_id": key}}
            async for event in _run(self._graph, {"request": request}, context, config):
                if event.turn is not None:
                    turn = await self._store.save_turn(request, event.turn)
                    event = TurnEvent(kind="turn", turn=turn)
                yield event

    async def from_transcript(
        self,
        messages: Sequence[Message],
        world: World,
        *,
        owner: str = "",
        user: str | None = None,
        policy: str = "",
    ) -> Turn:
        """The answer to the last of `messages` (which must be the person's), for clients without a thread.

        The transcript before it is looked up by its hash; where it was not said here, it is replayed first, without
        side effects.
        """
        talk = [message for message in messages if message.role != "system"]
        if not talk or talk[-1].role != "user":
            raise UserError("the last message of a transcript must be the user's")
        *past, last = talk
        thread, log = await self._past(past, world, owner, user, policy)
        request = TurnRequest(owner=owner, user=user, thread=thread, text=last.content, policy=policy)
        if log is not None:
            await self._graph.aupdate_state(
                {"configurable": {"thread_id": self._store.checkpoint_id(owner, user, thread)}}, {"log": log}, "say"
            )
        context = Context(world, self._store, thread, uuid.uuid4().hex)
        turn = await _last(self._answer(request, context))
        digest = _digest([*talk, Message("assistant", turn.text)])
        await self._store.save_transcript(owner, user, digest, thread, turn.message_id)
        return turn

    async def _past(
        self, past: Sequence[Message], world: World, owner: str, user: str | None, policy: str
    ) -> tuple[str, list[dict[str, Any]] | None]:
        """The thread that goes on, and the log to begin it with (None where it has it already)."""
        new = uuid.uuid4().hex
        if not past:
            return new, None
        known = await self._store.find_transcript(owner, user, _digest(past))
        if known is not None:
            log = await self._log(owner, user, known.thread)
            ids = [record["id"] for record in log]
            if ids and ids[-1] == known.message_id:
                return known.thread, None
            if known.message_id in ids:  # an earlier place: the client asks again or goes another way
                return new, log[: ids.index(known.message_id) + 1]
        return new, await self._replay(past, world, owner, user, policy)

    async def _log(self, owner: str, user: str | None, thread: str) -> list[dict[str, Any]]:
        key = self._store.checkpoint_id(owner, user, thread)
        state = await self._graph.aget_state({"configurable": {"thread_id": key}})
        return list(state.values.get("log", []))

    async def _replay(
        self, past: Sequence[Message], world: World, owner: str, user: str | None, policy: str
    ) -> list[dict[str, Any]]:
        log: list[dict[str, Any]] = []
        for message in past:
            if message.role == "user":
                request = TurnRequest(owner=owner, user=user, text=message.content, policy=policy)
                context = Context(world, self._store, "", uuid.uuid4().hex, dry=True)
                result = await self._dry.ainvoke({"request": request, "log": log}, context=context)
                log = result["log"]
        return log


async def _run(graph: Any, values: dict[str, Any], context: Context, config: Any) -> AsyncGenerator[TurnEvent]:
    """One run of the graph as events."""
    trace: list[Stage] = []
    answer: Turn | None = None
    stream = graph.astream(values, config, context=context, stream_mode="custom", durability="exit")
    async for event in stream:
        if isinstance(event, Stage):
            trace.append(event)
            yield TurnEvent(kind="stage", stage=event)
        elif isinstance(event, str):
            yield TurnEvent(kind="text", text=event)
        else:
            answer = event
    if answer is None:
        raise AssertionError("a run ends with its turn")
    yield TurnEvent(kind="turn", turn=answer.model_copy(update={"trace": trace}))


async def _last(events: AsyncGenerator[TurnEvent]) -> Turn:
    async with aclosing(events):
        async for event in events:
            if event.turn is not None:
                return event.turn
    raise AssertionError("a stream ends with its turn")


def _digest(messages: Sequence[Message]) -> str:
    """A hash of a transcript; the white space that clients add or drop does not count."""
    told = [[message.role, " ".join(message.content.split())] for message in messages]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
