"""A scripted OpenAI-compatible server on loopback, for tests of engines and of everything that uses one.

It answers what a script says, well or badly: malformed, slowly, with errors, or breaking off in the middle.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MODEL = "scripted"


@dataclass(frozen=True)
class Reply:
    """One answer. By default the text, streamed in pieces, with status 200."""

    text: str = ""
    status: int = 200
    delay: float = 0.0
    """Seconds before the first byte."""
    pause: float = 0.0
    """Seconds between pieces."""
    drop_after: int | None = None
    """Close the connection after so many pieces."""
    body: str | None = None
    """Send exactly this instead of a well-formed answer."""
    finish: str = "stop"
    usage: tuple[int, int] | None = None
    """Tokens of prompt and answer that a stream tells in its last chunk."""


Script = Callable[[dict[str, Any]], Reply]


@dataclass
class ScriptedServer:
    """A server in a thread, on a free port; use it as a context manager.

    `replies` are given in order, the last one for ever, or a function of the request's body makes them.
    """

    replies: Sequence[Reply] | Script
    models: Sequence[str] = (MODEL,)
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of all chat requests."""
    keys: list[str] = field(default_factory=list)
    """Their Authorization headers."""
    closed_early: int = 0
    """Streams that the client left before their end."""
    url: str = ""

    def __enter__(self) -> Self:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        app = Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
            ]
        )
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the scripted server did not start")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        self.keys.append(request.headers.get("authorization", ""))
        if callable(self.replies):
            reply = self.replies(body)
        else:
            reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        await asyncio.sleep(reply.delay)
        if reply.status != 200:
            return JSONResponse({"error": {"message": "as the script says", "type": "server_error"}}, reply.status)
        if reply.body is not None:
            return Response(reply.body, media_type="text/event-stream" if body.get("stream") else "application/json")
        if not body.get("stream"):
            return JSONResponse(_completion(body, reply))
        return StreamingResponse(self._stream(body, reply), media_type="text/event-stream")

    async def _stream(self, body: dict[str, Any], reply: Reply) -> AsyncIterator[str]:
        ended = False
        try:
            size = max(1, len(reply.text) // 8)
            pieces = [reply.text[at : at + size] for at in range(0, len(reply.text), size)]
            for number, piece in enumerate(pieces):
                if number == reply.drop_after:
                    ended = True
                    raise ConnectionResetError("as the script says")
                yield _event(_chunk(body, {"role": "assistant", "content": piece}, None))
                await asyncio.sleep(reply.pause)
            yield _event(_chunk(body, {}, reply.finish))
            if reply.usage is not None:
                counts = dict(zip(("prompt_tokens", "completion_tokens"), reply.usage, strict=True))
                usage = {**counts, "total_tokens": sum(reply.usage)}
                yield _event({**_chunk(body, {}, None), "choices": [], "usage": usage})
            yield "data: [DONE]\n\n"
            ended = True
        finally:
            self.closed_early += not ended


def _chunk(body: dict[str, Any], delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": body.get("model", MODEL),
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _completion(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", MODEL),
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
