from __future__ import annotations

import numpy as np
import pytest

from llmrec.contracts import Recommender
from llmrec.data.dataset import Dataset
from llmrec.retrieval.fusion import Blend, BlendConfig, blend, reciprocal_rank_fusion, strongest_source
from llmrec.testing.datasets import make_dataset, two_tastes
from llmrec.testing.recommenders import RecommenderContract

SMALL = BlendConfig(weights={"ease": 1.0, "item-to-item": 0.5, "content": 0.2})


class TestContract(RecommenderContract):
    kind = Blend

    def make(self) -> Recommender:
        return Blend(SMALL)


def test_reciprocal_ranks_are_added() -> None:
    positions, scores = reciprocal_rank_fusion([[4, 2, 7], [2, 9]], k=60)
    assert positions.tolist() == [2, 4, 9, 7]
    assert scores.tolist() == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 63])


def test_equal_ranks_keep_catalogue_order() -> None:
    positions, _ = reciprocal_rank_fusion([[5, 1], [1, 5], [3], []])
    assert positions.tolist() == [1, 5, 3]
    assert reciprocal_rank_fusion([])[0].tolist() == []


def test_the_scale_of_a_source_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 50)).astype(np.float32)
    weights = {"a": 1.0, "b": 2.0}
    expected = blend({"a": a, "b": b}, weights)
    found = blend({"a": 1000 * a - 5, "b": b / 1000}, weights)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    independent = sum(w * (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True) for w, x in ((1, a), (2, b)))
    np.testing.assert_allclose(expected, independent, atol=1e-5)


def test_what_one_source_does_not_know_the_other_finds() -> None:
    unknown = -np.inf
    collaborative = np.array([[0.3, 0.1, 0.1, 0.1, unknown]], np.float32)
    content = np.array([[0.1, 0.0, 0.0, 0.0, 0.9]], np.float32)
    sources, weights = {"collaborative": collaborative, "content": content}, {"collaborative": 1, "content": 1}
    scores, strongest = blend(sources, weights), strongest_source(sources, weights)
    assert np.isfinite(scores).all()
    assert np.argsort(-scores[0])[:2].tolist() == [4, 0]
    assert strongest[0, [0, 4]].tolist() == [0, 1]


def test_a_source_without_an_opinion_is_silent() -> None:
    opinion = np.array([[1.0, 2.0, 3.0]], np.float32)
    for silent in (np.zeros((1, 3), np.float32), np.full((1, 3), -np.inf, np.float32)):
        sources, weights = {"silent": silent, "opinion": opinion}, {"silent": 1, "opinion": 1}
        np.testing.assert_allclose(blend(sources, weights), blend({"opinion": opinion}, weights))
        assert strongest_source(sources, weights)[0, 2] == 1


def with_a_new_item(dataset: Dataset) -> Dataset:
    rows = [
        {"item_id": item, "title": "jazz" if item in ("i0", "i39") else f"thing {item}"} for item in dataset.item_index
    ]
    return make_dataset(rows).with_interactions(dataset.interactions)


def test_new_items_are_reached_by_content_and_say_so() -> None:
    model = Blend(BlendConfig(weights={"ease": 1.0, "content": 1.0})).fit(with_a_new_item(two_tastes()))
    found = [item for item, _ in model.recommend([["i2", "i0"]], 8).row(0)]
    assert "i39" in found
    sources = dict(zip(found, model.sources(["i2", "i0"], found), strict=True))
    assert sources["i39"] == "content"
    assert set(sources.values()) > {"content"}
