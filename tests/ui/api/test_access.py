"""Who may do what: keys bound to users, this machine only without keys, limits."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from llmrec.errors import UserError
from llmrec.settings import Settings
from llmrec.ui.api import create_app
from llmrec.ui.api.access import is_loopback
from llmrec.ui.api.gate import RateLimit

CHAT = "/v1/chat/completions"
KEYS = {"sk-anna": ["anna"], "sk-two": ["anna", "ben"], "sk-all": ["*"]}


def body(text: str = "hi", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "metadata": {"thread": "t"}, **more}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def guarded(serve_faulty: Callable[..., Any]) -> httpx.Client:
    return httpx.Client(base_url=serve_faulty(keys=KEYS).url)


@pytest.mark.parametrize(
    "headers",
    [{}, bearer("sk-wrong"), bearer("sk-anna-and-more"), {"authorization": "Basic sk-anna"}, bearer("é")],
    ids=["none", "wrong", "longer", "another scheme", "not ASCII"],
)
@pytest.mark.parametrize("route", [("POST", CHAT), ("GET", "/v1/models"), ("GET", "/v1/nope"), ("GET", "/metrics")])
def test_without_the_right_key_nothing_is_answered(
    guarded: httpx.Client, headers: dict[str, str], route: tuple[str, str]
) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = guarded.request(*route, json=body(), headers=raw)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.json()["error"]["type"] == "authentication_error"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_health_tells_details_to_holders_of_a_key_only(guarded: httpx.Client) -> None:
    assert guarded.get("/health").json() == {"status": "ok"}
    assert guarded.get("/health", headers=bearer("sk-anna")).json()["name"] == "scripted"


def test_health_is_503_while_the_assistant_is_not_ready(serve_faulty: Callable[..., Any], faulty: Any) -> None:
    faulty.health = lambda: {"ready": False}
    assert httpx.get(serve_faulty().url + "/health").status_code == 503


def test_a_key_acts_for_its_users_only(guarded: httpx.Client, faulty: Any) -> None:
    for key, user, status in [
        ("sk-anna", "anna", 200),
        ("sk-anna", "ben", 403),
        ("sk-two", "ben", 200),
        ("sk-two", "cleo", 403),
        ("sk-all", "cleo", 200),
        ("sk-anna", "*", 403),
    ]:
        answer = guarded.post(CHAT, json=body(user=user), headers=bearer(key))
        assert answer.status_code == status, (key, user)
        if status == 403:
            assert answer.json()["error"]["type"] == "permission_error"
            assert answer.json()["error"]["param"] == "user"
    assert [request.user for request in faulty.requests] == ["anna", "ben", "cleo"]


@pytest.mark.parametrize(
    ("method", "path", "payload"),
    [
        ("POST", "/v1/recommendations", {"user": "ben"}),
        ("POST", "/v1/search", {"query": "x", "user": "ben"}),
        ("POST", "/v1/rerank", {"query": "x", "documents": ["a"], "user": "ben"}),
        ("POST", "/v1/embeddings", {"model": "minilm", "input": "x", "user": "ben"}),
        ("POST", "/v1/events", {"events": [{"user_id": "anna", "item_id": "1"}, {"user_id": "ben", "item_id": "1"}]}),
        ("POST", "/v1/feedback", {"user": "ben", "item_id": "1", "kind": "like"}),
        ("POST", "/v1/memory", {"user": "ben", "kind": "like", "item_id": "1"}),
        ("GET", "/v1/memory?user=ben", None),
        ("GET", "/v1/memory/export?user=ben", None),
        ("DELETE", "/v1/memory?user=ben", None),
        ("DELETE", "/v1/memory/1?user=ben", None),
        ("GET", "/v1/threads/t?user=ben", None),
        ("POST", "/v1/items", {"items": [{"item_id": "1", "price": 0.01}]}),
    ],
)
def test_no_route_lets_a_key_act_for_another(guarded: httpx.Client, method: str, path: str, payload: Any) -> None:
    # The assistant of this server fails in all of these methods: whoever reaches it gets a 500.
    answer = guarded.request(method, path, json=payload, headers=bearer("sk-anna"))
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "permission_error"


def test_without_a_user_the_key_tells_who_it_is_where_it_is_one_persons(guarded: httpx.Client, faulty: Any) -> None:
    for key in ("sk-anna", "sk-two", "sk-all"):
        guarded.post(CHAT, json=body(), headers=bearer(key))
    guarded.post(CHAT, json=body(user=""), headers=bearer("sk-anna"))
    assert [request.user for request in faulty.requests] == ["anna", None, None, None]


def test_a_person_is_the_same_with_every_key(guarded: httpx.Client, faulty: Any) -> None:
    for key in ("sk-anna", "sk-all"):
        guarded.post(CHAT, json=body(user="anna"), headers=bearer(key))
    assert [(request.owner, request.user) for request in faulty.requests] == [("", "anna")] * 2


def test_anonymous_requests_of_keys_have_namespaces_that_do_not_tell_the_key(
    guarded: httpx.Client, faulty: Any
) -> None:
    for key in ("sk-anna", "sk-all", "sk-anna"):
        guarded.post(CHAT, json=body(user=""), headers=bearer(key))
    first, second, third = (request.owner for request in faulty.requests)
    assert first == third
    assert len({first, second, ""}) == 3
    assert "anna" not in first


def test_without_keys_the_owner_is_the_operator_whatever_key_is_sent(
    serve_faulty: Callable[..., Any], faulty: Any
) -> None:
    httpx.post(serve_faulty().url + CHAT, json=body(user="anna"), headers=bearer("anything"))
    assert (faulty.requests[0].owner, faulty.requests[0].user) == ("", "anna")


def test_without_keys_only_loopback_is_served(faulty: Any) -> None:
    with pytest.raises(UserError, match="LLMREC_KEYS"):
        create_app(faulty, Settings(host="0.0.0.0"))
    create_app(faulty, Settings(host="0.0.0.0", keys={"k": ("*",)}))


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/docs", "/"])
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"host": "localhost:7860"}, True),
        ({"host": "[::1]:7860"}, True),
        ({"host": "127.0.0.1"}, True),
        ({"host": "evil.example:7860"}, False),
        ({"host": "localhost.evil.example"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({"origin": "http://localhost:7860"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
    ],
)
def test_without_keys_a_foreign_page_gets_nothing(
    serve_faulty: Callable[..., Any], path: str, headers: dict[str, str], allowed: bool
) -> None:
    answer = httpx.get(serve_faulty().url + path, headers=headers)
    assert (answer.status_code != 403) == allowed


async def test_without_keys_another_machine_gets_nothing(faulty: Any) -> None:
    for address, allowed in (("192.0.2.7", False), ("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True)):
        transport = httpx.ASGITransport(create_app(faulty, Settings()), client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert ((await client.get("/v1/models")).status_code == 200) == allowed


def test_loopback_names() -> None:
    assert all(is_loopback(host) for host in ("localhost", "LOCALHOST.", "127.0.0.1", "127.8.8.8", "::1"))
    assert not any(
        is_loopback(host) for host in ("", "0.0.0.0", "::", "example.com", "10.0.0.1", "localhost.example.com")
    )


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_a_declared_body_that_is_too_large_is_refused_unread(serve_faulty: Callable[..., Any]) -> None:
    server = serve_faulty(limits={"body_bytes": 1000})
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert httpx.post(server.url + CHAT, json=body()).status_code == 200


def test_a_streamed_body_is_counted_as_it_arrives(serve_faulty: Callable[..., Any]) -> None:
    server = serve_faulty(limits={"body_bytes": 1000})
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = (f"POST {CHAT} HTTP/1.1", "host: localhost", "transfer-encoding: chunked", "", "")
        connection.sendall("\r\n".join(head).encode())
        for _ in range(11):  # never the end
            connection.sendall(b"64\r\n" + b" " * 100 + b"\r\n")
        answer = b""
        while b"}}" not in answer:
            answer += connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"body_too_large"' in answer

    def small() -> Iterator[bytes]:
        yield b'{"messages": [{"role": "user", '
        yield b'"content": "hi"}], "metadata": {"thread": "t"}}'

    answered = httpx.post(server.url + CHAT, content=small(), headers={"content-type": "application/json"})
    assert answered.status_code == 200


def test_a_long_message_within_the_limit_is_read(serve_faulty: Callable[..., Any], faulty: Any) -> None:
    text = "שלום 🎉 " * 1250  # 10,000 characters, right to left and emoji
    assert httpx.post(serve_faulty().url + CHAT, json=body(text)).status_code == 200
    assert faulty.requests[0].text == text


def test_each_key_has_its_own_rate(serve_faulty: Callable[..., Any]) -> None:
    client = httpx.Client(base_url=serve_faulty(keys=KEYS, limits={"requests_per_minute": 3}).url)
    statuses = [client.get("/v1/models", headers=bearer("sk-anna")).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    refused = client.get("/v1/models", headers=bearer("sk-anna"))
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert client.get("/v1/models", headers=bearer("sk-all")).status_code == 200
    assert client.get("/health").status_code == 200


def test_guessing_keys_is_limited_and_does_not_lock_out_their_bearers(serve_faulty: Callable[..., Any]) -> None:
    client = httpx.Client(base_url=serve_faulty(keys=KEYS, limits={"requests_per_minute": 3}).url)
    statuses = [client.get("/v1/models", headers=bearer(f"guess-{i}")).status_code for i in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert client.get("/v1/models", headers=bearer("sk-anna")).status_code == 200


def test_the_rate_recovers_evenly() -> None:
    now = 0.0
    rate = RateLimit(60, clock=lambda: now)
    assert [rate.take("a") for _ in range(60)] == [0.0] * 60
    assert rate.take("a") == pytest.approx(1.0)
    now = 0.5
    assert rate.take("a") == pytest.approx(0.5)
    now = 1.01
    assert rate.take("a") == 0.0
    assert rate.take("a") > 0
    assert rate.take("b") == 0.0
    now = 10_000.0
    assert [rate.take("a") for _ in range(60)] == [0.0] * 60, "never more than a minute's worth is saved up"
    assert rate.take("a") > 0


def test_the_rate_remembers_a_bounded_number_of_callers() -> None:
    rate = RateLimit(1)
    for index in range(30_000):
        rate.take(f"client {index}")
    assert len(rate._buckets) <= 10_000


def test_more_work_than_allowed_at_once_is_refused(
    serve_faulty: Callable[..., Any], faulty: Any, wait_until: Callable[..., None]
) -> None:
    server = serve_faulty(limits={"concurrency": 2})
    stop = threading.Event()

    def listen() -> None:
        with httpx.stream("POST", server.url + CHAT, json=body("drip", stream=True)) as answer:
            for _ in answer.iter_bytes():
                if stop.is_set():
                    return

    threads = [threading.Thread(target=listen) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: faulty.running == 2)
    refused = httpx.post(server.url + CHAT, json=body())
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "overloaded"
    assert refused.headers["retry-after"] == "1"
    for path in ("/health", "/metrics"):
        assert httpx.get(server.url + path).status_code == 200
    stop.set()
    for thread in threads:
        thread.join()
    wait_until(lambda: httpx.post(server.url + CHAT, json=body()).status_code == 200)
