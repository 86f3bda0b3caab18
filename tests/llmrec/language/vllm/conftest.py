"""One real vLLM server on the CPU for all tests of the session, and a fake one where the real one is too slow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from llmrec.language.vllm.engine import VLLMEngine
from llmrec.testing.models import Folders, TinyModel, make_tiny_model

SLOTS = 2
"""Few, so that tests can exceed them."""


@dataclass(frozen=True)
class Served:
    """A server that an engine started; its event loop is the session's."""

    engine: VLLMEngine
    model: TinyModel
    source: Folders
    url: str
    """Of /v1."""
    key: str
    adapters: Path
    """Where its resolver plugin looks."""


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """The model that is served."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served(tiny_model: TinyModel, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The tiny model in float32 with its adapters."""
    source = Folders(dict(tiny_model.adapters))
    target = f"{tiny_model.folder}?dtype=float32&max_loras={SLOTS}&max_lora_rank=8&kv_cache=1"
    engine = VLLMEngine(target, timeout=120, adapters=source, folder=tmp_path_factory.mktemp("vllm"))
    try:
        await engine.score("a", ["b"])
        server = engine._server
        assert server is not None and server.files is not None
        url = (await server.endpoint()).url
        yield Served(engine, tiny_model, source, url, server.key, server.files.adapters)
    finally:
        await engine.aclose()
