"""The openai: engine against a server that behaves well, badly, slowly, or not at all."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator

import pytest

from llmrec.contracts import Engine, Message
from llmrec.errors import EngineError, EngineNonsense, EngineTimeout, EngineUnavailable, UserError
from llmrec.language.engines import open_engine
from llmrec.language.openai import OpenAIEngine
from llmrec.testing.engines import EngineKit
from llmrec.testing.scripted_server import Reply, ScriptedServer

HELLO = [Message("user", "hello")]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


async def ask(engine: Engine, **options: object) -> str:
    return "".join([piece async for piece in engine.chat(HELLO, **options)])  # type: ignore[arg-type]


def engine_of(server: ScriptedServer, timeout: float = 5.0) -> OpenAIEngine:
    return OpenAIEngine(server.url, timeout=timeout)


class TestConformance(EngineKit):
    @pytest.fixture
    async def engine(self) -> AsyncIterator[Engine]:
        def script(body: dict) -> Reply:
            return Reply('{"word": "blue"}' if "response_format" in body else "blue as ever", pause=0.01)

        with ScriptedServer(script) as server:
            engine = engine_of(server)
            yield engine
            await engine.aclose()


async def test_a_good_answer_is_streamed_and_the_first_model_is_taken() -> None:
    with ScriptedServer([Reply("one two three four")], models=["first", "second"]) as server:
        engine = engine_of(server)
        pieces = [piece async for piece in engine.chat(HELLO, max_tokens=7, temperature=0.5)]
        assert len(pieces) > 1
        assert "".join(pieces) == "one two three four"
        assert server.requests[0]["model"] == "first"
        assert server.requests[0]["max_tokens"] == 7
        assert server.requests[0]["temperature"] == 0.5
        assert server.requests[0]["messages"] == [{"role": "user", "content": "hello"}]
        await engine.aclose()


async def test_the_model_of_the_uri_is_asked() -> None:
    with ScriptedServer([Reply("yes")]) as server:
        engine = open_engine(f"openai:{server.url}#mine")
        assert engine is not None
        assert await ask(engine) == "yes"
        assert server.requests[0]["model"] == "mine"
        await engine.aclose()


async def test_a_schema_reaches_the_server_and_its_answer_is_checked() -> None:
    replies = [Reply('{"n": 3}'), Reply('{"n": "three"}'), Reply("three!"), Reply('```json\n{"n": 4}\n```')]
    with ScriptedServer(replies) as server:
        engine = engine_of(server)
        assert json.loads(await ask(engine, schema=SCHEMA)) == {"n": 3}
        assert server.requests[0]["response_format"]["json_schema"]["schema"] == SCHEMA
        with pytest.raises(EngineNonsense, match="not what was asked for"):
            await ask(engine, schema=SCHEMA)
        with pytest.raises(EngineNonsense, match="no JSON"):
            await ask(engine, schema=SCHEMA)
        assert json.loads(await ask(engine, schema=SCHEMA)) == {"n": 4}
        await engine.aclose()


@pytest.mark.parametrize(
    "body", ["data: {not json\n\n", 'data: "text"\n\n', 'data: {"choices": 7}\n\n', "<html>proxy</html>", ""]
)
async def test_a_malformed_answer_is_an_engine_error(body: str) -> None:
    with ScriptedServer([Reply(body=body)]) as server:
        engine = engine_of(server)
        with pytest.raises((EngineNonsense, EngineUnavailable)):
            await ask(engine)
        await engine.aclose()


@pytest.mark.parametrize("reply", [Reply("late", delay=30), Reply("slow and slower still", pause=0.3)])
async def test_a_slow_server_is_left_after_the_deadline(reply: Reply) -> None:
    with ScriptedServer([reply]) as server:
        engine = engine_of(server)
        with pytest.raises(EngineTimeout, match="did not answer"):
            await ask(engine, timeout=0.5)
        await engine.aclose()


async def test_server_errors_are_tried_again_once_then_reported() -> None:
    with ScriptedServer([Reply(status=500), Reply("recovered")]) as server:
        engine = engine_of(server)
        assert await ask(engine) == "recovered"
        assert len(server.requests) == 2
        await engine.aclose()
    with ScriptedServer([Reply(status=503)]) as server:
        engine = engine_of(server)
        with pytest.raises(EngineUnavailable, match="503"):
            await ask(engine)
        assert len(server.requests) == 2
        await engine.aclose()


@pytest.mark.parametrize(
    ("status", "words"), [(401, "refuses the key"), (404, "does not know the model"), (400, "refused the request")]
)
async def test_refusals_are_not_tried_again(status: int, words: str) -> None:
    with ScriptedServer([Reply(status=status)]) as server:
        engine = engine_of(server)
        with pytest.raises(EngineError, match=words):
            await ask(engine)
        assert len(server.requests) == 1
        await engine.aclose()


async def test_a_connection_that_drops_in_the_middle_is_unavailable() -> None:
    with ScriptedServer([Reply("a long answer that never ends", drop_after=3)]) as server:
        engine = engine_of(server)
        seen = []
        with pytest.raises(EngineUnavailable, match="broke off"):
            async for piece in engine.chat(HELLO):
                seen += [piece]
        assert seen
        await engine.aclose()


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    engine = OpenAIEngine(url + "#m", timeout=5)
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        await ask(engine)
    await engine.aclose()


async def test_a_caller_that_leaves_closes_the_stream() -> None:
    with ScriptedServer([Reply("x" * 400, pause=0.2)]) as server:
        engine = engine_of(server)

        async def read() -> None:
            async for _ in engine.chat(HELLO):
                pass

        task = asyncio.create_task(read())
        await asyncio.sleep(0.5)
        assert server.requests
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(100):
            if server.closed_early:
                break
            await asyncio.sleep(0.05)
        assert server.closed_early == 1
        await engine.aclose()


async def test_the_key_comes_from_the_environment_and_shows_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "general-secret")
    monkeypatch.setenv("LLMREC_LLM_KEY", "own-secret")
    caplog.set_level(logging.DEBUG)
    with ScriptedServer([Reply(status=401)]) as server:
        engine = engine_of(server)
        with pytest.raises(EngineError) as raised:
            await ask(engine)
        assert server.keys == ["Bearer own-secret"]
        assert "secret" not in str(raised.value) + repr(engine) + caplog.text
        await engine.aclose()


def test_uris() -> None:
    assert open_engine("") is None
    with pytest.raises(UserError, match="cannot read the llm"):
        open_engine("gpt")
    with pytest.raises(UserError, match="cannot read the llm address"):
        open_engine("openai:localhost:8000")
    with pytest.raises(UserError, match="did you mean openai"):
        open_engine("opena:http://localhost/v1")
