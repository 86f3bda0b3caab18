"""What a clause does: a kernel classifier learnt from the bank of examples when first used; nothing is stored.

Two kernels are added. One compares words, word pairs and letters (tf-idf), so that known wordings are certain and
misspelt ones near. The other compares the meaning of the words by the token embeddings of MiniLM, which costs a
look-up and no forward pass, so that "loathe" is near "hate". Names are placeholders, so that wordings are learnt and
never titles. Ridge regression to one-hot targets gives scores near 1 for what a clause does and near 0 for the rest.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from llmrec.agents.conversation.understanding.clauses import canonical
from llmrec.agents.conversation.understanding.examples import examples
from llmrec.agents.conversation.understanding.lexicon import CIRCUMSTANCE, CLASS_OF, FUNCTION, GENERIC
from llmrec.agents.conversation.understanding.normalise import tokenise
from llmrec.agents.conversation.understanding.vectors import WordVectors, word_vectors

DIMENSIONS = 1 << 16
RIDGE = 0.3
WIDTH = 1.5
"""Of the Gaussian kernel over meanings."""
_PARTS = (0.7, 0.7, 0.4, 0.3, 0.4)
"""Weights of plain mean, tf-idf mean, first, second and last word in a clause's meaning."""
_STAND_INS = {"@a": "jazz", "@i": "title", "@f": "price"}


def read_example(text: str) -> list[str]:
    """Canonical words of an example (see `clauses`)."""
    return canonical([(word, "") for token in tokenise(text) for word in token.words])


@cache
def dialogue_words() -> frozenset[str]:
    """All words of the examples that are not looked for in a catalogue."""
    words = {word for text, intent in examples() if intent not in ("search", "none") for word in read_example(text)}
    return frozenset(word for word in words if word.isalpha() and len(word) > 1)


def content_words(words: Sequence[str]) -> list[str]:
    """Words that neither the dialogue nor closed classes explain: what is looked for."""
    known = dialogue_words()
    return [
        word
        for word in words
        if word[:1] != "@"
        and word not in known
        and word.removesuffix("s") not in known
        and word not in FUNCTION
        and word not in GENERIC
        and word not in CIRCUMSTANCE
        and not word.isdigit()
    ]


class Intents:
    """The classifier. `labels` are the intents of the bank, in order."""

    def __init__(self, bank: Sequence[tuple[str, str]], vectors: WordVectors | None = None) -> None:
        """`bank`: (example, intent) pairs; without `vectors` only the spelling of words counts."""
        self.labels = tuple(dict.fromkeys(intent for _, intent in bank))
        self._vectors = vectors
        clauses = [read_example(text) for text, _ in bank]
        frequency = Counter(word for words in clauses for word in set(words))
        self._rarity = {word: float(np.log(1 + len(bank) / count)) for word, count in frequency.items()}
        counts = _rows([_features(words) for words in clauses])
        document_frequency = np.bincount(counts.indices, minlength=DIMENSIONS)
        self._idf = (np.log((1 + len(bank)) / (1 + document_frequency)) + 1).astype(np.float32)
        wordings = self._weigh(counts)
        self._meanings = self._meaning(clauses)
        self._squares = (self._meanings**2).sum(axis=1)
        targets = np.zeros((len(bank), len(self.labels)), np.float32)
        targets[np.arange(len(bank)), [self.labels.index(intent) for _, intent in bank]] = 1
        self._bias = targets.mean(axis=0)
        kernel = (wordings @ wordings.T).toarray() + self._similarity(self._meanings)
        kernel[np.diag_indices_from(kernel)] += RIDGE
        dual = linalg.solve(kernel, targets - self._bias, assume_a="pos", overwrite_a=True, check_finite=False)
        self._by_meaning = np.asarray(dual, np.float32)
        self._by_wording = np.asarray(wordings.T @ dual, np.float32)

    def scores(self, clauses: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """(n, labels) of canonical clauses."""
        wordings = self._weigh(_rows([_features(words) for words in clauses]))
        by_meaning = self._similarity(self._meaning(clauses)) @ self._by_meaning
        return np.asarray(wordings @ self._by_wording + by_meaning + self._bias, np.float32)

    def _similarity(self, meanings: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, bank) Gaussian kernel to the meanings of the examples; zeros without vectors."""
        if not meanings.shape[1]:
            return np.zeros((len(meanings), len(self._meanings)), np.float32)
        distance = meanings @ self._meanings.T
        distance *= -2
        distance += (meanings**2).sum(axis=1)[:, None]
        distance += self._squares
        distance *= -WIDTH / 2
        return np.exp(distance, out=distance)

    def _weigh(self, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        matrix.data = np.sqrt(matrix.data) * self._idf[matrix.indices]
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        return (sparse.diags_array(1 / np.maximum(norms, 1e-6)) @ matrix).astype(np.float32).tocsr()

    def _meaning(self, clauses: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """(n, d) weighted parts; (n, 0) without vectors."""
        if self._vectors is None:
            return np.zeros((len(clauses), 0), np.float32)
        size = self._vectors.dimensions
        meanings = np.zeros((len(clauses), len(_PARTS) * size), np.float32)
        for row, words in zip(meanings, clauses, strict=True):
            known = [word for word in words if _STAND_INS.get(word, word) in self._vectors]
            if not known:
                continue
            vectors = np.array([self._vectors[_STAND_INS.get(word, word)] for word in known])
            rarity = np.array([self._rarity.get(word, 8.0) for word in known], np.float32)
            parts = (vectors.mean(axis=0), rarity @ vectors, vectors[0], vectors[min(1, len(known) - 1)], vectors[-1])
            for place, (part, weight) in enumerate(zip(parts, _PARTS, strict=True)):
                row[place * size : (place + 1) * size] = weight * part / max(float(np.linalg.norm(part)), 1e-6)
        return meanings


@cache
def default_intents() -> Intents:
    """The classifier learnt from the whole bank, once for each process."""
    return Intents(examples(), word_vectors())


def _features(words: Sequence[str]) -> dict[int, float]:
    """Hashed counts of words, pairs, triples with a gap, and letters."""
    unknown = set(content_words(words))
    shown = ["_x" if word in unknown else word for word in words]
    features: dict[int, float] = {}

    def add(text: str, value: float = 1.0) -> None:
        key = zlib.crc32(text.encode()) % DIMENSIONS
        features[key] = features.get(key, 0.0) + value

    padded = ["^", *shown, "$"]
    for word in shown:
        add(word)
        if len(word) > 3:
            marked = f"<{word}>"
            for at in range(len(marked) - 3):
                add("#" + marked[at : at + 4], 0.15)
    for first, second in pairwise(padded):
        add(f"{first} {second}")
    for first, second, third in zip(padded, padded[1:], padded[2:], strict=False):
        add(f"{first} {second} {third}", 0.5)
        add(f"{first} * {third}", 0.5)
    classes = ["^", *(CLASS_OF.get(word, word) for word in shown), "$"]
    for word in classes:
        if word[0] == "<":
            add(word, 1.5)
    for first, second in pairwise(classes):
        if first[0] == "<" or second[0] == "<":
            add(f"{first} {second}", 0.7)
    for first, _, third in zip(classes, classes[1:], classes[2:], strict=False):
        if first[0] == "<" or third[0] == "<":
            add(f"{first} * {third}", 0.5)
    add(f"%{min(len(unknown), 3)}")
    add(f"length {min(len(shown), 6)}", 0.5)
    return features


def _rows(counts: Sequence[dict[int, float]]) -> sparse.csr_matrix:
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in counts])])
    indices = np.fromiter((key for row in counts for key in row), np.int32)
    data = np.fromiter((value for row in counts for value in row.values()), np.float32)
    return sparse.csr_matrix((data, indices, indptr), shape=(len(counts), DIMENSIONS))
