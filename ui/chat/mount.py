"""`mount_chat`: the page as a Gradio application on the API's app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmrec.settings import Settings
from llmrec.ui.chat.events import Desk
from llmrec.ui.chat.login import SignIn, router
from llmrec.ui.chat.render import Renderer

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)
"""Gradio builds functions from text, hence unsafe-eval; nothing can be fetched from or sent to anywhere else."""


def mount_chat(app: FastAPI, assistant: Assistant, settings: Settings) -> FastAPI:
    """Put the chat page at `/` of the API's app, and with API keys a sign-in form before it; returns `app`.

    Both speak to the same assistant. Nothing is loaded from other hosts and nothing is reported to any.
    """
    from llmrec.ui.chat import page  # Gradio takes seconds to import

    renderer, sign_in = Renderer(assistant), SignIn(settings)
    desk = Desk(assistant, renderer, settings)
    if desk.signed:
        app.include_router(router(sign_in, renderer.login))
    app.add_middleware(_Policy)
    return page.mount(app, page.build(desk, sign_in), sign_in.check if desk.signed else None)


class _Policy:
    """Adds the content security policy to the page itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in ("/", "/login"):
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = _POLICY
                headers["referrer-policy"] = "same-origin"
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        await self.app(scope, receive, guarded)
