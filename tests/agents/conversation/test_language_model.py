"""Turns with a language model: it reads and rewords, and whatever it does, the turn goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llmrec.acts import Act, ActKind
from llmrec.agents.assistant import Assistant
from llmrec.contracts import Capabilities, Message
from llmrec.errors import (
    EngineError,
    EngineNonsense,
    EngineRefused,
    EngineTimeout,
    EngineUnavailable,
    LlmrecError,
    NotSupported,
    UnknownAdapter,
    WorkspaceError,
)
from llmrec.settings import Settings
from llmrec.testing.scripted_server import MODEL, Reply, ScriptedServer
from llmrec.turn import Turn, TurnRequest


@pytest.fixture
def with_model(demo_workspace: Path, state_settings: Settings) -> Callable[..., Any]:
    @asynccontextmanager
    async def opened(server: ScriptedServer, patience: float = 10.0) -> AsyncIterator[Assistant]:
        changes = {"llm": f"openai:{server.url}#{MODEL}", "llm_timeout": patience}
        async with await Assistant.open(demo_workspace, state_settings.model_copy(update=changes)) as assistant:
            yield assistant

    return opened


def reads(body: dict[str, Any]) -> bool:
    """Whether a request asks to read a message (the other kind asks to reword an answer)."""
    return "draft" not in body["messages"][-1]["content"]


def acts(*kinds: tuple[str, str | None]) -> Reply:
    return Reply(json.dumps({"acts": [{"kind": kind, "value": value} for kind, value in kinds]}))


async def test_it_reads_the_message_and_rewords_the_answer(with_model: Callable[..., Any]) -> None:
    def script(body: dict[str, Any]) -> Reply:
        if reads(body):
            return acts(("accept", "mystery"))
        return Reply("Well then. " + json.loads(body["messages"][-1]["content"])["draft"])

    with ScriptedServer(script) as server:
        async with with_model(server) as assistant:
            events = [event async for event in assistant.stream(TurnRequest(text="whodunits, I suppose"))]
    turn = events[-1].turn
    assert [(act.kind, act.value) for act in turn.acts] == [(ActKind.ACCEPT, "mystery")]
    assert turn.text.startswith("Well then. Noted: mystery.")
    assert "".join(event.text for event in events) == turn.text
    details = {stage.name: stage.detail for stage in turn.trace}
    assert details["understand"].endswith("(language-model)") and details["say"] == "language-model"
    assert all("mystery" in item.attributes for item in turn.items)


async def test_a_wording_that_invents_is_not_taken(with_model: Callable[..., Any]) -> None:
    def script(body: dict[str, Any]) -> Reply:
        return acts(("results", None)) if reads(body) else Reply("Read “A Book That Nobody Wrote” for 3 euros!")

    with ScriptedServer(script) as server:
        async with with_model(server) as assistant:
            turn = await assistant.turn(TurnRequest(text="show me something"))
    assert "Nobody Wrote" not in turn.text and turn.items[0].title in turn.text
    assert next(stage.detail for stage in turn.trace if stage.name == "say").startswith("templates: ")


@pytest.mark.parametrize(
    "reply",
    [
        Reply("I would love to help you find a mystery!"),
        Reply('{"acts": [{"kind": "fly", "value": null}]}'),
        Reply(body="not even HTTP's idea of JSON"),
        Reply(status=500),
        Reply("{}", delay=5.0),
        Reply('{"acts": []}', drop_after=1),
    ],
    ids=["prose", "unknown act", "malformed", "error", "too slow", "breaks off"],
)
async def test_without_its_help_the_rules_answer(with_model: Callable[..., Any], reply: Reply) -> None:
    with ScriptedServer(lambda _: reply) as server:
        async with with_model(server, patience=0.7) as assistant:
            turn = await assistant.turn(TurnRequest(text="show me results"))
            asked = len(server.requests)
    assert [act.kind for act in turn.acts] == [ActKind.RESULTS] and len(turn.items) == 10
    detail = next(stage.detail for stage in turn.trace if stage.name == "understand")
    assert "(rules: " in detail
    assert all(reads(body) for body in server.requests) and asked >= 1  # it is not asked for words as well


async def test_a_server_that_is_not_there(with_model: Callable[..., Any]) -> None:
    with ScriptedServer([Reply("{}")]) as server:
        pass
    async with with_model(server, patience=1.0) as assistant:
        assert (await assistant.turn(TurnRequest(text="show me results"))).items
        assert assistant.health()["language_model"]


async def test_clicks_need_no_reading(with_model: Callable[..., Any]) -> None:
    with ScriptedServer(lambda body: Reply(json.loads(body["messages"][-1]["content"])["draft"])) as server:
        async with with_model(server) as assistant:
            turn = await assistant.turn(TurnRequest(acts=[Act(kind=ActKind.RESULTS)]))
    assert len(turn.items) == 10 and not any(reads(body) for body in server.requests)


async def test_the_key_reaches_neither_answer_nor_trace(
    with_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMREC_LLM_KEY", "sk-very-secret")
    with ScriptedServer([Reply(status=401)]) as server:
        async with with_model(server) as assistant:
            turn = await assistant.turn(TurnRequest(text="show me results"))
    assert server.keys[0] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in turn.model_dump_json()


# --- Engines of other abilities, and down for longer ------------------------------------------------------------------


class Scripted:
    """An engine that says the draft in other words, or fails."""

    name = "scripted"

    def __init__(self, capabilities: Capabilities, error: Exception | None = None) -> None:
        self.capabilities, self.error = capabilities, error
        self.asked: list[Sequence[Message]] = []
        self.held = asyncio.Event()
        self.held.set()

    async def chat(self, messages: Sequence[Message], **_: Any) -> AsyncIterator[str]:
        self.asked.append(messages)
        await self.held.wait()
        if self.error is not None:
            raise self.error
        if messages[0].role == "system":
            yield "Well then. " + json.loads(messages[-1].content)["draft"]

    async def aclose(self) -> None:
        pass


@pytest.fixture
def with_engine(
    demo_workspace: Path, state_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Scripted], Any]:
    @asynccontextmanager
    async def opened(engine: Scripted) -> AsyncIterator[Assistant]:
        monkeypatch.setattr("llmrec.agents.assistant.language.open_engine", lambda *_, **__: engine)
        settings = state_settings.model_copy(update={"llm": "scripted:it", "llm_timeout": 5.0})
        async with await Assistant.open(demo_workspace, settings) as assistant:
            yield assistant

    return opened


def stages(turn: Turn) -> dict[str, str]:
    return {stage.name: stage.detail for stage in turn.trace}


@pytest.mark.parametrize(
    "error",
    [
        EngineError("it refuses the key"),
        EngineTimeout("it is too slow"),
        EngineUnavailable("it is out of reach"),
        EngineNonsense("it talks nonsense"),
        NotSupported("it cannot do that"),
        EngineRefused("it reads no more than ten words"),
        UnknownAdapter("it has no such adapter"),
        WorkspaceError("its files are damaged"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_fails_the_turn_is_answered_and_says_so(with_engine: Any, error: LlmrecError) -> None:
    async with with_engine(Scripted(Capabilities(structured=True), error)) as assistant:
        read = await assistant.turn(TurnRequest(text="show me results"))
        assert [act.kind for act in read.acts] == [ActKind.RESULTS] and len(read.items) == 10
        assert stages(read)["understand"] == f"results (rules: {error})"
        assert stages(read)["say"] == "templates: the language model has just failed"
    async with with_engine(Scripted(Capabilities(structured=True), error)) as assistant:
        clicked = await assistant.turn(TurnRequest(acts=[Act(kind=ActKind.RESULTS)]))
        assert clicked.text == read.text and stages(clicked)["say"] == f"templates: {error}"
        state = "ready" if isinstance(error, NotSupported | EngineRefused) else f"failing: {error}"
        assert assistant.health()["language_model"] == {"name": "scripted", "state": state}


async def test_without_structured_output_it_only_rewords(with_engine: Any) -> None:
    async with with_engine(engine := Scripted(Capabilities())) as assistant:
        turn = await assistant.turn(TurnRequest(text="show me results"))
        assert stages(turn)["understand"] == "results (rules)" and stages(turn)["say"] == "language-model"
        assert turn.text.startswith("Well then. ") and len(engine.asked) == 1


async def test_without_chat_it_has_no_part_in_a_turn(with_engine: Any) -> None:
    async with with_engine(engine := Scripted(Capabilities(chat=False, score=True))) as assistant:
        turn = await assistant.turn(TurnRequest(text="show me results"))
        assert stages(turn)["understand"] == "results (rules)" and stages(turn)["say"] == "templates"
        assert not engine.asked and assistant.health()["language_model"]["state"] == "not asked yet"


async def test_a_server_that_never_answers_costs_one_turn_its_timeout(with_model: Callable[..., Any]) -> None:
    with ScriptedServer(lambda _: Reply("{}", delay=3.0)) as server:
        async with with_model(server, patience=0.5) as assistant:
            first = await assistant.turn(TurnRequest(text="show me results"))
            asked = len(server.requests)
            others = [await assistant.turn(TurnRequest(text="show me results")) for _ in range(3)]
            assert len(server.requests) == asked
            assert assistant.health()["language_model"]["state"].startswith("failing: ")
            assert assistant.health()["ready"]
    assert "left alone" not in stages(first)["understand"]
    for turn in others:
        assert turn.items and "(rules: the language model is left alone for " in stages(turn)["understand"]


async def test_while_it_is_loaded_turns_do_without_it(with_engine: Any) -> None:
    engine = Scripted(Capabilities())
    engine.held.clear()
    async with with_engine(engine) as assistant:
        assistant.language.wake()
        await asyncio.sleep(0)
        turn = await assistant.turn(TurnRequest(text="show me results"))
        assert stages(turn)["say"] == "templates: the language model is still starting"
        assert assistant.health()["language_model"]["state"] == "starting"
        engine.held.set()
        await asyncio.sleep(0.01)
        assert assistant.health()["language_model"]["state"] == "ready"
        assert stages(await assistant.turn(TurnRequest(text="show me results")))["say"] == "language-model"
