"""`POST /v1/chat/completions`: a turn of the conversation, whole or as server-sent events."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from llmrec.acts import Act
from llmrec.contracts import Message
from llmrec.turn import Turn, TurnEvent, TurnRequest
from llmrec.ui.api import plain
from llmrec.ui.api.access import Principal
from llmrec.ui.api.errors import ApiError, Json, from_exception
from llmrec.ui.api.metrics import Metrics
from llmrec.ui.api.models import chat_model
from llmrec.ui.api.tracing import Tracing
from llmrec.ui.api.wire import MODEL, STREAM_HEADERS, Body, Caller, Route, UserId, line, words

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant

NEW_THREAD = "new"
"""The thread name that starts a conversation; the answer tells the name it got."""


class Part(BaseModel):
    """One part of a message; only texts are understood."""

    model_config = ConfigDict(extra="ignore")

    type: str
    text: str | None = None


class ChatMessage(BaseModel):
    """A message as OpenAI has it; roles other than user and assistant are accepted and left out."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    def text(self) -> str:
        """The content as one string; raises `ApiError` where it is an image, a file or a sound."""
        if isinstance(self.content, str) or self.content is None:
            return self.content or ""
        for part in self.content:
            if part.type != "text" or part.text is None:
                raise ApiError(400, f"content of type {part.type!r} is not understood: send text", param="messages")
        return "\n".join(part.text or "" for part in self.content)


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class Clicks(BaseModel):
    """What a page sends beside the text."""

    model_config = ConfigDict(extra="forbid")

    acts: list[Act] = Field(default_factory=list, max_length=100)


class ChatRequest(Body):
    """OpenAI's request; `metadata` may name the `thread`, a `message_id` and a `policy`, `llmrec` carries clicks.

    The agent decides itself how it speaks: `max_tokens`, `temperature` and `response_format` are for the other models.
    """

    model: str = MODEL
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = 1
    user: UserId | None = None
    metadata: dict[str, str] | None = None
    llmrec: Clicks = Field(default_factory=Clicks)
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    response_format: dict[str, Any] | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with a chunk that tells it."""
        return self.stream_options is not None and self.stream_options.include_usage


class _Conversation:
    """One request, ready to be answered."""

    def __init__(self, assistant: Assistant, body: ChatRequest, caller: Principal) -> None:
        metadata = body.metadata or {}
        thread = metadata.get("thread")
        self.assistant, self.user = assistant, caller.user(body.user)
        self.owner = caller.owner(self.user)
        self.policy = metadata.get("policy", "")
        self.request: TurnRequest | None = None
        if thread or body.llmrec.acts:
            # With a thread, or clicks, which start one, only the last message is read.
            last = body.messages[-1]
            self.prompt = [Message("user", last.text() if last.role == "user" else "")]
            self.request = TurnRequest(
                user=self.user,
                owner=self.owner,
                thread=None if thread in (None, "", NEW_THREAD) else thread,
                text=self.prompt[0].content,
                acts=body.llmrec.acts,
                policy=self.policy,
                message_id=metadata.get("message_id"),
            )
            return
        self.prompt = [Message(m.role, m.text()) for m in body.messages if m.role in ("user", "assistant")]
        if not self.prompt or self.prompt[-1].role != "user":
            raise ApiError(400, "the last message must be the user's", param="messages")

    async def turn(self) -> Turn:
        """The whole answer."""
        if self.request is not None:
            return await self.assistant.turn(self.request)
        return await self.assistant.turn_from_transcript(
            self.prompt, owner=self.owner, user=self.user, policy=self.policy
        )

    async def events(self) -> AsyncGenerator[TurnEvent]:
        """The answer as it comes into being; the turn is the last event."""
        if self.request is None:
            yield TurnEvent(kind="turn", turn=await self.turn())
            return
        async for event in self.assistant.stream(self.request):
            yield event

    def usage(self, turn: Turn) -> dict[str, int]:
        asked, answered = words(*(message.content for message in self.prompt)), words(turn.text)
        return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def extra(turn: Turn) -> dict[str, Any]:
    """The `llmrec` field of a message: everything of the turn but its text."""
    return turn.model_dump(mode="json", exclude={"text"})


def router(assistant: Assistant, metrics: Metrics, tracing: Tracing) -> APIRouter:
    """The chat route."""
    routes = APIRouter(prefix="/v1", tags=["chat"], route_class=Route)

    @routes.post("/chat/completions", response_class=Json)
    async def chat_completions(body: ChatRequest, caller: Caller) -> Response:
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body.model}
        if body.n not in (None, 1):
            raise ApiError(400, "n must be 1: there is one answer", param="n")
        if body.model != MODEL:
            caller.user(body.user)
            return await plain.answer(await chat_model(assistant, body.model, caller), body, head, metrics)
        conversation = _Conversation(assistant, body, caller)
        if body.stream:
            events = conversation.events()
            # What fails before the first event still gets its own status.
            first = await anext(events)
            chunks = _chunks(conversation, head, first, events, body.wants_usage)
            return StreamingResponse(chunks, media_type="text/event-stream", headers=STREAM_HEADERS)
        turn = await conversation.turn()
        _note(turn)
        message = {"role": "assistant", "content": turn.text, "refusal": None, "llmrec": extra(turn)}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return Json({**head, "object": "chat.completion", "choices": [choice], "usage": conversation.usage(turn)})

    def _note(turn: Turn) -> None:
        metrics.turn(turn)
        tracing.turn(turn)

    async def _chunks(
        conversation: _Conversation,
        head: dict[str, Any],
        first: TurnEvent,
        events: AsyncGenerator[TurnEvent],
        with_usage: bool,
    ) -> AsyncIterator[bytes]:
        def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            body = {**head, "object": "chat.completion.chunk", "choices": [choice]}
            return line({**body, "usage": None} if with_usage else body)

        metrics.streams.inc()
        try:
            async with aclosing(events):
                yield chunk({"role": "assistant", "content": ""})
                event: TurnEvent | None = first
                spoken = False
                while event is not None:
                    if event.kind == "text" and event.text:
                        spoken = True
                        yield chunk({"content": event.text})
                    elif event.kind == "turn" and event.turn is not None:
                        turn = event.turn
                        _note(turn)
                        if not spoken:
                            yield chunk({"content": turn.text})
                        yield chunk({"llmrec": extra(turn)}, "stop")
                        if with_usage:
                            usage = conversation.usage(turn)
                            yield line({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
                    event = await anext(events, None)
            yield b"data: [DONE]\n\n"
        except Exception as error:
            yield line(from_exception(error).body)
        finally:
            metrics.streams.dec()

    return routes
