"""Conformance kit for `Engine`: subclass `EngineKit`, give an engine, and pytest runs the checks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import jsonschema
import pytest

from llmrec.contracts import Engine, Message
from llmrec.errors import EngineError, EngineTimeout, NotSupported

_ASK = [Message("system", "Answer in one word."), Message("user", "What colour is the sky?")]
_SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}


class EngineKit:
    """What every engine has to do. Asynchronous tests: needs pytest-asyncio in auto mode."""

    @pytest.fixture
    async def engine(self) -> AsyncIterator[Engine]:
        """The engine under test; override."""
        raise NotImplementedError("override the engine fixture")
        yield

    async def test_is_an_engine(self, engine: Engine) -> None:
        """It has the contract's methods, and says what it can do."""
        assert isinstance(engine, Engine)
        assert engine.capabilities.chat

    async def test_chat_streams_text(self, engine: Engine) -> None:
        """Chat yields pieces of text, not nothing."""
        pieces = [piece async for piece in engine.chat(_ASK, max_tokens=16)]
        assert all(isinstance(piece, str) for piece in pieces)
        assert "".join(pieces).strip()

    async def test_structured_output_satisfies_its_schema(self, engine: Engine) -> None:
        """With a schema the whole is JSON that satisfies it."""
        if not engine.capabilities.structured:
            return
        answer = "".join([piece async for piece in engine.chat(_ASK, schema=_SCHEMA, max_tokens=64)])
        jsonschema.validate(json.loads(answer), _SCHEMA)

    async def test_a_timeout_is_an_engine_timeout(self, engine: Engine) -> None:
        """Too little time raises `EngineTimeout`, nothing else."""
        with pytest.raises(EngineTimeout):
            async for _ in engine.chat(_ASK, timeout=1e-6):
                pass

    async def test_a_caller_may_leave(self, engine: Engine) -> None:
        """A stream that is closed early, or cancelled, leaves the engine usable."""
        stream = engine.chat(_ASK, max_tokens=64)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

        async def read() -> None:
            async for _ in engine.chat(_ASK, max_tokens=64):
                await asyncio.sleep(10)

        task = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [piece async for piece in engine.chat(_ASK, max_tokens=16)]

    async def test_what_it_cannot_do_it_says(self, engine: Engine) -> None:
        """Missing capabilities raise `NotSupported`."""
        able = engine.capabilities
        for missing, call in (
            (not able.score, lambda: engine.score("a", ["b"])),
            (not able.encode, lambda: engine.encode(["a"])),
            (not able.beam, lambda: engine.beam("a", None, 1)),
        ):
            if missing:
                with pytest.raises(NotSupported):
                    await call()
        if not able.adapters:
            with pytest.raises(NotSupported):
                async for _ in engine.chat(_ASK, adapter="user:1"):
                    pass

    async def test_errors_are_of_one_family(self, engine: Engine) -> None:
        """After `aclose` a call fails with an `EngineError` or works; it raises nothing else."""
        await engine.aclose()
        try:
            async for _ in engine.chat(_ASK, max_tokens=4):
                pass
        except EngineError:
            pass
