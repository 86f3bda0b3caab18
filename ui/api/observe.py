"""The outermost middleware: request ids, one log line a request, metrics, traces, and the answer to what nobody caught.

Plain ASGI throughout: Starlette's `BaseHTTPMiddleware` copies streams through a queue and hides a client that leaves.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmrec.ui.api.errors import from_exception
from llmrec.ui.api.metrics import Metrics
from llmrec.ui.api.tracing import Tracing

logger = logging.getLogger("llmrec.api.requests")

_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_CLIENT_LEFT = 499  # nginx's number for a request whose client did not wait
_FILES = ("/assets/", "/static/")
"""The chat page's own files: some sixty requests each time that it is opened, which nobody looks for in a log."""


def log_requests(level: int = logging.INFO) -> None:
    """Write one JSON line a request to standard error: id, route, status, milliseconds; never texts, users or keys."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(level)


class Observe:
    """Pure ASGI middleware; sets `request_id` in the scope's state."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tracing: Tracing) -> None:
        self.app, self.metrics, self.tracing = app, metrics, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        start = time.perf_counter()
        status = _CLIENT_LEFT

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        with self.tracing.request(headers) as span:
            try:
                await self.app(scope, receive, answer)
            except Exception as error:
                failure = from_exception(error)
                if status != _CLIENT_LEFT:
                    raise ConnectionError("the answer broke off") from None  # the server closes the connection
                await failure.response()(scope, receive, answer)
            finally:
                self._note(scope, request_id, status, time.perf_counter() - start, span)

    def _note(self, scope: Scope, request_id: str, status: int, seconds: float, span: Any) -> None:
        # The template, not the path: paths hold item and thread ids. What has no template is the page or unknown.
        route = getattr(scope.get("route"), "path", None) or "other"
        self.metrics.request(scope["method"], route, status, seconds)
        if span is not None:
            span.update_name(f"{scope['method']} {route}")
            span.set_attributes(
                {"http.response.status_code": status, "http.route": route, "llmrec.request_id": request_id}
            )
        if logger.isEnabledFor(logging.INFO) and not route.startswith(_FILES):
            line = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "request_id": request_id,
                "method": scope["method"],
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 1),
            }
            logger.info("%s", json.dumps(line))
