"""Models, health and metrics: `/v1/models`, `/health`, `/metrics`."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from llmrec.settings import Settings
from llmrec.ui.api.access import identify
from llmrec.ui.api.errors import ApiError, Json
from llmrec.ui.api.metrics import Metrics
from llmrec.ui.api.wire import MODEL, Caller, check_model

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant


def router(assistant: Assistant, settings: Settings, metrics: Metrics) -> APIRouter:
    """The service's routes."""
    routes = APIRouter(tags=["service"])
    started = int(time.time())

    def model(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": started, "owned_by": "llmrec"}

    @routes.get("/v1/models", response_class=Json)
    async def models(_: Caller) -> Response:
        return Json({"object": "list", "data": [model(MODEL), model(settings.embeddings)]})

    @routes.get("/v1/models/{name:path}", response_class=Json)
    async def one_model(name: str, _: Caller) -> Response:
        return Json(model(check_model(name, (MODEL, settings.embeddings))))

    @routes.get("/health", response_class=Json)
    async def health(request: Request) -> Response:
        """200 when turns can be answered, else 503; details are for holders of a key."""
        details = assistant.health()
        ready = details.get("ready", True)
        answer = {"status": "ok" if ready else "unavailable"}
        with suppress(ApiError):
            identify(settings, request.headers)
            answer = {**details, **answer}
        return Json(answer, 200 if ready else 503)

    @routes.get("/metrics")
    async def prometheus() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return routes
