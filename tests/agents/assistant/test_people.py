"""Histories of the build and events since."""

from __future__ import annotations

from pathlib import Path

from llmrec.agents.assistant.people import LRU, Happenings, People
from llmrec.testing.datasets import make_dataset, two_tastes


def test_people_have_the_dataset_s_histories_after_a_round_trip(tmp_path: Path) -> None:
    data = two_tastes()
    People.of(data).save(tmp_path)
    people = People.load(tmp_path)
    ids = data.item_index.ids
    for user in data.user_index:
        assert list(ids[people.history(user)]) == data.histories.get(user, [])
        assert set(ids[people.seen(user)]) == data.seen[user]
    assert people.popularity.tolist() == data.matrix().sum(axis=0).A1.tolist()  # type: ignore[attr-defined]
    assert people.history("nobody").size == people.seen("nobody").size == 0


def test_a_dataset_without_interactions_has_nobody(tmp_path: Path) -> None:
    People.of(make_dataset([{"item_id": "a"}, {"item_id": "b"}])).save(tmp_path)
    people = People.load(tmp_path)
    assert len(people.users) == 0 and people.popularity.tolist() == [0, 0]


def test_events_since_the_build() -> None:
    happenings = Happenings()
    for item, event in (("a", "buy"), ("b", "dismiss"), ("a", "view"), ("c", "like")):
        happenings.add("anna", item, event)
    assert happenings.liked("anna") == ("a", "c")
    assert happenings.seen("anna") == {"a", "b", "c"}
    assert happenings.popularity == {"a": 1, "c": 1}
    assert happenings.liked("ben") == () and happenings.seen("ben") == frozenset()
    assert happenings.users == ["anna"]


def test_the_cache_keeps_what_was_used_last() -> None:
    cache: LRU[str, str] = LRU(2)
    computed: list[str] = []

    def get(key: str) -> str:
        return cache.get(key, lambda: computed.append(key) or key.upper())  # type: ignore[func-returns-value]

    assert [get(key) for key in "abaca"] == list("ABACA")
    assert computed == ["a", "b", "c"]
    get("b")
    assert computed == ["a", "b", "c", "b"]
