"""Beam search that never leaves a trie, for many prompts at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from llmrec.language.in_process.model import Context, Input, LanguageModel
from llmrec.language.trie import TokenTrie

Found = list[tuple[int, float]]


def beam_search(model: LanguageModel, prompts: Sequence[Input], trie: TokenTrie, width: int) -> list[Found]:
    """The `width` most probable sequences after each prompt: (number, log-probability), best first.

    Log-probabilities are those of the whole vocabulary, as `score` gives them. A sequence that ends inside the trie
    competes with those that go on; beams that cannot win any more are dropped.
    """
    if not len(trie) or width < 1:
        return [[] for _ in prompts]
    many = len(prompts)
    context = Context(model, prompts)
    logits = context.step(context.last)
    nodes = np.zeros((many, 1), np.int64)
    sums = np.zeros((many, 1))
    best = _Best(many, width)
    while True:
        beams = nodes.shape[1]
        alive = np.flatnonzero(nodes >= 0)
        which, tokens, children = trie.expand(nodes.ravel()[alive])
        rows = alive[which]
        scores = sums.ravel()[rows] + _log_probabilities(logits, rows, tokens)
        owners = rows // beams
        best.add(owners, scores, trie.ends(children))
        open_ = np.flatnonzero(trie.inner(children) & (scores > best.worst[owners]))
        if not len(open_):
            return best.found()
        chosen = _top(owners[open_], scores[open_], many, width)
        absent = chosen < 0
        chosen = open_[chosen]
        nodes = np.where(absent, -1, children[chosen])
        sums = np.where(absent, 0, scores[chosen])
        parents = np.where(absent, 0, rows[chosen] % beams)
        ids = np.where(absent, 0, tokens[chosen])
        logits = context.step(_tensor(ids, model), _tensor(parents, model))


class _Best:
    """The best finished sequences of each prompt so far."""

    def __init__(self, many: int, width: int) -> None:
        self._numbers = np.full((many, width), -1)
        self._scores = np.full((many, width), -np.inf)

    @property
    def worst(self) -> NDArray[np.float64]:
        """(many,) what a sequence has to beat; -inf while there is room."""
        return self._scores[:, -1]

    def add(self, owners: NDArray[np.int64], scores: NDArray[np.float64], numbers: NDArray[np.int32]) -> None:
        """Take the sequences with a number from 0 that are good enough."""
        ended = np.flatnonzero(numbers >= 0)
        if not len(ended):
            return
        many, width = self._numbers.shape
        chosen = _top(owners[ended], scores[ended], many, width)
        absent = chosen < 0
        chosen = ended[chosen]
        merged = np.hstack([self._scores, np.where(absent, -np.inf, scores[chosen])])
        names = np.hstack([self._numbers, np.where(absent, -1, numbers[chosen])])
        order = np.argsort(-merged, axis=1, kind="stable")[:, :width]
        self._scores = np.take_along_axis(merged, order, 1)
        self._numbers = np.take_along_axis(names, order, 1)

    def found(self) -> list[Found]:
        return [
            [(int(number), float(score)) for number, score in zip(numbers, scores, strict=True) if number >= 0]
            for numbers, scores in zip(self._numbers, self._scores, strict=True)
        ]


def _log_probabilities(logits: torch.Tensor, rows: NDArray[np.int64], tokens: NDArray[np.int32]) -> NDArray[np.float64]:
    """Of each token in its row of logits (..., vocabulary), flattened; the softmax is over the whole vocabulary."""
    flat = logits.flatten(0, -2)
    index = torch.from_numpy(rows).to(flat.device)
    picked = flat[index, torch.from_numpy(tokens).to(flat.device)] - flat.logsumexp(-1)[index]
    return picked.double().cpu().numpy()


def _top(owners: NDArray[np.int64], scores: NDArray[np.float64], many: int, k: int) -> NDArray[np.int64]:
    """(many, up to k) positions of each owner's best scores, best first, -1 where it has fewer; owners ascend."""
    counts = np.bincount(owners, minlength=many)
    starts = np.cumsum(counts) - counts
    table = np.full((many, counts.max()), -np.inf)
    table[owners, np.arange(len(owners)) - starts[owners]] = scores
    columns = torch.from_numpy(table).topk(min(k, table.shape[1]), dim=1).indices.numpy()
    return np.where(columns < counts[:, None], starts[:, None] + columns, -1)


def _tensor(array: NDArray[np.int64], model: LanguageModel) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.int64, copy=False)).to(model.device)
