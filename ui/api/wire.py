"""What the routes share: the caller of a request, fields of requests, filters, shapes of answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json, to_json
from starlette.responses import Response

from llmrec.filters import Filter
from llmrec.turn import RecommendedItem
from llmrec.ui.api.access import Principal
from llmrec.ui.api.errors import ApiError

MODEL = "llmrec"
"""The model id of the agent."""
STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""Of answers as server-sent events."""


class _StrictRequest(Request):
    async def json(self) -> Any:
        try:
            return from_json(await self.body(), allow_inf_nan=False)
        except ValueError as error:
            raise ApiError(400, f"the body is not valid JSON: {error}") from None


class Route(APIRoute):
    """Reads bodies as JSON to the letter: no NaN, no half of a surrogate pair, no bottomless nesting."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


class Body(BaseModel):
    """Base of request bodies: as OpenAI's servers do, unknown fields are accepted and ignored."""

    model_config = ConfigDict(extra="ignore")


async def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


Caller = Annotated[Principal, Depends(_principal)]
Count = Annotated[int, Field(ge=1, le=1000)]
UserId = Annotated[str, Field(max_length=512)]


def check_model(name: str, known: Iterable[str] = (MODEL,)) -> str:
    """The name, or `ApiError` 404."""
    if name not in known:
        message = f"the model {name!r} does not exist: GET /v1/models lists those that do"
        raise ApiError(404, message, param="model", code="model_not_found")
    return name


def parse_filters(texts: Sequence[str]) -> list[Filter]:
    """`price<=100` and the like; raises `UserError` with an example."""
    return [Filter.parse(text) for text in texts]


def listing(items: Sequence[RecommendedItem], **more: Any) -> dict[str, Any]:
    """Ranked items as an answer."""
    return {"object": "list", "model": MODEL, "items": [item.model_dump(mode="json") for item in items], **more}


def words(*texts: str) -> int:
    """What `usage` counts: words, since the agent answers without a tokenizer."""
    return sum(len(text.split()) for text in texts)


def line(body: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + to_json(body, inf_nan_mode="null") + b"\n\n"
