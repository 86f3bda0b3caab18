"""What happens when somebody types or clicks: one event in, the page's new pieces out, several times while it works.

The server keeps nothing between events: the browser tab names its user and thread, and the assistant checks that the
thread is theirs. So tabs cannot mix, and a restart of the server is not noticed.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_jsonable_python
from starlette.exceptions import HTTPException

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation.answer import preferences
from llmrec.agents.conversation.fold import State
from llmrec.errors import LlmrecError, UnknownName, UserError
from llmrec.settings import ALL, Settings
from llmrec.turn import Preference, Stage, Turn, TurnRequest
from llmrec.ui.api.access import Principal
from llmrec.ui.api.gate import RateLimit
from llmrec.ui.chat.render import Renderer

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant

logger = logging.getLogger("llmrec.chat")

_REDRAW_SECONDS = 0.06
"""Between two pictures of the work in progress; quick turns come without one."""
_PEOPLE = 60


class PageEvent(BaseModel):
    """What the browser sends; see page.js."""

    model_config = ConfigDict(extra="forbid")

    op: Literal["open", "turn", "people", "memory", "forget", "export", "delete"]
    id: str = Field(max_length=64)
    """Names the event, so that its answer finds its place."""
    message: str | None = Field(None, max_length=64)
    """The message id of a turn; asking again repeats it under another `id`."""
    user: str | None = Field(None, max_length=200)
    """"" is anonymous; None leaves it to the key."""
    thread: str | None = Field(None, max_length=200)
    text: str = Field("", max_length=20_000)
    acts: list[Act] = Field(default_factory=list, max_length=100)
    policy: str = Field("", max_length=200)
    """What decides in this conversation; "" leaves it to the server."""
    entry: str = Field("", max_length=200)


Pieces = dict[str, Any]
"""Parts of the page by slot; the browser replaces those that are there. Each yield holds all that its event has so
far, because the browser may skip all but the last."""


class Desk:
    """Answers the page's events."""

    def __init__(self, assistant: Assistant, renderer: Renderer, settings: Settings) -> None:
        self.assistant, self.renderer = assistant, renderer
        self.signed = bool(settings.keys)
        self.concurrency = settings.limits.concurrency
        self._rate = RateLimit(settings.limits.requests_per_minute)

    async def answer(self, raw: Any, principal: Principal) -> AsyncGenerator[Pieces]:
        """The pieces for one event; failures become a sentence in the conversation."""
        name = raw.get("id") if isinstance(raw, dict) else None
        head: Pieces = {"for": name if isinstance(name, str) else "", "phase": "done"}
        try:
            if self._rate.take(principal.fingerprint):
                raise UserError("this is faster than the server allows: wait a moment and try again")
            event = PageEvent.model_validate(raw)
            # As the user's key allows; raises for the users of others.
            user = principal.user(event.user)
            async with aclosing(self._pieces(event, principal, user)) as pieces:
                async for piece in pieces:
                    yield {**head, "user": user or "", **piece}
        except Exception as error:
            message, retry = _explain(error)
            yield {**head, "phase": "failed", "agent": self.renderer.trouble(message, retry=retry), "status": message}

    async def _pieces(self, event: PageEvent, principal: Principal, user: str | None) -> AsyncGenerator[Pieces]:
        if event.op == "turn":
            async for piece in self._turn(event, principal.owner(user), user):
                yield piece
        elif event.op == "open":
            yield await self._open(event, principal.owner(user), user)
        elif event.op == "people":
            yield {"sheet": self._people(principal, user)}
        else:
            yield await self._memory(event, principal.owner(user), user)

    # --- The conversation -----------------------------------------------------------------------------------------

    async def _turn(self, event: PageEvent, owner: str, user: str | None) -> AsyncGenerator[Pieces]:
        if not event.text.strip() and not event.acts:
            raise UserError("the message is empty: type something or click an answer")
        request = TurnRequest(
            user=user,
            owner=owner,
            thread=event.thread,
            text=event.text,
            acts=event.acts,
            policy=event.policy,
            message_id=event.message,
        )
        stages: list[Stage] = []
        text, drawn = "", time.monotonic()
        turn: Turn | None = None
        async with aclosing(self.assistant.stream(request)) as events:
            async for step in events:
                turn = step.turn or turn
                if step.stage is not None:
                    stages.append(step.stage)
                text += step.text
                if turn is None and time.monotonic() - drawn > _REDRAW_SECONDS:
                    drawn = time.monotonic()
                    yield {"phase": "working", "agent": self.renderer.working(stages, text)}
        if turn is None:
            raise RuntimeError("the assistant's stream ended without a turn")
        pieces = self._state(turn) | {"status": _spoken(turn)}
        kinds = {act.kind for act in turn.acts} | {act.kind for act in event.acts}
        if ActKind.UNDO in kinds or ActKind.RESET in kinds:
            # These change what was said before, so the conversation is drawn anew.
            pieces["log"] = self.renderer.log(await self.assistant.history(owner, user, turn.thread))
        else:
            pieces |= {"person": self.renderer.person(request, turn), "agent": self.renderer.agent(turn)}
        yield pieces

    async def _open(self, event: PageEvent, owner: str, user: str | None) -> Pieces:
        """The page from its start: the stored conversation, or a welcome where there is none."""
        turns: list[tuple[TurnRequest, Turn]] = []
        if event.thread:
            try:
                turns = await self.assistant.history(owner, user, event.thread)
            except UnknownName:
                logger.info("a page asked for a conversation that is gone; it starts anew")
        # A choice belongs to its conversation: a new one begins with the server's.
        policies = self.renderer.policies(await self.assistant.policies(), event.policy if turns else "")
        head: Pieces = {"name": self.assistant.name, "sheet": None, "policies": policies}
        if turns:
            return head | self._state(turns[-1][1]) | {"log": self.renderer.log(turns)}
        memory = await self.assistant.memory(owner, user) if user else []
        known = preferences(self.assistant.catalogue, State(), memory)
        head |= self._panel(len(self.assistant.catalogue), known)
        return head | {"thread": None, "log": self.renderer.welcome(user)}

    def _state(self, turn: Turn) -> Pieces:
        return {"thread": turn.thread, **self._panel(turn.candidates_left, turn.preferences)}

    def _panel(self, left: int, known: list[Preference]) -> Pieces:
        return {"side": self.renderer.side(left, known), "summary": _summary(left, len(known))}

    # --- People and memory ----------------------------------------------------------------------------------------

    def _people(self, principal: Principal, user: str | None) -> str:
        everybody = ALL in principal.users
        people = self.assistant.users(_PEOPLE) if everybody else list(principal.users)
        return self.renderer.people(people, user, free=everybody, signed=self.signed)

    async def _memory(self, event: PageEvent, owner: str, user: str | None) -> Pieces:
        if user is None:
            return {"sheet": self.renderer.memory([], None)}
        pieces: Pieces = {}
        if event.op == "forget":
            await self.assistant.forget(owner, user, event.entry)
        elif event.op == "delete":
            await self.assistant.delete_memory(owner, user)
        elif event.op == "export":
            exported = to_jsonable_python(await self.assistant.export_memory(owner, user))
            pieces["download"] = {
                "name": "memory.json",
                "text": json.dumps(exported, ensure_ascii=False, indent=2),
            }
        pieces["sheet"] = self.renderer.memory(await self.assistant.memory(owner, user), user)
        return pieces


def _summary(left: int, count: int) -> str:
    known = f"{count} preference{'' if count == 1 else 's'}" if count else "no preferences yet"
    return f"{left:,} left · {known}"


def _spoken(turn: Turn) -> str:
    """What a screen reader says when a turn ends."""
    question = turn.question.text if turn.question and turn.question.text not in turn.text else ""
    items = f"{len(turn.items)} items: {', '.join(item.title for item in turn.items[:3])}." if turn.items else ""
    return " ".join(filter(None, (turn.text, items, question)))


def _explain(error: Exception) -> tuple[str, bool]:
    """A sentence for the person and whether trying again makes sense."""
    if isinstance(error, ValidationError):
        return "that message cannot be read: it may be too long; shorten it and try again.", False
    if isinstance(error, HTTPException):
        return f"{error.detail}.", False
    if isinstance(error, UserError):
        return f"{error}.", False
    if isinstance(error, LlmrecError):
        logger.warning("a turn on the chat page failed: %s", error)
        return f"{error}.", True
    logger.exception("a turn on the chat page failed")
    return "something went wrong here; the conversation is kept.", True
