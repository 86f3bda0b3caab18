"""What the loop trains on, as a function of the step alone, so that a run goes on anywhere without replaying its past.

A batch is (inputs, targets), both int64 (b, t): targets hold the token after each input, `IGNORED` where none counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

IGNORED = -100
"""A target that is no part of the loss."""

Batch = tuple[torch.Tensor, torch.Tensor]
Example = tuple[Sequence[int], Sequence[int]]
"""Token ids of a prompt and of what should follow; both have at least one."""


class Batches(Protocol):
    """An endless sequence of batches, in epochs that are each shuffled anew."""

    def __len__(self) -> int:
        """Batches of one epoch, at least 1."""
        ...

    @property
    def tokens(self) -> float:
        """Tokens of a batch that are read, on average."""
        ...

    def batch(self, step: int) -> Batch:
        """The batch of the step, counted from 0 and over all epochs."""
        ...


class Packed:
    """Blocks of equal length from one long run of tokens: no padding; each epoch cuts at other places."""

    def __init__(self, tokens: NDArray[np.int32], length: int, size: int, seed: int) -> None:
        """`tokens` (n,), n > 1; blocks of `length` and batches of `size`, smaller where there are too few tokens."""
        self._stream, self._seed = tokens, seed
        self._length = min(length, len(tokens) - 1)
        self._blocks = (len(tokens) - 1) // self._length
        self._size = min(size, self._blocks)
        self._epoch, self._starts = -1, np.zeros(0, np.int64)

    def __len__(self) -> int:
        return self._blocks // self._size

    @property
    def tokens(self) -> float:
        return float(self._size * self._length)

    def batch(self, step: int) -> Batch:
        epoch, at = divmod(step, len(self))
        if epoch != self._epoch:
            rng = np.random.default_rng((self._seed, epoch))
            slack = len(self._stream) - 1 - self._blocks * self._length
            self._starts = rng.permutation(self._blocks) * self._length + rng.integers(slack + 1)
            self._epoch = epoch
        starts = self._starts[at * self._size : (at + 1) * self._size]
        rows = torch.from_numpy(self._stream[starts[:, None] + np.arange(self._length + 1)].astype(np.int64))
        return rows[:, :-1], rows[:, 1:]


class Padded:
    """Prompts with targets, with loss on the targets alone; batches hold examples of similar length."""

    def __init__(self, examples: Sequence[Example], pad: int, size: int, seed: int) -> None:
        """At least one example; `pad` is the id that fills short rows at their end, where attention never looks."""
        self._examples, self._pad, self._size, self._seed = examples, pad, min(size, len(examples)), seed
        self._lengths = np.array([len(prompt) + len(target) for prompt, target in examples])
        self._epoch, self._batches = -1, [np.zeros(0, np.int64)]

    def __len__(self) -> int:
        return len(self._examples) // self._size

    @property
    def tokens(self) -> float:
        return float(self._lengths.mean() - 1) * self._size

    def batch(self, step: int) -> Batch:
        epoch, at = divmod(step, len(self))
        if epoch != self._epoch:
            rng = np.random.default_rng((self._seed, epoch))
            chosen = rng.permutation(len(self._examples))[: len(self) * self._size]
            chosen = chosen[np.argsort(self._lengths[chosen], kind="stable")]
            self._batches = [chosen.reshape(-1, self._size)[i] for i in rng.permutation(len(self))]
            self._epoch = epoch
        return padded([self._examples[i] for i in self._batches[at].tolist()], self._pad)


def padded(examples: Sequence[Example], pad: int) -> Batch:
    """One batch of these examples."""
    longest = max(len(prompt) + len(target) for prompt, target in examples) - 1
    inputs = torch.full((len(examples), longest), pad)
    targets = torch.full((len(examples), longest), IGNORED)
    for row, (prompt, target) in enumerate(examples):
        ids = torch.tensor([*prompt, *target])
        inputs[row, : len(ids) - 1] = ids[:-1]
        targets[row, len(prompt) - 1 : len(ids) - 1] = ids[len(prompt) :]
    return inputs, targets


def packed_once(tokens: NDArray[np.int32], length: int, size: int, most: int) -> list[Batch]:
    """Consecutive batches from the start of `tokens`, about `most` tokens: for validation. [] without two tokens."""
    if len(tokens) < 2:
        return []
    source = tokens[: max(most, 1) + 1]
    length = min(length, len(source) - 1)
    rows = torch.from_numpy(source[: (len(source) - 1) // length * length + 1].astype(np.int64))
    inputs, targets = rows[:-1].view(-1, length), rows[1:].view(-1, length)
    return list(zip(inputs.split(size), targets.split(size), strict=True))
