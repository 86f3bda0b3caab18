"""Stands in front of everything that a vLLM server which llmrec started can do (`--middleware`).

vLLM's own check of the key covers only paths below /v1: `/adapters`, `/invocations` and more load adapters and answer
for anybody who reaches the port. Here everything needs the key, and what llmrec does not use is not there, least of all
loading an adapter from a path that a request names.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATHS = frozenset(
    {
        "/health",
        "/v1/models",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/unload_lora_adapter",
        "/tokenize",
    }
)


class Guard:
    """ASGI middleware."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._expected = f"Bearer {os.environ['VLLM_API_KEY']}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what has the key and is on the list."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # there is no way to answer a websocket here but to close it
            return await send({"type": "websocket.close"})
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, self._expected):
            return await _answer(send, 401, "the key is wrong")
        if scope["path"] not in PATHS:
            return await _answer(send, 404, "there is no such path")
        return await self.app(scope, receive, send)


async def _answer(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": {"message": message, "code": status}}).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
