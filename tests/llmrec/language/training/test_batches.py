"""Batches: nothing is lost, nothing counted that should not be, and any step can be had without those before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llmrec.language.training.batches import IGNORED, Packed, Padded, packed_once, padded


def test_an_epoch_of_blocks_covers_the_text_once() -> None:
    stream = np.arange(1_000, dtype=np.int32)
    batches = Packed(stream, length=10, size=3, seed=0)
    assert len(batches) == 99 // 3 and batches.tokens == 30
    seen = []
    for step in range(len(batches)):
        inputs, targets = batches.batch(step)
        assert inputs.shape == targets.shape == (3, 10)
        assert torch.equal(inputs + 1, targets), "the target is the next token"
        seen += inputs.flatten().tolist()
    assert len(seen) == len(set(seen)) == 990
    again, later = Packed(stream, 10, 3, 0), batches.batch(len(batches) + 4)[0]
    assert torch.equal(again.batch(len(batches) + 4)[0], later), "a step needs none before it"
    assert not torch.equal(later, batches.batch(4)[0]), "the next epoch is another order"


@pytest.mark.parametrize("count", [2, 3, 11])
def test_little_text_makes_small_batches(count: int) -> None:
    batches = Packed(np.arange(count, dtype=np.int32), length=10, size=4, seed=0)
    inputs, targets = batches.batch(5)
    assert inputs.shape == (1, min(10, count - 1)) and torch.equal(inputs + 1, targets)


def test_only_targets_count() -> None:
    inputs, targets = padded([([5, 6, 7], [8, 9]), ([1], [2])], pad=0)
    assert inputs.tolist() == [[5, 6, 7, 8], [1, 0, 0, 0]]
    assert targets.tolist() == [[IGNORED, IGNORED, 8, 9], [2, IGNORED, IGNORED, IGNORED]]


def test_examples_come_once_an_epoch_beside_those_of_their_length() -> None:
    examples = [([1] * length, [length]) for length in range(1, 21)]
    batches = Padded(examples, pad=0, size=4, seed=0)
    seen: list[int] = []
    for step in range(5):
        inputs, targets = batches.batch(step)
        counted = targets[targets != IGNORED].tolist()
        assert max(counted) - min(counted) == 3 and inputs.shape == (4, max(counted))
        seen += counted
    assert sorted(seen) == list(range(1, 21))
    assert [Padded(examples, 0, 4, 1).batch(n)[0].shape for n in range(5)] != [
        batches.batch(n)[0].shape for n in range(5)
    ]
    assert len(Padded(examples[:2], 0, 4, 0)) == 1, "fewer examples than a batch"


def test_validation_is_the_start_of_the_text_in_order() -> None:
    batches = packed_once(np.arange(100, dtype=np.int32), length=8, size=2, most=50)
    inputs = torch.cat([i.flatten() for i, _ in batches])
    assert inputs.tolist() == list(range(48))
    assert all(torch.equal(i + 1, t) for i, t in batches)
    assert packed_once(np.arange(1, dtype=np.int32), 8, 2, 50) == []
