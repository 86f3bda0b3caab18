"""Spelling correction: the known words within two edits of an unknown one, likeliest first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from llmrec.agents.conversation.understanding.frequent import frequent_words

ENGLISH_WORDS = 22_000
"""How many of the most frequent English words count as words that nobody misspelt."""


def english() -> dict[str, float]:
    """Frequent English words with a weight in (0, 1]."""
    return {word: 1.0 / (1 + rank / 500) for rank, word in enumerate(frequent_words(ENGLISH_WORDS))}


class Speller:
    """Corrects against weighted words: the dialogue's own, the catalogue's, and English."""

    def __init__(self, weights: Mapping[str, float], cache_size: int = 20_000) -> None:
        """`weights`: known word to how likely people are to type it, any positive scale."""
        self._weights = dict(weights)
        by_length: dict[int, list[str]] = {}
        for word in self._weights:
            if word.isalpha() and len(word) >= 2:
                by_length.setdefault(len(word), []).append(word)
        self._by_length = by_length
        self._cache: OrderedDict[str, list[tuple[str, float]]] = OrderedDict()
        self._cache_size = cache_size

    def __contains__(self, word: str) -> bool:
        return word in self._weights

    def correct(self, word: str, limit: int = 4) -> list[tuple[str, float]]:
        """Up to `limit` (known word, score) for an unknown word, best first; [] where nothing is near.

        Damerau-Levenshtein (optimal string alignment) distance 1 for words of 4 to 6 letters, 2 for longer ones;
        each edit costs far more than frequency can make up for.
        """
        if len(word) < 4 or not word.isalpha() or word in self._weights:
            return []
        found = self._cache.get(word)
        if found is None:
            found = self._search(word)[:8]
            self._cache[word] = found
            if len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return found[:limit]

    def _search(self, word: str) -> list[tuple[str, float]]:
        most = 1 if len(word) <= 6 else 2
        scored: list[tuple[str, float]] = []
        for length in range(len(word) - most, len(word) + most + 1):
            pool = self._by_length.get(length)
            if not pool:
                continue
            for known, distance, _ in process.extract(word, pool, scorer=OSA.distance, score_cutoff=most, limit=50):
                scored.append((known, self._score(word, known, int(distance))))
        return sorted(scored, key=lambda pair: (-pair[1], pair[0]))

    def _score(self, typed: str, known: str, distance: int) -> float:
        score = float(np.log(self._weights[known] + 1e-6)) - 5.0 * distance
        if typed[0] != known[0]:
            score -= 2.5
        if sorted(typed) == sorted(known):  # swapped letters
            score += 2.0
        if set(typed) == set(known):  # a doubled or a dropped double letter
            score += 1.0
        return score
