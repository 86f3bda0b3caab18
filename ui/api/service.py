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
from llmrec.ui.api.models import chat_model, models_for
from llmrec.ui.api.wire import Caller

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant


def router(assistant: Assistant, settings: Settings, metrics: Metrics) -> APIRouter:
    """The service's routes."""
    routes = APIRouter(tags=["service"])
    started = int(time.time())

    def model(name: str, parent: str) -> dict[str, Any]:
        about = {"id": name, "object": "model", "created": started, "owned_by": "llmrec"}
        return {**about, "parent": parent} if parent else about

    @routes.get("/v1/models", response_class=Json)
    async def models(caller: Caller) -> Response:
        found = await models_for(assistant, settings.embeddings, caller)
        return Json({"object": "list", "data": [model(name, parent) for name, parent in found.items()]})

    @routes.get("/v1/models/{name:path}", response_class=Json)
    async def one_model(name: str, caller: Caller) -> Response:
        found = await models_for(assistant, settings.embeddings, caller)
        if name not in found:
            return Json(model(name, (await chat_model(assistant, name, caller)).language.name))  # a plugin's adapter
        return Json(model(name, found[name]))

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
