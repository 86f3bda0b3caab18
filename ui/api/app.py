"""`create_app`: the API of one assistant as an ASGI application; the chat page is mounted on the same one."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI

from llmrec.ui.api import catalogue, chat, embeddings, errors, people, service
from llmrec.ui.api.gate import Gate
from llmrec.ui.api.metrics import Metrics
from llmrec.ui.api.observe import Observe
from llmrec.ui.api.tracing import Tracing

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant
    from llmrec.settings import Settings


def create_app(assistant: Assistant, settings: Settings) -> FastAPI:
    """The API. The assistant stays its caller's, who closes it after the server.

    `app.state.metrics` is there for the chat page. Raises `UserError` where `settings` would serve beyond loopback
    without keys.
    """
    settings.check_exposure()
    metrics, tracing = Metrics(), Tracing()
    app = FastAPI(
        title="llmrec",
        version=version("llmrec"),
        description="Talk to a catalogue: an OpenAI-compatible API with recommendations.",
        redoc_url=None,
    )
    app.state.metrics = metrics
    app.include_router(service.router(assistant, settings, metrics))
    app.include_router(chat.router(assistant, metrics, tracing))
    app.include_router(embeddings.router(assistant, settings.embeddings))
    app.include_router(catalogue.router(assistant))
    app.include_router(people.router(assistant))
    errors.install(app)
    app.add_middleware(Gate, settings=settings, metrics=metrics)
    app.add_middleware(Observe, metrics=metrics, tracing=tracing)  # the last one added is the outermost
    return app
