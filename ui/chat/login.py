"""Signing in with an API key: a cookie that names the key by its hash, signed by this process."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from llmrec.settings import Settings
from llmrec.ui.api.access import Principal
from llmrec.ui.api.gate import RateLimit

COOKIE = "llmrec_session"
_HOURS = 12
_TRIES_PER_MINUTE = 10


class SignIn:
    """Knows who is behind a cookie. Nothing is stored: a restart or 12 hours end all sessions."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._secret = secrets.token_bytes(32)
        self._principals: dict[str, Principal] = {}
        for key in settings.keys:
            access = settings.access(key)
            if access is not None:
                self._principals[access.fingerprint] = Principal(access.fingerprint, access.users)

    def issue(self, key: str) -> str | None:
        """The cookie for the holder of `key`; None where it is wrong."""
        access = self.settings.access(key)
        if access is None:
            return None
        payload = f"{access.fingerprint}.{int(time.time()) + _HOURS * 3600}"
        return f"{payload}.{self._sign(payload)}"

    def fingerprint(self, cookie: str | None) -> str | None:
        """The hash of the key that a valid cookie names."""
        payload, _, signature = (cookie or "").rpartition(".")
        fingerprint, _, end = payload.partition(".")
        valid = hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), self._sign(payload).encode())
        return fingerprint if valid and end.isdecimal() and int(end) > time.time() else None

    def principal(self, fingerprint: str | None) -> Principal:
        """Who a request with this key speaks for; without keys the operator."""
        if not self.settings.keys:
            access = self.settings.access(None)
            assert access is not None
            return Principal(access.fingerprint, access.users)
        if fingerprint not in self._principals:
            raise HTTPException(401, "sign in again")
        return self._principals[fingerprint]

    def check(self, request: Request) -> str | None:
        """Gradio's check of every request to the page; sends people who open it to the sign-in form."""
        fingerprint = self.fingerprint(request.cookies.get(COOKIE))
        if fingerprint is None and request.method == "GET" and request.url.path == "/":
            raise HTTPException(303, headers={"location": "login"})
        return fingerprint

    def _sign(self, payload: str) -> str:
        return hmac.new(self._secret, payload.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def router(sign_in: SignIn, form: Callable[[str], str]) -> APIRouter:
    """`/login` and `/logout`; `form(trouble)` is the page with the form."""
    routes = APIRouter(include_in_schema=False)
    tries = RateLimit(_TRIES_PER_MINUTE)

    @routes.get("/login")
    async def show() -> Response:
        return HTMLResponse(form(""))

    @routes.post("/login")
    async def enter(request: Request) -> Response:
        if tries.take(request.client.host if request.client else ""):
            return HTMLResponse(form("Too many attempts: wait a minute and try again."), 429)
        fields = await request.form()
        cookie = sign_in.issue(str(fields.get("key", "")).strip())
        if cookie is None:
            return HTMLResponse(form("This key is not known: check it and try again."), 401)
        answer = RedirectResponse("./", 303)
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=_HOURS * 3600,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @routes.post("/logout")
    async def leave() -> Response:
        answer = RedirectResponse("login", 303)
        answer.delete_cookie(COOKIE)
        return answer

    return routes
