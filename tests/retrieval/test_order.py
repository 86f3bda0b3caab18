from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llmrec.retrieval.fusion import reciprocal_rank_fusion
from llmrec.retrieval.order import best


@given(st.lists(st.integers(-3, 3), max_size=30), st.integers(0, 35), st.sampled_from([-np.inf, -1, 0]))
def test_best_is_a_stable_sort_cut_off(scores: list[int], k: int, above: float) -> None:
    array = np.array(scores, np.float32)
    positions, values = best(array, k, above)
    expected = sorted((p for p in range(len(scores)) if scores[p] > above), key=lambda p: (-scores[p], p))[:k]
    assert positions.tolist() == expected
    assert values.tolist() == [scores[p] for p in expected]


def test_fusion_of_two_lists_by_hand() -> None:
    positions, scores = reciprocal_rank_fusion([[7, 3, 5], np.array([5, 7])], k=60)
    assert positions.tolist() == [7, 5, 3]
    np.testing.assert_allclose(scores, [1 / 61 + 1 / 62, 1 / 63 + 1 / 61, 1 / 62], rtol=1e-6)


def test_fusion_orders_ties_by_catalogue_position_and_takes_empty_lists() -> None:
    assert reciprocal_rank_fusion([[9, 2], [2, 9]])[0].tolist() == [2, 9]
    assert reciprocal_rank_fusion([[], [4]])[0].tolist() == [4]
    assert reciprocal_rank_fusion([])[0].tolist() == []


@given(st.lists(st.lists(st.integers(0, 20), unique=True, max_size=15), max_size=4))
def test_fusion_agrees_with_the_definition(lists: list[list[int]]) -> None:
    positions, scores = reciprocal_rank_fusion(lists)
    expected = {
        p: sum(1 / (61 + ranked.index(p)) for ranked in lists if p in ranked) for ranked in lists for p in ranked
    }
    assert set(positions.tolist()) == set(expected)
    np.testing.assert_allclose(scores, [expected[p] for p in positions.tolist()], rtol=1e-6)
    assert (np.diff(scores) <= 0).all()
