"""What a clause does: a classifier learnt from the bank of examples when first used.

Two scores are averaged. Ridge regression on words, word pairs and letters (tf-idf) to one-hot targets makes known
wordings certain and misspelt ones near. A small network over MiniLM's vector of the clause (`sentences`) knows that
"she makes my ears bleed" is near "i can't stand her". Names are placeholders, so that wordings are learnt and never
titles.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from llmrec.agents.conversation.understanding.clauses import read_example
from llmrec.agents.conversation.understanding.examples import INTENTS, examples
from llmrec.agents.conversation.understanding.lexicon import (
    CIRCUMSTANCE,
    CLASS_OF,
    DIALOGUE,
    FUNCTION,
    GENERIC,
)
from llmrec.agents.conversation.understanding.sentences import Sentences, stored_sentences

DIMENSIONS = 1 << 16
RIDGE, TOLERANCE, MAX_STEPS = 0.3, 1e-2, 60
TRUST = 0.5
"""Share of the sentence's meaning in the score, against that of its words and letters."""
KNOWN = 0.6
"""Lead from which a wording is known by its words, so that no encoder has to run."""


@cache
def dialogue_words() -> frozenset[str]:
    """Words that people say to any recommender: those of several examples, fewer of them searches."""
    said: Counter[str] = Counter()
    sought: Counter[str] = Counter()
    for text, intent in examples():
        if intent != "none":
            (sought if intent == "search" else said).update(set(read_example(text)))
    counted = {word for word, count in said.items() if count >= 2 and count > 2 * sought[word]}
    return frozenset(word for word in counted | DIALOGUE | {*CLASS_OF} if word.isalpha() and len(word) > 1)


@cache
def bank_words() -> frozenset[str]:
    """All words of the examples: what misspelt words are likely to mean."""
    words = {word for text, _ in examples() for word in read_example(text)}
    return frozenset(word for word in words | dialogue_words() if word.isalpha() and len(word) > 1)


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
    """The classifier. `labels` are the intents, in order."""

    labels = INTENTS

    def __init__(self, bank: Sequence[tuple[str, str]], sentences: Sentences | None = None) -> None:
        """`bank`: (example, intent) pairs; without `sentences` only words and letters count."""
        self._sentences = sentences
        clauses = [read_example(text) for text, _ in bank]
        counts = _rows([_features(words) for words in clauses])
        document_frequency = np.bincount(counts.indices, minlength=DIMENSIONS)
        self._idf = (np.log((1 + len(bank)) / (1 + document_frequency)) + 1).astype(np.float32)
        targets = np.zeros((len(bank), len(self.labels)), np.float32)
        targets[np.arange(len(bank)), [self.labels.index(intent) for _, intent in bank]] = 1
        self._bias = targets.mean(axis=0)
        self._weights = _ridge(self._weigh(counts), targets - self._bias)

    def scores(self, clauses: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """(n, labels) of canonical clauses: near 1 for what a clause does, near 0 for the rest."""
        scores = self.known(clauses)
        if self._sentences is not None:
            ranked = np.sort(scores, axis=1)
            unsure = np.flatnonzero(ranked[:, -1] - ranked[:, -2] < KNOWN)  # the others are known wordings
            likelihoods = self._sentences.likelihoods([clauses[at] for at in unsure])
            scores[unsure] = (1 - TRUST) * scores[unsure] + TRUST * likelihoods
        return scores

    def mixed(self, clauses: Sequence[Sequence[str]], likelihoods: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, labels) with these likelihoods in the place of the network's."""
        return (1 - TRUST) * self.known(clauses) + TRUST * likelihoods

    def known(self, clauses: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """(n, labels) by words and letters alone: high only for wordings near those of the bank."""
        wordings = self._weigh(_rows([_features(words) for words in clauses]))
        return np.asarray(wordings @ self._weights + self._bias, np.float32)

    def _weigh(self, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        matrix.data = np.sqrt(matrix.data) * self._idf[matrix.indices]
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        return (sparse.diags_array(1 / np.maximum(norms, 1e-6)) @ matrix).astype(np.float32).tocsr()


@cache
def default_intents() -> Intents:
    """The classifier learnt from the whole bank, once for each process."""
    return Intents(examples(), stored_sentences())


def _ridge(inputs: sparse.csr_matrix, targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """(features, labels) weights of ridge regression, by conjugate gradients on its dual, all labels at once."""
    across = inputs.T.tocsr()
    dual, rest = np.zeros_like(targets), targets.copy()
    direction, size = rest.copy(), (rest * rest).sum(axis=0)
    enough = size * TOLERANCE**2
    for _ in range(MAX_STEPS):
        image = inputs @ (across @ direction) + RIDGE * direction
        step = size / np.maximum((direction * image).sum(axis=0), 1e-12)
        dual += step * direction
        rest -= step * image
        before, size = size, (rest * rest).sum(axis=0)
        if (size <= enough).all():
            break
        direction = rest + size / np.maximum(before, 1e-12) * direction
    return np.asarray(across @ dual, np.float32)


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
