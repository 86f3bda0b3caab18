"""Lexical search: BM25 over the catalogue's text, with stemming, filters and items that change while it serves.

Robertson et al. 1994, in the variant of Lucene (Kamphuis et al. 2020), scored ahead of time by bm25s (Lù 2024).
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from llmrec import pool
from llmrec.contracts import Config, Hit, Progress, no_progress
from llmrec.data.catalogue import TEXT_LENGTH, Catalogue
from llmrec.retrieval.order import best

if TYPE_CHECKING:
    from llmrec.filters import Filter

_WORD = re.compile(r"\w+")
_META = "lexical.json"


class LexicalConfig(Config):
    """Saturation of term frequency, and how much a text's length counts."""

    k1: float = 1.2
    b: float = 0.75


def stems(text: str) -> list[str]:
    """Words of letters and digits, lower case, without English stop words, stemmed (Snowball).

    Words of one character stay: "iphone 8" and "usb c" mean something else without them.
    """
    stemmer, stop_words = _english()
    return stemmer.stemWords([word for word in _WORD.findall(text.lower()) if word not in stop_words])


@cache
def _bm25s() -> Any:
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # its own choice is DEBUG
    return bm25s.BM25


@cache
def _english() -> tuple[Any, frozenset[str]]:
    import Stemmer
    from bm25s.stopwords import STOPWORDS_EN

    return Stemmer.Stemmer("english"), frozenset(STOPWORDS_EN)


@dataclass(frozen=True)
class _Overlay:
    """Texts that were added or changed since the index was built, in an inverted file of their own."""

    lengths: Mapping[int, int] = field(default_factory=dict)
    """Catalogue position to number of stems."""
    postings: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    """Stem to catalogue position to its count there."""

    def put(self, texts: Mapping[int, str]) -> _Overlay:
        """A copy with these texts, by position."""
        lengths = dict(self.lengths)
        postings = {stem: {p: n for p, n in at.items() if p not in texts} for stem, at in self.postings.items()}
        for position, text in texts.items():
            counts = Counter(stems(text))
            lengths[position] = counts.total()
            for stem, count in counts.items():
                postings.setdefault(stem, {})[position] = count
        return _Overlay(lengths, postings)


@dataclass(frozen=True)
class _State:
    """What one search sees; replaced as a whole, so that a search never sees half a change."""

    catalogue: Catalogue
    overlay: _Overlay = field(default_factory=_Overlay)


class LexicalIndex:
    """BM25 over `Catalogue.text`. Texts that change later are scored by the statistics of the build."""

    def __init__(self, catalogue: Catalogue, index: Any, average_length: float, config: LexicalConfig) -> None:
        """Use `build` or `load`."""
        self._state = _State(catalogue)
        self._index = index  # a bm25s.BM25, None where no text has a word
        self._documents = len(catalogue)
        self._average_length = average_length
        self.config = config

    @classmethod
    def build(cls, catalogue: Catalogue, config: LexicalConfig | None = None, progress: Progress = no_progress) -> Self:
        """Index every item of the catalogue."""
        config = config or LexicalConfig()
        vocabulary: dict[str, int] = {}
        documents: list[list[int]] = []
        for position, text in enumerate(catalogue.text(range(len(catalogue)))):
            documents.append([vocabulary.setdefault(stem, len(vocabulary)) for stem in stems(text)])
            if position % 10_000 == 0:
                progress("indexing words", position, len(catalogue))
        average = sum(map(len, documents)) / max(len(documents), 1)
        index = None
        if vocabulary:
            index = _bm25s()(k1=config.k1, b=config.b, method="lucene")
            index.index((documents, vocabulary), create_empty_token=False, show_progress=False)
        progress("indexing words", len(catalogue), len(catalogue))
        return cls(catalogue, index, average, config)

    def save(self, folder: Path) -> None:
        """Write arrays (npy) and JSON into an existing folder. Later changes of items are not part of it."""
        if self._index is not None:
            self._index.save(folder, show_progress=False)
        meta = {
            "documents": self._documents,
            "average_length": self._average_length,
            "words": self._index is not None,
            "config": self.config.model_dump(),
        }
        (folder / _META).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        """Read what `save` wrote for this catalogue; arrays stay on disk, memory-mapped."""
        meta = json.loads((folder / _META).read_text(encoding="utf-8"))
        index = None
        if meta["words"]:
            index = _bm25s().load(folder, mmap=True, show_progress=False)
        loaded = cls(catalogue, index, meta["average_length"], LexicalConfig(**meta["config"]))
        loaded._documents = meta["documents"]
        return loaded

    # --- Searching ----------------------------------------------------------------------------------------------------

    async def search(self, query: str, k: int = 10, filters: Sequence[Filter] = ()) -> list[Hit]:
        """The k best available items that share a word with the query and satisfy every filter."""
        catalogue = self._state.catalogue
        positions, scores = await pool.run(lambda: self.rank(query, k, catalogue.mask(filters)))
        return [Hit(str(catalogue.index.ids[p]), float(s)) for p, s in zip(positions, scores, strict=True)]

    def rank(self, query: str, k: int, mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Positions and scores of the k best items under `mask` that share a word with the query."""
        scores = self.score(query, len(mask))
        return best(np.where(mask, scores, 0), k, above=0)

    def score(self, query: str, n: int) -> NDArray[np.float32]:
        """BM25 scores of the first n catalogue positions; 0 where no word is shared."""
        overlay = self._state.overlay
        scores = np.zeros(n, np.float32)
        words = stems(query[:TEXT_LENGTH])
        known = [self._index.vocab_dict[word] for word in words if self._vocabulary_has(word)]
        if known:
            built = self._index.get_scores_from_ids(known)[:n]
            scores[: len(built)] = built
        changed = [position for position in overlay.lengths if position < n]
        if changed:
            scores[changed] = 0
            for word in words:
                for position, count in overlay.postings.get(word, {}).items():
                    if position < n:
                        scores[position] += self._weight(word, count, overlay.lengths[position], overlay)
        return scores

    def _vocabulary_has(self, word: str) -> bool:
        return self._index is not None and word in self._index.vocab_dict

    def _weight(self, word: str, count: int, length: int, overlay: _Overlay) -> float:
        """What one word adds to the score of a changed text."""
        frequency = len(overlay.postings[word])
        if self._vocabulary_has(word):
            indptr = self._index.scores["indptr"]
            at = self._index.vocab_dict[word]
            frequency = int(indptr[at + 1]) - int(indptr[at])
        documents = max(self._documents, frequency)
        inverse = math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5))
        relative = length / self._average_length if self._average_length else 1.0
        return inverse * count / (self.config.k1 * (1 - self.config.b + self.config.b * relative) + count)

    # --- Changing -----------------------------------------------------------------------------------------------------

    async def upsert(self, catalogue: Catalogue, item_ids: Sequence[str]) -> None:
        """Search `catalogue` from now on, in which these items are new or changed. One caller at a time."""
        state = self._state
        positions = [int(position) for position in catalogue.index.positions(item_ids) if position >= 0]
        texts = dict(zip(positions, catalogue.text(positions), strict=True))
        self._state = replace(state, catalogue=catalogue, overlay=await pool.run(state.overlay.put, texts))
