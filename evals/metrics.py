"""Metrics of ranked lists, their definitions and names: the only place where either is spelt.

Relevance is binary: `hits` (users, depth) tells for each place of each list, best first, whether a wanted item stands
there; `wanted` (users,) counts the wanted items of each user. Every ranked metric gives one value for each user; a
table shows their means. Equal scores have been put in order before (`retrieval.collaborative.topk`: catalogue
order), so that nothing here depends on chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

HR, NDCG, RECALL, MRR = "HR", "NDCG", "Recall", "MRR"
COVERAGE, NOVELTY, GINI = "coverage", "novelty", "Gini"
SR, AT, HDCG = "SR", "AT", "hDCG"

Hits = NDArray[np.bool_]
PerUser = NDArray[np.float64]
PerDialogue = NDArray[np.float64]


def at(metric: str, k: int) -> str:
    """The key of a metric at a cutoff: `HR@10`."""
    return f"{metric}@{k}"


def find_hits(lists: NDArray[np.object_], wanted: Sequence[Sequence[str]]) -> Hits:
    """Whether each recommended item id (users, depth) is among the user's wanted items."""
    hits = np.zeros(lists.shape, bool)
    for row, items in enumerate(wanted):
        for item in items:
            hits[row] |= lists[row] == item
    return hits


def hit_rate(hits: Hits, k: int) -> PerUser:
    """HR@k: 1 if any of the first k items is wanted, else 0."""
    return np.asarray(hits[:, :k].any(axis=1), np.float64)


def recall(hits: Hits, wanted: NDArray[np.int64], k: int) -> PerUser:
    """Recall@k: wanted items among the first k / all wanted items."""
    return np.asarray(hits[:, :k].sum(axis=1) / wanted)


def ndcg(hits: Hits, wanted: NDArray[np.int64], k: int) -> PerUser:
    """NDCG@k with binary gain: sum of 1 / log2(rank + 1) over hits in the first k, ranks from 1, / the same sum for the
    best possible list, which has min(k, wanted) hits at its top."""
    hits = hits[:, :k]
    discount = 1 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(wanted, k)]
    return (hits @ discount[: hits.shape[1]]) / best


def reciprocal_rank(hits: Hits, k: int) -> PerUser:
    """MRR@k: 1 / rank of the first wanted item, 0 if it is not among the first k."""
    first = hits[:, :k].argmax(axis=1)
    return np.where(hits[:, :k].any(axis=1), 1 / (first + 1), 0.0)


def coverage(lists: NDArray[np.object_], items: int, k: int) -> float:
    """coverage@k: share of the catalogue's `items` that stands among the first k of at least one list."""
    return len(_exposure(lists, k)) / items


def gini(lists: NDArray[np.object_], items: int, k: int) -> float:
    """Gini@k: Gini coefficient of how often each of the catalogue's `items` stands among the first k of a list: 0 when
    all are shown equally often, towards 1 when few take all places."""
    counts = np.sort(list(_exposure(lists, k).values()))
    total = counts.sum()
    if not total:
        return 0.0
    rank = np.arange(items - len(counts) + 1, items + 1)  # items never shown come first and add nothing
    return float((2 * rank - items - 1) @ counts / (items * total))


def novelty(lists: NDArray[np.object_], chosen: Mapping[str, int], users: int, k: int) -> float:
    """novelty@k: mean self-information -log2 p of the shown items in bits, p the share of `users` that have `chosen`
    the item in what was fitted on (Zhou et al., PNAS 2010); an item that nobody has chosen counts as half a user's."""
    counts = _exposure(lists, k)
    total = sum(counts.values())
    bits = sum(n * -np.log2(max(chosen.get(item, 0), 0.5) / users) for item, n in counts.items())
    return float(bits / total) if total else 0.0


def success_rate(actions: NDArray[np.int64], t: int) -> PerDialogue:
    """SR@t: 1 for a dialogue that succeeded at an action k <= t. `actions` (dialogues,) are those of success, from 1; 0
    is a failure."""
    return np.asarray((actions > 0) & (actions <= t), np.float64)


def average_turn(actions: NDArray[np.int64], steps: int) -> PerDialogue:
    """AT: the action of success, a failure counting as all `steps` of the protocol."""
    return np.where(actions > 0, actions, steps).astype(np.float64)


def hierarchical_dcg(actions: NDArray[np.int64], ranks: NDArray[np.int64]) -> PerDialogue:
    """hDCG@(T, K) of Deng et al. (SIGIR 2021): with success at action k and the item at rank r, both from 1,
    1 / log2(k + 2) + (1 / log2(k + 1) - 1 / log2(k + 2)) / log2(r + 1); 0 for a failure."""
    done = actions > 0
    k, r = np.where(done, actions, 1), np.where(done, ranks, 1)
    late, early = 1 / np.log2(k + 2), 1 / np.log2(k + 1)
    return np.where(done, late + (early - late) / np.log2(r + 1), 0.0)


def interval_over_users(
    values: PerDialogue, users: Sequence[str], seed: int = 0, samples: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over dialogues, drawing users with all their dialogues: dialogues of
    one user resemble each other."""
    _, codes = np.unique(np.asarray(users), return_inverse=True)
    sums, counts = np.bincount(codes, values), np.bincount(codes)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=samples)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def interval(values: PerUser, seed: int = 0, samples: int = 1000, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over users."""
    rng = np.random.default_rng(seed)
    n = len(values)
    # Counting how often each distinct value is drawn gives the same means as drawing users, many times faster.
    distinct, counts = np.unique(values, return_counts=True)
    means = rng.multinomial(n, counts / n, size=samples) @ distinct / n
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _exposure(lists: NDArray[np.object_], k: int) -> dict[str, int]:
    """How often each item stands among the first k; padding left out."""
    items, counts = np.unique(lists[:, :k].ravel().astype(str), return_counts=True)
    return {item: int(n) for item, n in zip(items.tolist(), counts, strict=True) if item}
