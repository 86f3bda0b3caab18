"""A small bookshop and the smallest model that learns from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from llmrec.data.dataset import Dataset
from llmrec.data.demo_world import generate
from llmrec.data.read import read_dataset
from llmrec.language.training.presets import Preset
from llmrec.language.training.recipe import train_from_scratch

TINY = Preset(depth=2, tokens=2_560, length=64, batch=2)
"""20 steps of 128 tokens."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """A second thread only costs where everything is this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("shop") / "data"
    generate(folder, seed=3, items=100, users=60, events=1_500)
    return read_dataset(folder)


@pytest.fixture(scope="session")
def tiny(shop: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained from scratch; read only."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    train_from_scratch(shop, folder, TINY)
    return folder
