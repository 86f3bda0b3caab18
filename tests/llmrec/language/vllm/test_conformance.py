"""vllm: and openai: engines pass the conformance kit at a real vLLM server, in float32 on the same weights."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from llmrec.contracts import Engine
from llmrec.language.engines import open_engine
from llmrec.testing.engines import SameWeightsKit, chat
from llmrec.testing.models import Folders, TinyModel


class OfTheServer(SameWeightsKit):
    """The kit for engines at the server of the session."""

    @pytest.fixture(scope="session")
    def tiny(self, tiny_model: TinyModel) -> TinyModel:
        return tiny_model

    async def open(self, uri: str, source: Folders | None) -> AsyncIterator[Engine]:
        engine = open_engine(uri, adapters=source, timeout=120)
        assert engine is not None
        yield engine
        await engine.aclose()


class TestVLLM(OfTheServer):
    @pytest.fixture
    async def engine(self, served, source: Folders, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
        monkeypatch.setenv("LLMREC_LLM_KEY", served.key)
        async for engine in self.open(f"vllm:{served.url}?adapters={served.adapters}", source):
            yield engine


class TestOpenAI(OfTheServer):
    @pytest.fixture
    async def engine(self, served, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
        monkeypatch.setenv("LLMREC_LLM_KEY", served.key)
        async for engine in self.open(f"openai:{served.url}#base", None):
            yield engine

    async def test_structured_output_satisfies_its_schema(self, engine: Engine) -> None:
        """With a bound that makes it end: the model is random, and an openai: engine sends the schema as it is."""
        schema = {"type": "object", "properties": {"word": {"type": "string", "maxLength": 20}}, "required": ["word"]}
        answer = json.loads(await chat(engine, schema=schema, max_tokens=100))
        assert isinstance(answer["word"], str) and len(answer["word"]) <= 20
