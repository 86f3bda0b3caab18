"""Each model against an independent implementation or a result known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from llmrec.contracts import no_progress
from llmrec.data.dataset import Dataset
from llmrec.retrieval.collaborative import (
    EASE,
    IALS,
    EASEConfig,
    IALSConfig,
    ItemToItem,
    ItemToItemConfig,
    Popularity,
)
from llmrec.retrieval.collaborative.ease import exact_weights, inverse_in_place, sparse_weights
from llmrec.testing.datasets import make_dataset, two_tastes


def random_matrix(users: int, items: int, density: float, seed: int = 0) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix((rng.random((users, items)) < density).astype(np.float32))


def likes(histories: dict[str, str]) -> Dataset:
    """One letter for each item."""
    events = [
        {"user_id": user, "item_id": item, "timestamp": time}
        for user, items in histories.items()
        for time, item in enumerate(items)
    ]
    return make_dataset([{"item_id": item} for item in "abcdefg"], events)


# --- Popularity ---


def test_popularity_is_the_share_of_users_with_ties_in_catalogue_order() -> None:
    model = Popularity().fit(likes({"u": "cb", "v": "cb", "w": "cad"}))
    assert model.recommend([[]], 5).row(0) == [
        ("c", 1.0),
        ("b", pytest.approx(2 / 3)),
        ("a", pytest.approx(1 / 3)),
        ("d", pytest.approx(1 / 3)),
        ("e", 0.0),
    ]


# --- EASE ---


@pytest.mark.parametrize("items", [1, 40, 512, 700, 1100])
def test_blocked_inverse(items: int) -> None:
    matrix = random_matrix(900, items, 0.05).toarray()
    matrix = matrix.T @ matrix + 10 * np.eye(items, dtype=np.float32)
    expected = np.linalg.inv(matrix.astype(np.float64))
    np.testing.assert_allclose(inverse_in_place(matrix, no_progress), expected, rtol=2e-3, atol=1e-6)


def test_ease_is_the_ridge_regression_of_each_item_on_the_others() -> None:
    matrix = random_matrix(300, 30, 0.2)
    weights = exact_weights(matrix, 7.0, no_progress)
    dense = matrix.toarray().astype(np.float64)
    assert (np.diag(weights) == 0).all() and weights.flags.c_contiguous
    for item in range(30):
        others = np.delete(dense, item, axis=1)
        expected = np.linalg.solve(others.T @ others + 7 * np.eye(29), others.T @ dense[:, item])
        np.testing.assert_allclose(np.delete(weights[:, item], item), expected, rtol=1e-3, atol=1e-6)


def test_sparse_ease_with_all_neighbours_is_exact() -> None:
    matrix = random_matrix(300, 30, 0.4)  # every two items share a user
    weights = sparse_weights(matrix, 7.0, 29, no_progress)
    np.testing.assert_allclose(weights.toarray(), exact_weights(matrix, 7.0, no_progress), rtol=1e-3, atol=1e-6)


def test_sparse_ease_keeps_the_stated_number_of_neighbours() -> None:
    weights = sparse_weights(random_matrix(200, 50, 0.3), 7.0, 6, no_progress)
    assert (np.diff(weights.tocsc().indptr) == 6).all()


def test_ease_switches_above_its_limit() -> None:
    data = two_tastes()
    assert EASE(EASEConfig(exact_items=36)).fit(data).exact  # 40 items, of which 36 have events
    assert not EASE(EASEConfig(exact_items=35)).fit(data).exact


# --- iALS ---


@pytest.mark.parametrize("alpha", [0.5, 1.0, 20.0])
def test_folding_in_solves_what_implicit_solves(alpha: float) -> None:
    # The last user's history is longer than the factors, so that both forms of the solution are tried.
    matrix = sparse.vstack([random_matrix(199, 60, 0.1), np.ones((1, 60), np.float32)]).tocsr()
    events = [{"user_id": f"{u}", "item_id": f"{i}"} for u, i in zip(*matrix.nonzero(), strict=True)]
    model = IALS(IALSConfig(factors=16, alpha=alpha, regularization=0.5, iterations=5)).fit(
        make_dataset([{"item_id": f"{i}"} for i in range(60)], events)
    )
    with threadpool_limits(1, "blas"):
        other = AlternatingLeastSquares(factors=16, alpha=alpha, regularization=0.5)
        other.item_factors = model._factors
        users = other.recalculate_user(np.arange(200), matrix)
    expected = users @ model._factors.T
    ids = [str(user) for user in range(200)]
    candidates = [str(item) for item in range(60)]
    np.testing.assert_allclose(model.score(ids, candidates), expected, rtol=1e-3, atol=1e-4)


# --- Item to item ---


def test_item_to_item_adds_cosines() -> None:
    model = ItemToItem(ItemToItemConfig(weighting="cosine")).fit(likes({"u": "abc", "v": "ab", "w": "bd"}))
    # Users of a: u v, of b: u v w, of c: u, of d: w.
    expected = {"a": 2 / np.sqrt(6), "c": 1 / np.sqrt(3), "d": 1 / np.sqrt(3)}
    assert dict(model.similar(["b"]).row(0)) == pytest.approx(expected)
    (score,) = model.score([["a", "b"]], ["c"])[0]
    assert score == pytest.approx(1 / np.sqrt(2) + 1 / np.sqrt(3))


def test_tfidf_lets_heavy_users_say_less() -> None:
    histories = {"heavy": "abcdef", "light": "ag"}
    plain = ItemToItem(ItemToItemConfig(weighting="cosine")).fit(likes(histories)).score([["a"]], ["b", "g"])[0]
    weighted = ItemToItem().fit(likes(histories)).score([["a"]], ["b", "g"])[0]
    assert plain[0] == pytest.approx(plain[1])
    assert weighted[0] < weighted[1]


def test_neighbours_are_limited_and_others() -> None:
    data = two_tastes()
    model = ItemToItem(ItemToItemConfig(neighbours=3)).fit(data)
    assert all(len(model.similar([item], 10).row(0)) <= 3 for item in model.item_ids)
