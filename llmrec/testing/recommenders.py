"""The conformance kit of recommenders.

    from llmrec.testing.recommenders import RecommenderContract

    class TestMine(RecommenderContract):
        kind = Mine

Every test of the contract then runs against `Mine`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from llmrec.contracts import Recommendations, Recommender, Updatable, Who
from llmrec.data.dataset import Dataset
from llmrec.testing.datasets import make_dataset, two_tastes

PEOPLE: Sequence[Who] = ["u0", "u1", ["i0", "i2"], ["i3"], [], "nobody", ["i2", "i2", "no such item"]]
"""Known, new and anonymous people, an unknown user, and a history with a repeated and an unknown item."""


class RecommenderContract:
    """What `contracts.Recommender` promises, tested on small made data."""

    kind: ClassVar[type[Recommender]]
    personal: ClassVar[bool] = True
    """Whether it learns tastes: False for a baseline that ranks alike for everybody."""

    def make(self) -> Recommender:
        """A new recommender; override it where small data needs other settings."""
        return self.kind()

    @pytest.fixture(scope="class")
    def dataset(self) -> Dataset:
        return two_tastes()

    @pytest.fixture(scope="class")
    def model(self, dataset: Dataset) -> Recommender:
        return self.make().fit(dataset)

    def test_is_a_recommender(self, model: Recommender) -> None:
        assert isinstance(model, Recommender)

    def test_config_refuses_unknown_keys(self) -> None:
        with pytest.raises(ValidationError):
            self.kind.config_type(**{"no_such_setting": 1})
        assert self.kind.config_type.model_validate_json(self.make().config.model_dump_json()) == self.make().config

    def test_fit_returns_the_model(self, dataset: Dataset) -> None:
        model = self.make()
        assert model.fit(dataset) is model

    def test_knows_only_items_of_the_catalogue(self, model: Recommender, dataset: Dataset) -> None:
        ids = list(model.item_ids)
        assert len(set(ids)) == len(ids)
        positions = dataset.item_index.positions(ids)
        assert (positions >= 0).all()

    @pytest.mark.parametrize("k", [1, 5, 200])
    def test_lists_are_ranked_distinct_and_padded_at_the_end(self, model: Recommender, k: int) -> None:
        found = model.recommend(PEOPLE, k)
        assert found.items.shape == found.scores.shape == (len(PEOPLE), k)
        assert found.items.dtype == object and found.scores.dtype == np.float32
        for items, scores in zip(found.items, found.scores, strict=True):
            length = sum(item != "" for item in items)
            assert length > 0
            assert set(items[:length]) <= set(model.item_ids) and len(set(items[:length])) == length
            assert np.isfinite(scores[:length]).all() and (np.diff(scores[:length]) <= 0).all()
            assert (items[length:] == "").all() and (scores[length:] == -np.inf).all()

    def test_nobody_to_recommend_to(self, model: Recommender) -> None:
        assert model.recommend([], 3).items.shape == (0, 3)
        assert model.score([]).shape == (0, len(model.item_ids))
        assert model.similar([], 3).items.shape == (0, 3)

    def test_a_batch_gives_what_each_person_gets_alone(self, model: Recommender) -> None:
        together = model.recommend(PEOPLE, 5)
        for row, who in enumerate(PEOPLE):
            alone = model.recommend([who], 5)
            np.testing.assert_allclose(together.scores[row], alone.scores[0], rtol=1e-4, atol=1e-6)

    def test_an_unknown_user_is_anonymous(self, model: Recommender) -> None:
        _same(model.recommend(["nobody"], 5), model.recommend([[]], 5))

    def test_unknown_items_of_a_history_are_ignored(self, model: Recommender) -> None:
        _same(model.recommend([["i0", "no such item", "i2"]], 5), model.recommend([["i0", "i2"]], 5))

    def test_seen_items_are_left_out(self, model: Recommender, dataset: Dataset) -> None:
        everything = len(model.item_ids)
        for user in ("u0", "u1", "u7"):
            seen = set(dataset.histories[user])
            assert not seen & _items(model.recommend([user], everything))
            assert not seen & _items(model.recommend([dataset.histories[user]], everything))

    def test_seen_items_are_ranked_on_request(self, model: Recommender, dataset: Dataset) -> None:
        found = model.recommend(["u0"], len(model.item_ids), exclude_seen=False)
        assert set(dataset.histories["u0"]) <= _items(found)

    def test_within_restricts_the_candidates(self, model: Recommender) -> None:
        everything = [item for item, _ in model.recommend([["i0"]], len(model.item_ids)).row(0)]
        candidates = everything[1::3]
        found = model.recommend([["i0"]], len(candidates) + 2, within=[*reversed(candidates), "no such item"])
        assert [item for item, _ in found.row(0)] == candidates
        assert _items(model.recommend([["i0"]], 3, within=[])) == set()
        assert _items(model.recommend([["i0"]], 3, within=["no such item"])) == set()

    def test_scores_agree_with_the_ranking(self, model: Recommender) -> None:
        scores = model.score(PEOPLE)
        assert scores.shape == (len(PEOPLE), len(model.item_ids)) and scores.dtype == np.float32
        found = model.recommend(PEOPLE, 5, exclude_seen=False)
        np.testing.assert_allclose(found.scores, _best(scores, 5), rtol=1e-4, atol=1e-6)
        for row in range(len(PEOPLE)):
            own = model.score([PEOPLE[row]], [str(item) for item in found.items[row]])
            np.testing.assert_allclose(own[0], found.scores[row], rtol=1e-4, atol=1e-6)

    def test_candidates_keep_their_order(self, model: Recommender) -> None:
        known = list(model.item_ids)
        candidates = [known[7], "no such item", known[2], known[7]]
        scores = model.score(["u0", []], candidates)
        full = model.score(["u0", []])
        assert (scores[:, 1] == -np.inf).all()
        np.testing.assert_allclose(scores[:, [0, 2, 3]], full[:, [7, 2, 7]], rtol=1e-4, atol=1e-6)
        assert model.score(["u0"], []).shape == (1, 0)

    def test_similar_items_are_others(self, model: Recommender) -> None:
        found = model.similar(["i0", "no such item", "i3"], 5)
        assert "i0" not in found.items[0] and "i3" not in found.items[2]
        assert len(found.row(0)) > 0
        assert found.row(1) == [] and (found.items[1] == "").all()

    def test_learns_tastes(self, model: Recommender) -> None:
        if not self.personal:
            return
        lists = [model.recommend([who], 3).row(0) for who in ("u0", "u1", ["i0", "i2", "i4"], ["i1", "i3", "i5"])]
        for parity, items in enumerate(lists):
            assert {int(item[1:]) % 2 for item, _ in items} == {parity % 2}
        assert {int(item[1:]) % 2 for item, _ in model.similar(["i2"], 3).row(0)} == {0}

    def test_fitting_twice_gives_the_same(self, model: Recommender, dataset: Dataset) -> None:
        _same(self.make().fit(dataset).recommend(PEOPLE, 5), model.recommend(PEOPLE, 5))

    def test_a_saved_model_is_the_same_model(self, model: Recommender, tmp_path: Path) -> None:
        first, moved = tmp_path / "first", tmp_path / "moved"
        first.mkdir()
        model.save(first)
        first.rename(moved)
        again = self.kind.load(moved)
        assert again.config == model.config and list(again.item_ids) == list(model.item_ids)
        _same(again.recommend(PEOPLE, 5), model.recommend(PEOPLE, 5))
        _same(again.similar(["i0", "i5"], 5), model.similar(["i0", "i5"], 5))

    def test_what_is_saved_runs_no_code(self, model: Recommender, tmp_path: Path) -> None:
        model.save(tmp_path)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {path.suffix for path in files} <= {".json", ".safetensors", ".npz", ".parquet"}
        assert json.loads((tmp_path / "config.json").read_text()) == model.config.model_dump(mode="json")
        for path in tmp_path.rglob("*.npz"):
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[name].dtype != object for name in arrays.files)  # reading an object array raises

    @pytest.mark.parametrize("items", [0, 1, 3])
    def test_data_without_interactions(self, items: int) -> None:
        model = self.make().fit(make_dataset([{"item_id": f"i{n}"} for n in range(items)]))
        assert model.recommend([[], "u0", ["i0"]], 2).items.shape == (3, 2)
        assert model.score([[]], ["i0", "no such item"]).shape == (1, 2)
        assert model.similar(["i0"], 2).items.shape == (1, 2)

    def test_one_event(self) -> None:
        model = self.make().fit(
            make_dataset([{"item_id": "i0"}, {"item_id": "i1"}], [{"user_id": "u0", "item_id": "i0"}])
        )
        assert _items(model.recommend([[]], 2)) >= {"i0"}
        assert "i0" not in _items(model.recommend(["u0"], 2))

    def test_update_reaches_the_history(self, dataset: Dataset) -> None:
        model = self.make().fit(dataset)
        if not isinstance(model, Updatable):
            return
        everything = len(model.item_ids)
        liked = model.recommend(["u0"], 1).row(0)[0][0]
        model.update([("u0", liked), ("u0", "no such item"), ("new", "i1"), ("new", "i3"), ("new", "i1")])
        assert liked not in _items(model.recommend(["u0"], everything))
        _same(model.recommend(["new"], 5), model.recommend([["i1", "i3"]], 5))

    def test_update_is_saved(self, dataset: Dataset, tmp_path: Path) -> None:
        model = self.make().fit(dataset)
        if not isinstance(model, Updatable):
            return
        model.update([("new", "i1"), ("u0", "i0")])
        model.save(tmp_path)
        _same(self.kind.load(tmp_path).recommend(["new", "u0"], 5), model.recommend(["new", "u0"], 5))


def _items(found: Recommendations) -> set[str]:
    return {item for item in found.items.ravel().tolist() if item}


def _same(found: Recommendations, expected: Recommendations) -> None:
    assert found.items.tolist() == expected.items.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-6)


def _best(scores: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    return -np.sort(-scores, axis=1)[:, :k]
