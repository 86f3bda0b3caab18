"""Every failure as an OpenAI error body: `{"error": {"message", "type", "param", "code"}}` with the matching status."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from llmrec.errors import (
    EngineError,
    EngineRefused,
    EngineTimeout,
    LlmrecError,
    MissingExtra,
    NotSupported,
    StateError,
    UnknownAdapter,
    UnknownName,
    UserError,
    VectorStoreError,
    WorkspaceError,
)

logger = logging.getLogger("llmrec.api")

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Json(Response):
    """A JSON answer; dates, models and enumerations are understood, NaN becomes null (JSON has none)."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return to_json(content, inf_nan_mode="null")


class ApiError(HTTPException):
    """An answer other than 2xx."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers) if headers else None)
        self.param, self.code = param, code

    @property
    def body(self) -> dict[str, Any]:
        """What clients read."""
        default = "server_error" if self.status_code >= 500 else "invalid_request_error"
        kind = _TYPES.get(self.status_code, default)
        return {"error": {"message": self.detail, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        """The same as an ASGI application."""
        return Json(self.body, self.status_code, self.headers)


def from_exception(error: BaseException) -> ApiError:
    """The answer to any exception. The unexpected is logged without its message, which may hold what people wrote."""
    match error:
        case ApiError():
            return error
        case HTTPException():
            return ApiError(error.status_code, str(error.detail), headers=error.headers)
        case UnknownName():
            return ApiError(404, str(error), code="not_found")
        case MissingExtra():
            return ApiError(501, str(error), code="missing_extra")
        case UserError():
            return ApiError(400, str(error))
        case StateError() | VectorStoreError() | WorkspaceError():
            return ApiError(503, str(error), code="unavailable", headers={"retry-after": "1"})
        case EngineTimeout():
            return ApiError(504, str(error), code="engine_timeout")
        case UnknownAdapter():
            logger.warning("%s", error)  # it names folders
            message = "this adapter is gone, or does not fit the language model: the server's log says which"
            return ApiError(404, message, param="model", code="model_not_found")
        case EngineRefused(mistake=True):
            return ApiError(400, str(error), code="engine_refused")
        case NotSupported():
            return ApiError(501, str(error), code="not_supported")
        case EngineError():
            return ApiError(502, str(error), code="engine_failed")
        case LlmrecError():
            return ApiError(500, str(error))
    where = "".join(traceback.format_tb(error.__traceback__, limit=-8))
    logger.error("unexpected %s\n%s", type(error).__name__, where)
    return ApiError(500, "llmrec failed in an unexpected way: please report the x-request-id of this answer")


def _validation(errors: Sequence[Any]) -> ApiError:
    first = errors[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    if first["type"] == "model_attributes_type" and not place:
        return ApiError(400, "the body must be a JSON object, sent with content-type: application/json")
    param = ".".join(place) or None
    return ApiError(400, f"{param or 'the body'}: {first['msg']}", param=param)


def install(app: FastAPI) -> None:
    """Answer every exception of the routes with an OpenAI error body, and what no route under `/v1` takes.

    Call it after the routes are there and before the page is mounted, which would take everything else.
    """
    paths = [(compile_path(path)[0], [m.upper() for m in methods]) for path, methods in app.openapi()["paths"].items()]

    @app.api_route("/v1/{path:path}", methods=list(_METHODS), include_in_schema=False)
    async def unknown(request: Request) -> Response:
        path = request.url.path
        allowed = [method for pattern, methods in paths if pattern.match(path) for method in methods]
        what = f"{request.method} {path}"
        if allowed:
            message = f"{what} is not possible, only {', '.join(allowed)}: see /docs"
            raise ApiError(405, message, code="unknown_url", headers={"allow": ", ".join(allowed)})
        raise ApiError(404, f"{what} does not exist: see /docs", code="unknown_url")

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            return _validation(error.errors()).response()
        return from_exception(error).response()

    for kind in (RequestValidationError, HTTPException, LlmrecError):
        app.add_exception_handler(kind, answer)
