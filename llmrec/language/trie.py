"""The token sequences that decoding may produce, as a compact trie."""

from __future__ import annotations

from collections.abc import Sequence


class TokenTrie:
    """Token sequences by number. Immutable, shared between threads and calls."""

    def __init__(self, sequences: Sequence[Sequence[int]]) -> None:
        raise NotImplementedError
