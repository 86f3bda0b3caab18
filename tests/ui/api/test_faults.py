"""What the API does when something goes wrong: on the wire, in the assistant, with the client."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx
import openai
import pytest

CHAT = "/v1/chat/completions"


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "metadata": {"thread": "t"}, **more}


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The OpenAI error body, whose shape is the same for every failure."""
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    content = response.json()
    assert set(content) == {"error"}
    assert set(content["error"]) == {"message", "type", "param", "code"}
    assert isinstance(content["error"]["message"], str)
    return content["error"]


@pytest.fixture
def client(serve_faulty: Callable[..., Any]) -> httpx.Client:
    return httpx.Client(base_url=serve_faulty().url)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"{bad", "not valid JSON"),
        (b"", "body"),
        (b"[1]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"messages": NaN}', "not valid JSON"),
        (b'{"messages": "\xff"}', "not valid JSON"),
        (b'{"messages": [{"role": "user", "content": "half \\ud83d of a pair"}]}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"n": ' + b"1" * 5_000 + b"}", "not valid JSON"),
    ],
)
def test_a_malformed_body_is_the_clients_mistake(client: httpx.Client, raw: bytes, says: str) -> None:
    response = client.post(CHAT, content=raw, headers={"content-type": "application/json"})
    assert response.status_code == 400
    error = error_of(response)
    assert error["type"] == "invalid_request_error"
    assert says in error["message"]


def test_json_of_another_content_type_is_refused(client: httpx.Client) -> None:
    # A page elsewhere can make a browser post text/plain here without asking; JSON it cannot.
    response = client.post(CHAT, content=json.dumps(body("hi")), headers={"content-type": "text/plain"})
    assert response.status_code == 400
    assert "content-type: application/json" in error_of(response)["message"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king", "content": "hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
        (
            {
                "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
                "metadata": {},
            },
            "messages",
        ),
        ({"n": 2}, "n"),
        ({"metadata": {"thread": 3}}, "metadata.thread"),
        ({"user": "u" * 513}, "user"),
        ({"llmrec": {"acts": [{"kind": "dance"}]}}, "llmrec.acts.0.kind"),
    ],
)
def test_a_wrong_field_is_named(client: httpx.Client, change: dict[str, Any], param: str) -> None:
    response = client.post(CHAT, json={**body("hi"), **change})
    assert response.status_code == 400
    assert error_of(response)["param"] == param


def test_unknown_routes_methods_and_models(client: httpx.Client) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        nowhere = client.request(method, "/v1/nope")
        assert nowhere.status_code == 404
        assert error_of(nowhere)["code"] == "unknown_url"
    assert error_of(client.get("/nope"))["type"] == "invalid_request_error"
    wrong_method = client.put("/v1/models")
    assert wrong_method.status_code == 405
    assert error_of(wrong_method)["type"] == "invalid_request_error"
    assert "GET" in wrong_method.headers["allow"]
    wrong_model = client.post(CHAT, json={**body("hi"), "model": "gpt-4o"})
    assert wrong_model.status_code == 404
    assert error_of(wrong_model)["code"] == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
def test_what_fails_before_the_answer_has_its_own_status(client: httpx.Client, stream: bool) -> None:
    locked = client.post(CHAT, json=body("locked", stream=stream))
    assert locked.status_code == 503
    assert "locked" in error_of(locked)["message"]
    assert locked.headers["retry-after"]
    unknown = client.post(CHAT, json=body("hi", stream=stream, metadata={"thread": "nobody's"}))
    assert unknown.status_code == 404
    assert error_of(unknown)["code"] == "not_found"
    bug = client.post(CHAT, json=body("bug", stream=stream))
    assert bug.status_code == 500
    assert "secret" not in bug.text
    assert error_of(bug)["type"] == "server_error"


def test_an_error_in_mid_stream_is_one_line_and_the_end(client: httpx.Client) -> None:
    for text, message in (("broken", "locked"), ("broken bug", "unexpected")):
        response = client.post(CHAT, json=body(text, stream=True))
        assert response.status_code == 200
        lines = [line for line in response.text.split("\n\n") if line]
        assert [json.loads(line.removeprefix("data: ")).get("error") is not None for line in lines] == [
            False,
            False,
            True,
        ]
        error = json.loads(lines[-1].removeprefix("data: "))["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert message in error["message"]
        assert "secret" not in response.text


def test_the_official_client_raises_on_an_error_in_mid_stream(serve_faulty: Callable[..., Any]) -> None:
    client = openai.OpenAI(base_url=serve_faulty().url + "/v1", api_key="none")
    stream = client.chat.completions.create(
        model="llmrec", messages=[{"role": "user", "content": "broken"}], metadata={"thread": "t"}, stream=True
    )
    with pytest.raises(openai.APIError, match="locked"):
        list(stream)


def test_an_error_in_mid_stream_frees_everything(serve_faulty: Callable[..., Any], faulty: Any) -> None:
    server = serve_faulty()
    httpx.post(server.url + CHAT, json=body("broken", stream=True))
    assert faulty.running == 0
    assert "llmrec_active_streams 0.0" in httpx.get(server.url + "/metrics").text


@pytest.mark.parametrize(
    ("text", "stream", "after"),
    [("drip", True, b"drip"), ("slow", True, b""), ("slow", False, b"")],
    ids=["in mid-stream", "before the first token", "before the answer"],
)
def test_a_client_that_leaves_ends_the_turn(
    serve_faulty: Callable[..., Any],
    faulty: Any,
    wait_until: Callable[..., None],
    text: str,
    stream: bool,
    after: bytes,
) -> None:
    server = serve_faulty(limits={"concurrency": 1})
    raw = json.dumps(body(text, stream=stream)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw)
        seen = b""
        while after not in seen:
            seen += connection.recv(4096)
        wait_until(lambda: faulty.running == 1)
    wait_until(lambda: faulty.cancelled == 1 and faulty.running == 0)
    # The place it held is free again, and nothing counts as active.
    wait_until(lambda: httpx.post(server.url + CHAT, json=body("hi")).status_code == 200)
    metrics = httpx.get(server.url + "/metrics").text
    assert "llmrec_active_streams 0.0" in metrics
    assert "llmrec_active_requests 0.0" in metrics


async def test_a_stream_closed_by_the_official_client_ends_the_turn(
    serve_faulty: Callable[..., Any], faulty: Any, wait_until: Callable[..., None]
) -> None:
    async with openai.AsyncOpenAI(base_url=serve_faulty().url + "/v1", api_key="none") as client:
        stream = await client.chat.completions.create(
            model="llmrec", messages=[{"role": "user", "content": "drip"}], metadata={"thread": "t"}, stream=True
        )
        async for chunk in stream:
            if chunk.choices[0].delta.content == "drip ":
                break
        await stream.close()
    await asyncio.to_thread(wait_until, lambda: faulty.cancelled == 1 and faulty.running == 0)


def test_logs_name_the_request_and_no_texts(serve_faulty: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "llmrec.api.requests")
    server = serve_faulty(keys={"sk-topsecret": ["*"]})
    headers = {"authorization": "Bearer sk-topsecret", "x-request-id": "abc-1"}
    answer = httpx.post(server.url + CHAT, json=body("my private wish", user="anna"), headers=headers)
    assert answer.headers["x-request-id"] == "abc-1"
    httpx.post(server.url + CHAT, json=body("bug", user="anna"), headers=headers)
    deadline = time.monotonic() + 10
    while True:  # the line is written after the answer is sent
        lines = [json.loads(r.getMessage()) for r in caplog.records if r.name == "llmrec.api.requests"]
        if len(lines) == 2 or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    assert [(line["request_id"], line["route"], line["status"]) for line in lines] == [
        ("abc-1", CHAT, 200),
        ("abc-1", CHAT, 500),
    ]
    for private in ("private", "sk-topsecret", "anna", "secret bug"):
        assert private not in caplog.text


def test_a_request_id_that_could_forge_log_lines_is_replaced(client: httpx.Client) -> None:
    for bad in ("a b", "x" * 65, '"}'):
        assert client.get("/health", headers={"x-request-id": bad}).headers["x-request-id"] != bad


def test_a_turn_on_a_locked_database_is_503_and_works_afterwards(server: Any) -> None:
    with closing(sqlite3.connect(server.state, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = httpx.post(server.url + CHAT, json=body("hi", metadata={"thread": "new"}), timeout=60)
        other.execute("ROLLBACK")
    assert refused.status_code == 503
    assert "locked" in error_of(refused)["message"]
    assert httpx.post(server.url + CHAT, json=body("hi", metadata={"thread": "new"}), timeout=60).status_code == 200
