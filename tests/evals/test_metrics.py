from __future__ import annotations

import numpy as np
import pytest

from llmrec.evals import metrics as m

LISTS = np.array([["a", "b", "c", "d"], ["e", "a", "b", ""], ["a", "b", "c", "e"]], dtype=object)
WANTED = [["c"], ["a", "b", "z"], ["z"]]
COUNTS = np.array([1, 3, 1])
HITS = m.find_hits(LISTS, WANTED)


def log2(x: float) -> float:
    return float(np.log2(x))


def test_hits() -> None:
    assert HITS.tolist() == [[False, False, True, False], [False, True, True, False], [False] * 4]


def test_padding_is_never_a_hit() -> None:
    assert not m.find_hits(np.array([["", ""]], dtype=object), [["a"]]).any()


@pytest.mark.parametrize(("k", "expected"), [(1, [0, 0, 0]), (2, [0, 1, 0]), (3, [1, 1, 0]), (10, [1, 1, 0])])
def test_hit_rate(k: int, expected: list[float]) -> None:
    assert m.hit_rate(HITS, k).tolist() == expected


def test_recall_is_of_all_wanted_items() -> None:
    assert m.recall(HITS, COUNTS, 2) == pytest.approx([0, 1 / 3, 0])
    assert m.recall(HITS, COUNTS, 4) == pytest.approx([1, 2 / 3, 0])


def test_reciprocal_rank_is_of_the_first_hit() -> None:
    assert m.reciprocal_rank(HITS, 4) == pytest.approx([1 / 3, 1 / 2, 0])
    assert m.reciprocal_rank(HITS, 2) == pytest.approx([0, 1 / 2, 0])


def test_ndcg_by_hand() -> None:
    ideal = 1 + 1 / log2(3) + 1 / log2(4)
    assert m.ndcg(HITS, COUNTS, 3) == pytest.approx([1 / log2(4), (1 / log2(3) + 1 / log2(4)) / ideal, 0])
    # The best list of two has two hits, though three items are wanted.
    assert m.ndcg(HITS, COUNTS, 2)[1] == pytest.approx((1 / log2(3)) / (1 + 1 / log2(3)))


def test_the_best_list_has_ndcg_one_at_every_cutoff() -> None:
    hits = np.array([[True, True, True, False, False]])
    for k in (1, 2, 3, 4, 5, 9):
        assert m.ndcg(hits, np.array([3]), k) == pytest.approx([1])


def test_coverage_counts_items_shown_at_least_once() -> None:
    assert m.coverage(LISTS, 10, 1) == pytest.approx(0.2)
    assert m.coverage(LISTS, 10, 4) == pytest.approx(0.5)


def test_gini_by_its_definition() -> None:
    exposure = np.array([3, 3, 2, 1, 2, 0, 0])  # of a b c d e and two that are never shown
    differences = np.abs(exposure[:, None] - exposure[None, :]).mean()
    assert m.gini(LISTS, 7, 4) == pytest.approx(differences / (2 * exposure.mean()))


def test_gini_at_its_ends() -> None:
    assert m.gini(np.array([["a"], ["b"]], dtype=object), 2, 1) == pytest.approx(0)
    assert m.gini(np.array([["a"]] * 5, dtype=object), 100, 1) == pytest.approx(0.99)
    assert m.gini(np.array([[""]], dtype=object), 3, 1) == 0


def test_novelty_in_bits() -> None:
    lists = np.array([["common", "rare"], ["common", "new"]], dtype=object)
    chosen = {"common": 8, "rare": 1}
    expected = (2 * log2(1) + log2(8) + log2(16)) / 4  # 8 of 8 users, 1 of 8, half a user of 8
    assert m.novelty(lists, chosen, 8, 2) == pytest.approx(expected)


def test_the_interval_holds_the_mean_and_narrows_with_users() -> None:
    rng = np.random.default_rng(1)
    few, many = rng.random(50), rng.random(5000)
    for values in (few, many):
        low, high = m.interval(values)
        assert low < values.mean() < high
    width = np.diff(m.interval(many))[0]
    assert width == pytest.approx(2 * 1.96 * many.std() / np.sqrt(5000), rel=0.1)
    assert width < np.diff(m.interval(few))[0]
    assert m.interval(many) == m.interval(many)
    assert m.interval(np.ones(9)) == (1, 1)


# --- Dialogues --------------------------------------------------------------------------------------------------------

ACTIONS, RANKS = np.array([1, 14, 0, 5]), np.array([1, 10, 0, 2])


def test_success_rate_counts_successes_up_to_an_action() -> None:
    assert m.success_rate(ACTIONS, 5).tolist() == [1, 0, 0, 1]
    assert m.success_rate(ACTIONS, 15).tolist() == [1, 1, 0, 1]


def test_average_turn_counts_a_failure_as_all_steps() -> None:
    assert m.average_turn(ACTIONS, 15).tolist() == [1, 14, 15, 5]


def test_hierarchical_dcg_is_the_published_formula() -> None:
    def formula(k: int, rank: int) -> float:
        return 1 / np.log2(k + 2) + (1 / np.log2(k + 1) - 1 / np.log2(k + 2)) / np.log2(rank + 1)

    assert m.hierarchical_dcg(ACTIONS, RANKS) == pytest.approx([1, formula(14, 10), 0, formula(5, 2)])
    assert formula(1, 1) == 1  # the best there is


def test_intervals_draw_users_with_all_their_dialogues() -> None:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(100), 20)
    alike = np.repeat(rng.random(100), 20)  # dialogues of one user all end alike
    low, high = m.interval_over_users(alike, users.astype(str))
    assert low < alike.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * alike.std() / np.sqrt(100), rel=0.15)
    apart = rng.random(2000)
    low, high = m.interval_over_users(apart, users.astype(str))
    assert high - low == pytest.approx(2 * 1.96 * apart.std() / np.sqrt(2000), rel=0.2)


def test_intervals_over_users_weigh_users_by_their_dialogues() -> None:
    low, high = m.interval_over_users(np.array([1.0, 1, 1, 0]), ["a", "a", "a", "b"], samples=4000)
    assert (low, high) == (0, 1)
