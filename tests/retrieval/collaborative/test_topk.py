from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llmrec.retrieval.collaborative.topk import top_k


def by_sorting(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, 1)
    order = np.where(best > -np.inf, order, -1)
    missing = k - order.shape[1]
    pad = ((0, 0), (0, max(missing, 0)))
    return np.pad(order, pad, constant_values=-1), np.pad(best, pad, constant_values=-np.inf)


def agree(scores: np.ndarray, k: int) -> None:
    for found, expected in zip(top_k(scores, k), by_sorting(scores, k), strict=True):
        np.testing.assert_array_equal(found, expected)


few_values = st.sampled_from(np.array([-np.inf, -1, 0, 0.5, 2], np.float32))


@given(arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(0, 12)), elements=few_values), st.integers(1, 15))
def test_small_rows_full_of_ties(scores: np.ndarray, k: int) -> None:
    agree(scores, k)


@pytest.mark.parametrize("values", [2, 50, 10**6])
@pytest.mark.parametrize(("columns", "k"), [(1023, 5), (1024, 10), (5000, 10), (5000, 600)])
def test_wide_rows(columns: int, k: int, values: int) -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, values, (7, columns)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    scores[3] = 0
    scores[4] = -np.inf
    scores[5, : columns - 3] = -np.inf
    agree(scores, k)


def test_k_is_positive() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        top_k(np.zeros((1, 3), np.float32), 0)
