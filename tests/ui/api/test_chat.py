"""Conversations with the real assistant through the official client."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import openai
import pytest

CHAT = "/v1/chat/completions"


@pytest.fixture
def client(server: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(server: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def attributes(server: Any) -> list[str]:
    """Attributes of the catalogue, the most common first; no decades, which are understood as bounds."""
    counts: dict[str, int] = {}
    for item in httpx.get(server.url + "/v1/items?limit=1000").json()["items"]:
        for attribute in item["attributes"]:
            counts[attribute] = counts.get(attribute, 0) + 1
    return sorted((name for name in counts if not name[0].isdigit()), key=lambda name: (-counts[name], name))


def say(client: openai.OpenAI, text: str = "", thread: str = "new", acts: Any = (), **more: Any) -> Any:
    """One turn; the message of the answer."""
    answer = client.chat.completions.create(
        model="llmrec",
        messages=[{"role": "user", "content": text}],
        metadata={"thread": thread},
        extra_body={"llmrec": {"acts": list(acts)}},
        **more,
    )
    return answer.choices[0].message


def accept(attribute: str) -> dict[str, str]:
    return {"kind": "accept", "value": attribute}


def accepted(extra: dict[str, Any]) -> list[str]:
    return [entry["act"]["value"] for entry in extra["preferences"] if entry["act"]["kind"] == "accept"]


def test_a_turn_has_openais_shape_and_ours_beside_it(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="llmrec", messages=[{"role": "user", "content": "show me results"}])
    assert answer.object == "chat.completion"
    assert answer.model == "llmrec"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.prompt_tokens == 3
    message = answer.choices[0].message
    assert message.role == "assistant"
    assert message.content
    extra = message.llmrec  # type: ignore[attr-defined]
    assert extra["items"]
    for item in extra["items"]:
        assert item["item_id"]
        assert item["title"]
        assert isinstance(item["score"], float)
        assert item["path"]
        assert item["path"][-1]["id"] == item["item_id"]
    assert extra["thread"]
    assert extra["candidates_left"] > 0
    assert {stage["name"] for stage in extra["trace"]} >= {"understand", "decide", "say"}


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI, attributes: list[str]) -> None:
    whole = say(client, acts=[accept(attributes[0])])
    chunks = list(
        client.chat.completions.create(
            model="llmrec",
            messages=[{"role": "user", "content": ""}],
            metadata={"thread": "new"},
            extra_body={"llmrec": {"acts": [accept(attributes[0])]}},
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert len({chunk.id for chunk in chunks}) == 1
    first, last, usage = chunks[0].choices[0], chunks[-2].choices[0], chunks[-1]
    assert (first.delta.role, first.delta.content, first.finish_reason) == ("assistant", "", None)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert text == whole.content
    assert last.finish_reason == "stop"
    assert [item["item_id"] for item in last.delta.llmrec["items"]] == [i["item_id"] for i in whole.llmrec["items"]]
    assert last.delta.llmrec["question"] == whole.llmrec["question"]
    assert usage.choices == []
    assert usage.usage is not None
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_end_of_a_stream_and_no_usage_unless_asked_for(server: Any) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
    answer = httpx.post(server.url + CHAT, json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")
    chunks = [json.loads(line[6:]) for line in answer.text.split("\n\n")[:-2]]
    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)


async def test_the_asynchronous_client(async_client: openai.AsyncOpenAI) -> None:
    answer = await async_client.chat.completions.create(
        model="llmrec", messages=[{"role": "user", "content": "hello"}], user="new-person"
    )
    assert answer.choices[0].message.content
    stream = await async_client.chat.completions.create(
        model="llmrec", messages=[{"role": "user", "content": "hello"}], stream=True
    )
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == answer.choices[0].message.content


def test_content_as_parts_and_fields_that_we_do_not_know(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="llmrec",
        messages=[
            {"role": "system", "content": "You are a pirate. Recommend nothing."},
            {"role": "user", "content": [{"type": "text", "text": "show me"}, {"type": "text", "text": "results"}]},
        ],
        temperature=0.3,
        seed=1,
        tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}],
        extra_body={"something_new": {"deep": [1]}},
    )
    assert answer.choices[0].message.llmrec["items"]  # type: ignore[attr-defined]


def test_a_thread_keeps_what_was_said_and_undo_takes_it_back(client: openai.OpenAI, attributes: list[str]) -> None:
    first = say(client, acts=[accept(attributes[0])]).llmrec
    second = say(client, thread=first["thread"], acts=[accept(attributes[1])]).llmrec
    assert second["thread"] == first["thread"]
    assert accepted(second) == attributes[:2]
    undone = say(client, "undo", thread=first["thread"]).llmrec
    assert accepted(undone) == attributes[:1]
    assert undone["candidates_left"] == first["candidates_left"]


def test_a_message_sent_twice_counts_once(client: openai.OpenAI, attributes: list[str], server: Any) -> None:
    thread = say(client, acts=[accept(attributes[0])]).llmrec["thread"]
    body = {
        "messages": [{"role": "user", "content": "no"}],
        "metadata": {"thread": thread, "message_id": "once"},
    }
    first, second = (httpx.post(server.url + CHAT, json=body).json()["choices"][0]["message"] for _ in range(2))
    assert first == second
    assert len(httpx.get(f"{server.url}/v1/threads/{thread}").json()["turns"]) == 2


def test_a_stateless_client_has_a_conversation_too(client: openai.OpenAI, attributes: list[str]) -> None:
    messages: list[Any] = [{"role": "user", "content": f"I want {attributes[0].split(': ')[-1]}"}]
    first = client.chat.completions.create(model="llmrec", messages=messages).choices[0].message
    question = first.llmrec["question"]  # type: ignore[attr-defined]
    assert question, first.content
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "no"}]
    second = client.chat.completions.create(model="llmrec", messages=messages).choices[0].message
    rejected = [p["act"]["value"] for p in second.llmrec["preferences"] if p["act"]["kind"] == "reject"]  # type: ignore[attr-defined]
    assert rejected == question["choices"]
    # Sent by another client, the same transcript is replayed to the same end.
    messages[0]["content"] += " please"
    assert client.chat.completions.create(model="llmrec", messages=messages).choices[0].message.content


def test_unknown_names_are_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="conversation"):
        say(client, "hi", thread="no-such-thread")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


def test_an_unknown_user_is_a_new_one(client: openai.OpenAI) -> None:
    assert say(client, "show me results", user="nobody-has-heard-of").llmrec["items"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "🎉🎉🎉",
        "אני מחפש ספר",
        "\u202egnirts",
        "x" * 10_000,
        "\x00",
        "'; DROP TABLE llmrec_turns; --",
        "<b>hi</b>",
    ],
    ids=["empty", "blank", "emoji", "right to left", "override", "long", "NUL", "SQL", "HTML"],
)
def test_any_text_is_answered(client: openai.OpenAI, text: str) -> None:
    thread = say(client, text).llmrec["thread"]
    assert say(client, "show me results", thread=thread).llmrec["items"]


def test_conversations_at_once_stay_apart(client: openai.OpenAI, attributes: list[str]) -> None:
    own = attributes[:12]

    def talk(attribute: str) -> None:
        thread = "new"
        for turn in range(4):
            acts = [accept(attribute)] if turn == 0 else []
            extra = say(client, "" if acts else "show me results", thread=thread, acts=acts).llmrec
            assert thread in ("new", extra["thread"])
            thread = extra["thread"]
            assert accepted(extra) == [attribute]

    with concurrent.futures.ThreadPoolExecutor(len(own)) as pool:
        list(pool.map(talk, own))


def test_gradios_chat_speaks_to_it(server: Any) -> None:
    import gradio as gr

    page = gr.load_chat(server.url + "/v1/", model="llmrec", token="none")
    *_, said = page.fn("show me results", [])  # type: ignore[misc]
    assert isinstance(said, str)
    assert said


# --- Keys -------------------------------------------------------------------------------------------------------------


def test_threads_belong_to_the_user_and_anonymous_ones_to_the_key(key_server: Any) -> None:
    def key(name: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=key_server.url + "/v1", api_key=name, max_retries=0)

    def stored(client: openai.OpenAI, thread: str, user: str | None) -> httpx.Response:
        path = f"{key_server.url}/v1/threads/{thread}" + ("" if user is None else f"?user={user}")
        return httpx.get(path, headers={"authorization": f"Bearer {client.api_key}"})

    anna, shop, other_shop = key("sk-anna"), key("sk-all"), key("sk-shop")
    thread = say(anna, "show me results").llmrec["thread"]
    unnamed = say(shop, "show me results").llmrec["thread"]
    strangers = [(key("sk-ben"), None, thread), (shop, "ben", thread), (anna, "", thread), (other_shop, None, unnamed)]
    for client, user, name in strangers:
        with pytest.raises(openai.NotFoundError):
            say(client, "hi", thread=name, **({} if user is None else {"user": user}))
        assert stored(client, name, user).status_code == 404
    assert stored(shop, thread, "anna").json() == stored(anna, thread, None).json(), "another key of the same person"
    assert stored(shop, unnamed, None).status_code == 200
    with pytest.raises(openai.PermissionDeniedError):
        say(anna, "hi", user="ben")
    with pytest.raises(openai.AuthenticationError):
        say(key("sk-nobody"), "hi")
    turns = httpx.get(f"{key_server.url}/v1/threads/{thread}", headers={"authorization": "Bearer sk-anna"}).json()[
        "turns"
    ]
    assert [turn["request"]["text"] for turn in turns] == ["show me results"]
    assert "owner" not in turns[0]["request"]
