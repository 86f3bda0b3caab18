"""With API keys the page asks for one and then shows its users only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from llmrec.settings import Settings
from llmrec.ui.chat.login import COOKIE, SignIn

KEYS = {"key-of-ada": ["ada"], "key-of-all": ["*"]}


def test_cookies_hold_for_their_process_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.model_validate({"keys": KEYS})
    sign_in = SignIn(settings)
    assert sign_in.issue("wrong") is None and sign_in.issue("") is None
    cookie = sign_in.issue("key-of-ada")
    assert cookie is not None and "key-of-ada" not in cookie
    key = sign_in.fingerprint(cookie)
    assert key is not None and sign_in.principal(key).users == ("ada",)
    other = sign_in.issue("key-of-all")
    assert other is not None
    for forged in (None, "", "a.b.c", cookie[:-1], cookie + "x", f"{key}.9999999999.", cookie.replace(key, "x")):
        assert sign_in.fingerprint(forged) is None
    assert sign_in.fingerprint(".".join([key, *other.split(".")[1:]])) is None
    assert SignIn(settings).fingerprint(cookie) is None, "another process signs with another secret"
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert sign_in.fingerprint(cookie) is None


def test_the_page_is_closed_without_a_key(serve: Callable[..., Any]) -> None:
    server = serve(keys=KEYS)
    with httpx.Client(base_url=server.url) as client:
        gate = client.get("/")
        assert gate.status_code == 303 and gate.headers["location"] == "login"
        for path in ("/config", "/gradio_api/info", "/gradio_api/queue/data?session_hash=x"):
            assert client.get(path).status_code == 401, path
        event = {"fn_index": 0, "session_hash": "x", "data": [], "event_data": {"id": "e", "op": "people"}}
        assert client.post("/gradio_api/queue/join", json=event).status_code == 401
        assert client.get("/login").status_code == 200
        wrong = client.post("/login", data={"key": "guess"})
        assert wrong.status_code == 401 and "not known" in wrong.text and COOKIE not in wrong.cookies
        entered = client.post("/login", data={"key": " key-of-ada "})
        assert entered.status_code == 303
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie
        assert client.get("/").status_code == 200
        assert client.get("/v1/models").status_code == 401, "the API wants its header all the same"
        client.post("/logout")
        assert client.get("/").status_code == 303


def test_guessing_keys_is_slowed_down(serve: Callable[..., Any]) -> None:
    server = serve(keys=KEYS)
    answers = [httpx.post(f"{server.url}/login", data={"key": f"guess {at}"}).status_code for at in range(12)]
    assert answers[:10] == [401] * 10 and answers[-1] == 429


def test_api_and_page_share_the_port(serve: Callable[..., Any]) -> None:
    server = serve()
    assert httpx.get(f"{server.url}/v1/models").json()["object"] == "list"
    assert httpx.get(f"{server.url}/v1/nothing").json()["error"]["type"] == "invalid_request_error"
    page = httpx.get(f"{server.url}/")
    assert page.status_code == 200 and "gradio" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http" not in policy.replace("'self'", "")
    assert httpx.get(f"{server.url}/login").status_code != 200, "without keys there is nothing to sign in to"
