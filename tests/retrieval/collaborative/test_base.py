"""What all collaborative recommenders share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmrec.errors import LlmrecError
from llmrec.retrieval.collaborative import EASE, Popularity
from llmrec.retrieval.collaborative.arrays import read_arrays, write_arrays
from llmrec.testing.datasets import make_dataset, two_tastes


def names(model: EASE | Popularity, who: object, k: int = 40, **options: object) -> list[str]:
    return [item for item, _ in model.recommend([who], k, **options).row(0)]  # type: ignore[list-item,arg-type]


def test_asking_before_fitting_says_what_to_do() -> None:
    with pytest.raises(LlmrecError, match="EASE has not learnt anything yet: call fit or load first"):
        EASE().recommend(["u0"])


def test_disliked_items_of_known_users_are_seen() -> None:
    data = two_tastes()
    disliked = data.seen["u0"] - set(data.histories["u0"])
    assert len(disliked) == 1
    assert not disliked & set(names(EASE().fit(data), "u0"))


def test_an_item_that_was_disliked_and_liked_is_liked() -> None:
    events = [
        {"user_id": "u", "item_id": "a", "event": "dismiss"},
        {"user_id": "u", "item_id": "a", "event": "like"},
        {"user_id": "u", "item_id": "b", "event": "dismiss"},
        {"user_id": "v", "item_id": "a", "event": "like"},
        {"user_id": "v", "item_id": "b", "event": "like"},
        {"user_id": "v", "item_id": "c", "event": "like"},
    ]
    model = EASE().fit(make_dataset([{"item_id": i} for i in "abc"], events))
    assert names(model, "u") == ["c"]
    scores = dict(model.recommend(["u"], 3, exclude_seen=False).row(0))
    assert scores["b"] == pytest.approx(dict(model.recommend([["a"]], 3).row(0))["b"])


def test_items_without_events_are_unknown_except_to_popularity() -> None:
    data = two_tastes()
    cold = ["i36", "i37", "i38", "i39"]
    model = EASE().fit(data)
    assert (model.score([["i0"]], cold) == -np.inf).all()
    assert names(model, [], within=cold) == []
    assert names(Popularity().fit(data), [], within=cold) == cold


def test_a_history_that_says_nothing_is_answered_by_popularity() -> None:
    events = [{"user_id": "lonely", "item_id": "z"}]
    events += [{"user_id": f"u{n}", "item_id": item} for n in range(3) for item in "ab"]
    data = make_dataset([{"item_id": item} for item in "zab"], events)
    popular = names(Popularity().fit(data), [])
    assert popular == ["a", "b", "z"]
    model = EASE().fit(data)
    assert names(model, []) == names(model, "nobody") == popular
    assert names(model, ["z"]) == names(model, "lonely") == ["a", "b"]  # nobody shares z
    assert model.similar(["z"]).row(0) == []


def test_ids_of_any_script_survive(tmp_path: Path) -> None:
    items = ["🎧", "שלום", "line\nbreak", "with space"]
    events = [{"user_id": user, "item_id": item} for user in ("é", "ü") for item in items[:3]]
    model = EASE().fit(make_dataset([{"item_id": item} for item in items], events))
    model.save(tmp_path)
    again = EASE.load(tmp_path)
    assert list(again.item_ids) == items[:3]
    assert names(again, ["🎧"]) == names(model, ["🎧"]) != []


def test_arrays_of_every_type_and_shape(tmp_path: Path) -> None:
    arrays = {
        "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
        "transposed": np.arange(6, dtype=np.float64).reshape(2, 3).T,
        "int32": np.array([1, -2], np.int32),
        "int64": np.array([2**40], np.int64),
        "bool": np.array([True, False, True]),
        "empty": np.empty((0, 4), np.float32),
    }
    write_arrays(tmp_path / "model.safetensors", arrays)
    again = read_arrays(tmp_path / "model.safetensors")
    assert set(again) == set(arrays)
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)
