"""Fixtures that every test folder shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before anything imports torch: threads that spin at a barrier take the cores from what runs beside the tests.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real benchmark data; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the benchmark data in ../shared/data")
    return SHARED_DATA


@pytest.fixture(scope="session")
def demo_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo world, built once for all tests. Keep state elsewhere: `Settings(state="sqlite:<file>")`."""
    from llmrec.agents.assistant import build_workspace
    from llmrec.data.demo_world import generate
    from llmrec.settings import Settings

    folder = tmp_path_factory.mktemp("demo")
    generate(folder / "data", seed=1, items=200, users=60, events=2_000)
    build_workspace(folder / "data", folder / "workspace", settings=Settings())
    return folder / "workspace"
