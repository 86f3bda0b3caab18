"""The transformers: engine passes the conformance kit: in float32 compared with the same weights, and in bfloat16."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from llmrec.contracts import Engine
from llmrec.language.engines import open_engine
from llmrec.testing.engines import EngineKit, SameWeightsKit
from llmrec.testing.models import Folders, TinyModel


class TestConformance(SameWeightsKit):
    @pytest.fixture
    async def engine(self, tiny: TinyModel, source: Folders) -> AsyncIterator[Engine]:
        engine = open_engine(f"transformers:{tiny.folder}?dtype=float32", adapters=source, timeout=200)
        assert engine is not None
        yield engine
        await engine.aclose()


class TestBfloat16(EngineKit):
    @pytest.fixture
    async def engine(self, tiny: TinyModel) -> AsyncIterator[Engine]:
        engine = open_engine(f"transformers:{tiny.folder}?dtype=bfloat16", timeout=200)
        assert engine is not None
        yield engine
        await engine.aclose()
