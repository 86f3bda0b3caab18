"""Log-probabilities of given continuations, for many prompts and continuations at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from llmrec.language.in_process.model import PREFILL_TOKENS, Context, Input, LanguageModel

PACK = 1024
"""Tokens of continuations behind one copy of their prompt."""

Tokens = Sequence[int]
Pack = tuple[Input, Sequence[Tokens]]
"""A prompt and continuations of it."""


def score(
    model: LanguageModel, prompts: Sequence[Input], continuations: Sequence[Sequence[Tokens]]
) -> list[list[float]]:
    """Of each prompt's continuations, none of them empty, summed over their tokens."""
    most = min(PACK, model.rows)
    packs: list[Pack] = []
    places: list[tuple[int, int]] = []
    for row, (prompt, group) in enumerate(zip(prompts, continuations, strict=True)):
        for start, end in _split([len(continuation) for continuation in group], most):
            packs.append((prompt, group[start:end]))
            places.append((row, start))
    scores = [[0.0] * len(group) for group in continuations]
    for batch in _batches(packs, model.rows):
        for number, sums in zip(batch, _score(model, [packs[number] for number in batch]), strict=True):
            row, start = places[number]
            scores[row][start : start + len(sums)] = sums
    return scores


def _split(lengths: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges with at most so many tokens each, but at least one continuation."""
    start = total = 0
    for end, length in enumerate(lengths):
        if end > start and total + length > most:
            yield start, end
            start, total = end, 0
        total += length
    if lengths:
        yield start, len(lengths)


def _batches(packs: Sequence[Pack], rows: int) -> Iterator[list[int]]:
    """Numbers of packs that go into one forward pass: prompts of similar length, at most so many rows of logits."""
    batch: list[int] = []
    longest = 0
    for number in sorted(range(len(packs)), key=lambda number: -len(packs[number][0])):
        size = _size(packs[number])
        wider = max(longest, size)
        prompt = len(packs[batch[0]][0]) if batch else 0
        if batch and ((len(batch) + 1) * wider > rows or (len(batch) + 1) * prompt > PREFILL_TOKENS):
            yield batch
            batch, wider = [], size
        batch, longest = [*batch, number], wider
    if batch:
        yield batch


def _size(pack: Pack) -> int:
    """Tokens to read after the prompt, and its last one: the last of each continuation is only predicted."""
    return 1 + sum(len(continuation) - 1 for continuation in pack[1])


def _score(model: LanguageModel, packs: Sequence[Pack]) -> list[list[float]]:
    many, longest = len(packs), max(map(_size, packs))
    ids = np.zeros((many, longest), np.int64)
    offsets = np.zeros((many, longest), np.int64)
    branch = np.full((many, longest), -2)  # the continuation that a token belongs to; -1 the prompt, -2 padding
    branch[:, 0] = -1
    rows: list[int] = []
    columns: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for row, (prompt, group) in enumerate(packs):
        ids[row, 0] = prompt.tokens[-1]
        at = 1
        for number, continuation in enumerate(group):
            size = len(continuation) - 1
            ids[row, at : at + size] = continuation[:-1]
            offsets[row, at : at + size] = range(1, size + 1)
            branch[row, at : at + size] = number
            rows += [row] * (size + 1)
            columns += [0, *range(at, at + size)]
            targets += continuation
            owners += [number] * (size + 1)
            at += size
    context = Context(model, [prompt for prompt, _ in packs])
    sees = (branch[:, None, :] == branch[:, :, None]) | (branch[:, None, :] == -1)
    hidden = torch.from_numpy(~(sees & np.tri(longest, dtype=bool))).to(model.device)
    own = torch.zeros(hidden.shape, dtype=model.dtype, device=model.device).masked_fill(hidden, model.hidden)
    mask = torch.cat([context.mask.expand(-1, longest, -1), own], -1)
    positions = context.positions[:, None] + torch.from_numpy(offsets).to(model.device)
    logits = model.forward(torch.from_numpy(ids).to(model.device), positions, mask, context.cache, context.slots)
    index = torch.tensor([rows, columns, targets], device=model.device)
    found = logits[index[0], index[1], index[2]] - logits.logsumexp(-1)[index[0], index[1]]
    sums = np.zeros((many, max(len(group) for _, group in packs)))
    np.add.at(sums, (np.array(rows), np.array(owners)), found.double().cpu().numpy())
    return [sums[row, : len(group)].tolist() for row, (_, group) in enumerate(packs)]
