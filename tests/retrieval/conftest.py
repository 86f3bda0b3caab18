"""Fixtures of the retrieval tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llmrec.contracts import Progress, no_progress
from llmrec.data import parse
from llmrec.data.catalogue import Catalogue
from llmrec.data.columns import ITEMS_FILE
from llmrec.data.dataset import Dataset, empty


class BagOfWords:
    """An embedder whose similarity is the cosine of word counts, hashed into 256 dimensions."""

    name = "bag-of-words"
    dimensions = 256

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
        self.embedded += texts
        matrix = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in ["the", *text.lower().split()]:
                matrix[row, int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.dimensions] += 1
        return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


@pytest.fixture
def bag_of_words() -> BagOfWords:
    return BagOfWords()


@pytest.fixture
def make_catalogue() -> Callable[..., Catalogue]:
    """A catalogue from rows as in an items file, or from titles alone (ids "0", "1", ...)."""

    def make(*rows: str | dict[str, Any]) -> Catalogue:
        full = [{"item_id": str(i), "title": r} if isinstance(r, str) else r for i, r in enumerate(rows)]
        items = parse.rows_to_items(full) if full else empty(ITEMS_FILE)
        return Catalogue.from_dataset(Dataset("test", items))

    return make
