"""The tiny model for all tests of the in-process engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from llmrec.language.in_process.engine import TransformersEngine
from llmrec.testing.models import Folders, TinyModel, make_tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def source(tiny: TinyModel) -> Folders:
    return Folders(dict(tiny.adapters))


Open = Callable[..., TransformersEngine]


@pytest.fixture
async def opened(tiny: TinyModel, source: Folders) -> AsyncIterator[Open]:
    """`opened(folder=..., query="?dtype=float32", **options)`: an engine that is closed at the end."""
    engines = []

    def make(folder: Path = tiny.folder, query: str = "?dtype=float32", **options: object) -> TransformersEngine:
        given = {"adapters": source, "timeout": 200.0} | options
        engines.append(TransformersEngine(f"{folder}{query}", **given))  # type: ignore[arg-type]
        return engines[-1]

    yield make
    for engine in engines:
        await engine.aclose()


@pytest.fixture
def engine(opened: Open) -> TransformersEngine:
    return opened()
