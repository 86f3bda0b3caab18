"""The inner middleware: who may enter, how much and how often, and what happens when a client leaves."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmrec.settings import Settings
from llmrec.ui.api.access import check_local, identify
from llmrec.ui.api.errors import ApiError
from llmrec.ui.api.metrics import Metrics

_BODY_SECONDS = 30.0
_REMEMBERED = 10_000


class RateLimit:
    """A token bucket per caller, full at `per_minute`."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self.clock = per_minute, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> float:
        """Use one request; the answer is 0, or the seconds until the next one is allowed."""
        now, rate = self.clock(), self.per_minute / 60
        left, since = self._buckets.pop(caller, (float(self.per_minute), now))
        left = min(self.per_minute, left + (now - since) * rate)
        granted = left >= 1
        # Callers stand in the order of their last request: the longest silent one is forgotten first.
        self._buckets[caller] = (left - 1 if granted else left, now)
        if len(self._buckets) > _REMEMBERED:
            del self._buckets[next(iter(self._buckets))]
        return 0.0 if granted else (1 - left) / rate


class Gate:
    """Pure ASGI middleware; sets `principal` in the scope's state for the API's routes.

    A request to the API passes, in this order: origin, key, rate, size of the body (counted as it arrives), number of
    requests in work. Its work is cancelled when the client leaves. Metrics need a key, pages pass origin and size only.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self.limits = settings.limits
        self.rate = RateLimit(self.limits.requests_per_minute)
        self._working = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        api = path == "/v1" or path.startswith("/v1/")
        try:
            if not self.settings.keys:
                check_local(scope)
            if api or path == "/metrics":
                self._enter(scope)
            body = await self._body(scope, receive)
            if body is None:
                return
            if api and self._working >= self.limits.concurrency:
                message = "too many requests are in work: try again in a moment"
                raise ApiError(503, message, code="overloaded", headers={"retry-after": "1"})
        except ApiError as error:
            await error.response()(scope, receive, send)
            return
        if not api:
            await self.app(scope, _replay(body, receive), send)
            return
        self._working += 1
        self.metrics.active.inc()
        try:
            await self._until_client_leaves(scope, body, receive, send)
        finally:
            self._working -= 1
            self.metrics.active.dec()

    def _enter(self, scope: Scope) -> None:
        client = (scope.get("client") or ("local",))[0]
        try:
            principal = identify(self.settings, Headers(scope=scope))
        except ApiError:
            self._count(f"client {client}")  # guessing keys is limited, too
            raise
        self._count(f"key {principal.fingerprint}" if principal.fingerprint else f"client {client}")
        scope.setdefault("state", {})["principal"] = principal

    def _count(self, caller: str) -> None:
        wait = self.rate.take(caller)
        if wait:
            message = f"more than {self.rate.per_minute} requests a minute: try again in {wait:.1f} s"
            headers = {"retry-after": str(math.ceil(wait))}
            raise ApiError(429, message, code="rate_limit_exceeded", headers=headers)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None where the client left before its end."""
        most = self.limits.body_bytes
        too_large = ApiError(413, f"the body has more than {most:,} bytes: send less at once", code="body_too_large")
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > most:
            raise too_large
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    part = message.get("body", b"")
                    size += len(part)
                    if size > most:
                        raise too_large
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise ApiError(408, f"the body did not arrive within {_BODY_SECONDS:g} s: send it again") from None

    async def _until_client_leaves(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        # After the body, the only message that can come says that the client left.
        gone = asyncio.ensure_future(receive())
        work = asyncio.ensure_future(self.app(scope, _replay(body, lambda: asyncio.shield(gone)), send))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
            # Its outcome, unless the end of this request was its own doing.
            await asyncio.gather(work, return_exceptions=True)
        if not work.cancelled():
            work.result()


def _replay(body: bytes, after: Receive) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await after()

    return receive
