"""The value of a plan, against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from llmrec.agents.conversation.policies.lookahead import Likely, values


def plain(
    weights: np.ndarray, having: np.ndarray, rows: list[int], actions: int, k: int, cost: float, depth: int
) -> float:
    """The definition, one node at a time: items alone, most probable first."""
    listed = sum(weights[row] * max(0, actions - place // k) for place, row in enumerate(rows))
    if len(rows) <= k or actions < 2 or depth == 0:
        return listed
    total = weights[rows].sum()
    question = int(np.abs(weights[rows] @ having[rows] - total / 2).argmin())
    yes = [row for row in rows if having[row, question]]
    no = [row for row in rows if not having[row, question]]
    if not yes or not no:
        return listed
    branches = [plain(weights, having, branch, actions - 1, k, cost, depth - 1) for branch in (yes, no)]
    return max(listed, (1 - cost) * sum(branches))


@pytest.mark.parametrize("seed", range(20))
def test_is_the_best_of_listing_now_and_of_both_answers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items, questions = int(rng.integers(5, 60)), int(rng.integers(1, 9))
    weights = np.sort(rng.dirichlet(np.full(items, 0.5)))[::-1].copy()
    having = rng.random((items, questions)) < rng.random(questions)
    likely = Likely(weights, np.ones(items, np.int64), having)
    chosen = np.sort(rng.permutation(items)[: items // 2])
    roots = [np.arange(items), chosen, np.array([], np.int64)]
    for actions, k, cost, depth in ((6, 3, 0.0, 9), (4, 2, 0.1, 9), (5, 1, 0.05, 2), (3, 4, 0.0, 0), (1, 3, 0.0, 9)):
        expected = [plain(weights, having, list(root), actions, k, cost, depth) for root in roots]
        assert values(likely, roots, actions, k, cost, depth) == pytest.approx(expected, abs=2e-3)


def test_a_row_that_stands_for_several_items_takes_their_places() -> None:
    having = np.zeros((3, 0), bool)
    alone = Likely(np.array([0.4, 0.2, 0.2, 0.1, 0.1]), np.ones(5, np.int64), np.zeros((5, 0), bool))
    grouped = Likely(np.array([0.4, 0.4, 0.2]), np.array([1, 2, 2]), having)
    assert values(grouped, [np.arange(3)], 3, 2, 0.0, 0) == pytest.approx(values(alone, [np.arange(5)], 3, 2, 0.0, 0))


def test_asking_pays_where_a_list_cannot_hold_the_items() -> None:
    items = np.full(16, 1 / 16)
    bits = np.array([[(number >> bit) & 1 for bit in range(4)] for number in range(16)], bool)
    likely = Likely(items, np.ones(16, np.int64), bits)
    root = [np.arange(16)]
    assert values(likely, root, 5, 1, success=10)[0] == pytest.approx(10 + 1.5)  # found in any case
    assert values(likely, root, 5, 1, 0.0, 0)[0] == pytest.approx((5 + 4 + 3 + 2 + 1) / 16)
    assert values(likely, root, 5, 1, 0.0, 9)[0] == pytest.approx((2 + 1) / 2)  # after three questions
