from __future__ import annotations

import pytest

from llmrec.data.dataset import Dataset
from llmrec.retrieval.content import Content, ContentConfig
from llmrec.testing.datasets import make_dataset, two_tastes
from llmrec.testing.recommenders import RecommenderContract


class TestContract(RecommenderContract):
    kind = Content

    @pytest.fixture(scope="class")
    def dataset(self) -> Dataset:
        return with_words(two_tastes())


def with_words(dataset: Dataset) -> Dataset:
    """Even items are novels, odd ones records, each with something of its own."""
    rows = [
        {
            "item_id": item,
            "title": ("A quiet novel" if int(item[1:]) % 2 == 0 else "Loud records") + f" {item}",
            "attributes": [f"shelf: {int(item[1:]) % 6}"],
        }
        for item in dataset.item_index
    ]
    return make_dataset(rows).with_interactions(dataset.interactions)


def titles(*words: str) -> Dataset:
    return make_dataset([{"item_id": f"i{n}", "title": title} for n, title in enumerate(words)])


def test_finds_items_that_nobody_has_chosen() -> None:
    model = Content().fit(titles("red nail polish", "garden hose", "nail polishes, green"))
    assert model.recommend([["i0"]], 3).row(0)[0][0] == "i2"
    assert [item for item, _ in model.similar(["i0"]).row(0)] == ["i2"]


def test_the_latest_item_weighs_most() -> None:
    data = titles("jazz piano", "rock guitar", "jazz", "rock")
    model = Content().fit(data)
    best = [model.recommend([history], 1).row(0)[0][0] for history in (["i0", "i1"], ["i1", "i0"])]
    assert best == ["i3", "i2"]
    alike = Content(ContentConfig(decay=1)).fit(data).score([["i0", "i1"]], ["i2", "i3"])[0]
    assert alike[0] == pytest.approx(alike[1])


def test_a_known_user_has_the_order_of_time() -> None:
    items = [
        {"item_id": name, "title": title}
        for name, title in zip("abcd", ("jazz", "rock", "jazz x", "rock x"), strict=True)
    ]
    events = [
        {"user_id": "u", "item_id": "b", "timestamp": 9},
        {"user_id": "u", "item_id": "a", "timestamp": 1},
        {"user_id": "v", "item_id": "a", "timestamp": 9},
        {"user_id": "v", "item_id": "b", "timestamp": 1},
    ]
    model = Content().fit(make_dataset(items, events))
    assert [model.recommend([user], 1).row(0)[0][0] for user in "uv"] == ["d", "c"]
    model.update([("u", "c"), ("v", "d")])
    assert model.score(["u"]).tolist() == model.score([["a", "b", "c"]]).tolist()


def test_attributes_count_as_a_whole() -> None:
    items = [
        {"item_id": "a", "title": "one", "attributes": ["science fiction"]},
        {"item_id": "b", "title": "two", "attributes": ["science fiction"]},
        {"item_id": "c", "title": "three", "attributes": ["political science", "historical fiction"]},
    ]
    model = Content().fit(make_dataset(items))
    near, far = model.score([["a"]], ["b", "c"])[0]
    assert near > far > 0


def test_items_without_words_are_like_nothing() -> None:
    model = Content().fit(titles("", "", "word", "word"))
    assert model.similar(["i0", "i2"]).row(0) == []
    assert [item for item, _ in model.similar(["i2"]).row(0)] == ["i3"]
