"""Plain chat with the base language model and its adapters, through the official client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from safetensors.numpy import save_file

from llmrec.adapters import AdapterStore
from llmrec.contracts import Capabilities, Message
from llmrec.errors import EngineTimeout, EngineUnavailable, NotSupported
from llmrec.testing.scripted_server import MODEL, Reply, ScriptedServer

CHAT = "/v1/chat/completions"
HELLO: Any = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
KEYS = {"sk-anna": ["anna"], "sk-ben": ["ben"], "sk-all": ["*"]}

Serve = Callable[..., Any]


class Parrot:
    """An engine with adapters: it says which one it uses and what it was told."""

    name = "parrot"
    capabilities = Capabilities(adapters=True)

    def __init__(self) -> None:
        self.ended = 0

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        schema: Mapping[str, Any] | None = None,
        adapter: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncIterator[str]:
        if schema is not None:
            raise NotSupported("a parrot speaks freely")
        text = messages[-1].content
        failures = {"slow": EngineTimeout("too slow"), "down": EngineUnavailable("out of reach")}
        if text in failures:
            raise failures[text]
        try:
            yield f"{adapter or 'base'}:"
            for message in messages:
                yield f" {message.content}"
            if text == "break":
                raise EngineUnavailable("out of reach")
            while text == "drip":
                await asyncio.sleep(0.02)
                yield " drip"
        finally:
            self.ended += 1

    async def aclose(self) -> None:
        pass


@pytest.fixture
def parrot() -> Parrot:
    return Parrot()


@pytest.fixture
def store(tmp_path: Path) -> AdapterStore:
    return AdapterStore(tmp_path / "adapters")


@pytest.fixture
def peft_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "peft"
    folder.mkdir()
    config = {"peft_type": "LORA", "base_model_name_or_path": "base", "r": 8, "lora_alpha": 8}
    (folder / "adapter_config.json").write_text(json.dumps(config | {"target_modules": ["q_proj"]}))
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    tensors = {name.format("A"): np.zeros((8, 4), np.float32), name.format("B"): np.zeros((4, 8), np.float32)}
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def client_of(server: Any, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0)


def said(client: openai.OpenAI, model: str, text: str = "hello") -> str:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
    assert answer.model == model
    return answer.choices[0].message.content or ""


def listed(client: openai.OpenAI) -> list[str]:
    return [model.id for model in client.models.list()]


# --- The base model ---------------------------------------------------------------------------------------------------


def test_the_base_model_speaks_for_itself(serve_language: Serve) -> None:
    with ScriptedServer([Reply("one two three four")]) as scripted:
        client = client_of(serve_language(f"openai:{scripted.url}#{MODEL}"))
        assert listed(client) == ["llmrec", "minilm", MODEL]
        assert client.models.retrieve(MODEL).id == MODEL
        messages = [{"role": "developer", "content": "Be brief."}, {"role": "tool", "content": "x"}, *HELLO]
        whole = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=7, temperature=0.5)
        choice = whole.choices[0]
        assert (whole.model, choice.message.content, choice.finish_reason) == (MODEL, "one two three four", "stop")
        assert not hasattr(choice.message, "llmrec")
        asked = scripted.requests[-1]
        assert asked["messages"] == [{"role": "system", "content": "Be brief."}, *HELLO]
        assert (asked["max_tokens"], asked["temperature"]) == (7, 0.5)
        client.chat.completions.create(model=MODEL, messages=HELLO, max_completion_tokens=5)
        assert (scripted.requests[-1]["max_tokens"], scripted.requests[-1]["temperature"]) == (5, 1.0)
        assert len(scripted.requests) == 2, "the agent has no part in it"


def test_its_stream_has_openais_shape(serve_language: Serve) -> None:
    with ScriptedServer([Reply("one two three four")]) as scripted:
        client = client_of(serve_language(f"openai:{scripted.url}#{MODEL}"))
        asked: Any = {"model": MODEL, "messages": HELLO, "stream": True}
        chunks = list(client.chat.completions.create(**asked, stream_options={"include_usage": True}))
        assert chunks[0].choices[0].delta.role == "assistant"
        pieces = [chunk.choices[0].delta.content or "" for chunk in chunks[:-1]]
        assert sum(map(bool, pieces)) > 4 and "".join(pieces) == "one two three four"
        assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["stop"]
        assert chunks[-1].choices == [] and chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == chunks[-1].usage.prompt_tokens + chunks[-1].usage.completion_tokens
        assert all(chunk.usage is None for chunk in client.chat.completions.create(**asked))


def test_how_it_ended_and_what_it_took_are_the_engines(serve_language: Serve) -> None:
    with ScriptedServer([Reply("one two three", finish="length", usage=(70, 30)), Reply("one")]) as scripted:
        client = client_of(serve_language(f"openai:{scripted.url}#{MODEL}"))
        whole = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=3)
        assert whole.choices[0].finish_reason == "length" and whole.usage is not None
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens) == (70, 30, 100)
        whole = client.chat.completions.create(model=MODEL, messages=HELLO)
        assert whole.choices[0].finish_reason == "stop" and whole.usage is not None
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (1, 1), "words, where it does not tell"


def test_deltas_are_not_kept_back(serve_language: Serve) -> None:
    with ScriptedServer([Reply("x" * 400, pause=0.3)]) as scripted:
        client = client_of(serve_language(f"openai:{scripted.url}#{MODEL}"))
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        assert any(chunk.choices[0].delta.content for chunk in stream)
        stream.close()  # long before the scripted server has sent all


def test_a_model_that_only_its_server_knows(serve_language: Serve) -> None:
    with ScriptedServer([Reply("yes")], models=["first"]) as scripted:
        client = client_of(serve_language(f"openai:{scripted.url}"))
        assert said(client, "first") == "yes"
        assert "first" in listed(client)
    with ScriptedServer([Reply("yes")]) as gone:
        pass
    client = client_of(serve_language(f"openai:{gone.url}", llm_timeout=1.0))
    assert listed(client) == ["llmrec", "minilm"]


def test_without_a_language_model_there_is_none(serve_faulty: Serve) -> None:
    client = client_of(serve_faulty())
    assert listed(client) == ["llmrec", "minilm"]
    for name in ("parrot", "search", "user:anna", "minilm", ""):
        with pytest.raises(openai.NotFoundError) as caught:
            said(client, name)
        assert caught.value.code == "model_not_found"


# --- Schemas ----------------------------------------------------------------------------------------------------------


def test_a_schema_is_kept(serve_language: Serve) -> None:
    replies = [Reply('{"n": 3}'), Reply('{"n": "x"}'), Reply('{"m": 1}')]
    with ScriptedServer(replies) as scripted:
        client = client_of(serve_language(f"openai:{scripted.url}#{MODEL}"))
        asked: Any = {"model": MODEL, "messages": HELLO}
        form = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
        answer = client.chat.completions.create(**asked, response_format=form)
        assert json.loads(answer.choices[0].message.content or "") == {"n": 3}
        assert scripted.requests[0]["response_format"]["json_schema"]["schema"] == SCHEMA
        with pytest.raises(openai.InternalServerError, match="not what was asked for") as caught:
            client.chat.completions.create(**asked, response_format=form)
        assert caught.value.status_code == 502
        nested = {"$defs": {"n": SCHEMA}, "$ref": "#/$defs/n", "type": "object"}
        form["json_schema"]["schema"] = nested  # type: ignore[index]
        with pytest.raises(openai.InternalServerError, match="not what was asked for"):
            client.chat.completions.create(**asked, response_format=form)
        answer = client.chat.completions.create(**asked, response_format={"type": "json_object"})
        assert json.loads(answer.choices[0].message.content or "") == {"m": 1}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "nonsense"}, "not valid"),
        ({"$ref": "http://127.0.0.1:1/schema"}, "begin with #"),
        ({"$defs": {"a": {}}, "properties": {"a": {"$ref": "#/$defs/b"}}}, "nothing at /$defs/b"),
        ({"properties": {"a": {"type": "string", "pattern": "(a+)+$"}}}, "patterns"),
        ("text", "json_schema.schema"),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_mistake(
    serve_language: Serve, parrot: Parrot, schema: Any, words: str
) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    body = {"model": "parrot", "messages": HELLO, "response_format": form}
    answer = httpx.post(serve_language(parrot).url + CHAT, json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"] and answer.json()["error"]["param"] == "response_format"


# --- Failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(status=500), 502),
        (Reply(status=401), 502),
        (Reply(status=404), 502),
        (Reply("late", delay=5), 504),
        (Reply(body="no JSON"), 502),
    ],
    ids=["error", "key refused", "unknown there", "too slow", "malformed"],
)
def test_what_fails_before_the_first_word_has_its_status(serve_language: Serve, reply: Reply, status: int) -> None:
    with ScriptedServer([reply]) as scripted:
        server = serve_language(f"openai:{scripted.url}#{MODEL}", llm_timeout=0.7 if reply.delay else 15.0)
        for stream in (False, True):
            answer = httpx.post(server.url + CHAT, json={"model": MODEL, "messages": HELLO, "stream": stream})
            assert answer.status_code == status, answer.text
            assert answer.json()["error"]["type"] == "server_error"


def test_what_its_server_refuses_is_the_clients_mistake(serve_language: Serve) -> None:
    with ScriptedServer([Reply(status=400)]) as scripted:
        server = serve_language(f"openai:{scripted.url}#{MODEL}")
        answer = httpx.post(server.url + CHAT, json={"model": MODEL, "messages": HELLO})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "engine_refused")
        assert "as the script says" in answer.json()["error"]["message"] and len(scripted.requests) == 1


def test_what_an_engine_cannot_do_is_501(serve_language: Serve, parrot: Parrot) -> None:
    body = {"model": "parrot", "messages": HELLO, "response_format": {"type": "json_object"}}
    answer = httpx.post(serve_language(parrot).url + CHAT, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "not_supported")


def test_a_failure_in_mid_stream_is_told_in_the_stream(serve_language: Serve, parrot: Parrot) -> None:
    body = {"model": "parrot", "messages": [{"role": "user", "content": "break"}], "stream": True}
    answer = httpx.post(serve_language(parrot).url + CHAT, json=body)
    lines = answer.text.split("\n\n")
    assert answer.status_code == 200 and "[DONE]" not in answer.text
    assert json.loads(lines[-2].removeprefix("data: "))["error"]["code"] == "engine_failed"
    assert parrot.ended == 1


@pytest.mark.parametrize("stream", [False, True])
def test_the_engine_stops_when_the_client_leaves(
    serve_language: Serve, parrot: Parrot, wait_until: Any, stream: bool
) -> None:
    server = serve_language(parrot)
    body = {"model": "parrot", "messages": [{"role": "user", "content": "drip"}], "stream": stream}
    with httpx.Client() as client:
        if stream:
            # the iterator is kept, because it closes the connection where it is thrown away
            with client.stream("POST", server.url + CHAT, json=body) as answer:
                pieces = answer.iter_raw()
                assert b"base" in next(pieces) + next(pieces)
                assert parrot.ended == 0
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post(server.url + CHAT, json=body, timeout=0.3)
    wait_until(lambda: parrot.ended == 1)


def test_the_scripted_server_notices_it_too(serve_language: Serve, wait_until: Any) -> None:
    with ScriptedServer([Reply("x" * 4000, pause=0.1)]) as scripted:
        server = serve_language(f"openai:{scripted.url}#{MODEL}")
        body = {"model": MODEL, "messages": HELLO, "stream": True}
        with httpx.stream("POST", server.url + CHAT, json=body) as answer:
            next(answer.iter_raw())
        wait_until(lambda: scripted.closed_early == 1)


@pytest.mark.parametrize(
    "changes",
    [{"n": 2}, {"max_tokens": 0}, {"temperature": 3}, {"messages": []}, {"messages": [{"role": "tool"}]}],
    ids=str,
)
def test_mistakes_are_400(serve_language: Serve, parrot: Parrot, changes: dict[str, Any]) -> None:
    answer = httpx.post(serve_language(parrot).url + CHAT, json={"model": "parrot", "messages": HELLO, **changes})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(next(iter(changes)))


# --- Adapters ---------------------------------------------------------------------------------------------------------


def test_an_adapter_that_was_added_while_serving_is_used_at_the_next_request(
    serve_language: Serve, parrot: Parrot, store: AdapterStore, peft_folder: Path
) -> None:
    client = client_of(serve_language(parrot))
    with pytest.raises(openai.NotFoundError):
        said(client, "search")
    store.add("search", peft_folder)
    assert said(client, "search") == "search: hello"
    assert listed(client) == ["llmrec", "minilm", "parrot", "search"]
    assert client.models.retrieve("search").parent == "parrot"  # type: ignore[attr-defined]
    assert said(client, "parrot") == "base: hello"
    store.remove("search")
    with pytest.raises(openai.NotFoundError):
        said(client, "search")
    assert "search" not in listed(client)


def test_personal_adapters_are_for_keys_of_that_person(
    serve_language: Serve, parrot: Parrot, store: AdapterStore, peft_folder: Path
) -> None:
    names = ["search", "team:red", "user:anna", "user:ben"]
    for name in names:
        store.add(name, peft_folder)
    server = serve_language(parrot, keys=KEYS)
    own = {"sk-anna": ["search", "user:anna"], "sk-ben": ["search", "user:ben"], "sk-all": names}
    for key, allowed in own.items():
        client = client_of(server, key)
        assert listed(client) == ["llmrec", "minilm", "parrot", *allowed]
        for name in names:
            if name in allowed:
                assert said(client, name).startswith(name)
                assert client.models.retrieve(name).id == name
                continue
            absent = f"{name.partition(':')[0]}:nobody"
            answers = []
            for asked in (name, absent):
                with pytest.raises(openai.NotFoundError) as caught:
                    said(client, asked)
                with pytest.raises(openai.NotFoundError) as retrieved:
                    client.models.retrieve(asked)
                answers.append([str(error.value).replace(asked, "...") for error in (caught, retrieved)])
            assert answers[0] == answers[1], "what others have looks as if it were not there"
    with pytest.raises(openai.PermissionDeniedError):
        client_of(server, "sk-anna").chat.completions.create(model="search", messages=HELLO, user="ben")


def test_an_engine_without_adapters_has_none(serve_language: Serve, store: AdapterStore, peft_folder: Path) -> None:
    store.add("search", peft_folder)
    with ScriptedServer([Reply("yes")]) as scripted:
        client = client_of(serve_language(f"openai:{scripted.url}#{MODEL}"))
        assert listed(client) == ["llmrec", "minilm", MODEL]
        for call in (lambda: said(client, "search"), lambda: client.models.retrieve("search")):
            with pytest.raises(openai.NotFoundError):
                call()
