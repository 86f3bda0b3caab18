"""The graph of users, items and attributes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from llmrec.data.catalogue import Catalogue
from llmrec.data.dataset import Dataset
from llmrec.retrieval.graph import AttributeGraph, Links, Stop
from llmrec.testing.datasets import make_dataset

ITEMS = [
    {"item_id": "a", "attributes": ["rock", "indie"]},
    {"item_id": "b", "attributes": ["rock", "sad"]},
    {"item_id": "c", "attributes": ["jazz"]},
    {"item_id": "d", "attributes": ["jazz", "sad"]},
    {"item_id": "e"},
]
EVENTS = [("ann", "a"), ("ann", "a"), ("bob", "c"), ("bob", "d"), ("cleo", "b")]
PEOPLE = {  # friends, liked attributes
    "ann": (["bob", "nobody"], ["rock", "jazz"]),
    "bob": (["ann", "cleo"], ["jazz", "sad"]),
    "cleo": ([], ["rock"]),
    "gone": (["ann"], ["sad"]),
}


def dataset(likes: bool = True) -> Dataset:
    made = make_dataset(ITEMS, [{"user_id": user, "item_id": item} for user, item in EVENTS])
    users = pl.DataFrame(
        [
            {"user_id": user, "friends": friends, "liked_attributes": liked if likes else []}
            for user, (friends, liked) in PEOPLE.items()
        ],
        schema={"user_id": pl.String, "friends": pl.List(pl.String), "liked_attributes": pl.List(pl.String)},
    )
    return Dataset("made", made.items, made.interactions, users)


@pytest.fixture
def graph() -> AttributeGraph:
    return AttributeGraph.build(dataset(), Catalogue.from_dataset(dataset()))


def names(graph: AttributeGraph, mask: np.ndarray) -> set[str]:
    return set(graph.attributes.ids[mask])


def liked(graph: AttributeGraph, user: str) -> set[str]:
    return set(graph.attributes.ids[graph.like.of(graph.users.position(user))])


def test_edges_are_those_of_the_data(graph: AttributeGraph) -> None:
    assert graph.interact.of(graph.users.position("ann")).tolist() == [0]  # twice, one edge
    assert graph.interact.edges == 4 and graph.belong.edges == 7
    assert set(graph.users.ids[graph.friends.of(graph.users.position("bob"))]) == {"ann", "cleo"}
    assert not graph.friends.of(graph.users.position("cleo")).size
    assert graph.carriers.of(graph.attributes.position("jazz")).tolist() == [2, 3]
    assert set(graph.users.ids[graph.choosers.of(3)]) == {"bob"}


def test_a_liked_attribute_is_carried_by_an_item_of_the_user(graph: AttributeGraph) -> None:
    assert liked(graph, "ann") == {"rock"}  # jazz is said to be liked, but no item of theirs has it
    assert liked(graph, "bob") == {"jazz", "sad"}


def test_without_said_likes_all_carried_attributes_are_liked() -> None:
    data = dataset(likes=False)
    graph = AttributeGraph.build(data, Catalogue.from_dataset(data))
    assert liked(graph, "ann") == {"rock", "indie"} and liked(graph, "bob") == {"jazz", "sad"}


def test_nothing_is_known_of_what_is_held_out() -> None:
    data = dataset()
    train = data.with_interactions(data.interactions.filter(pl.col("item_id") != "d"))
    graph = AttributeGraph.build(train, Catalogue.from_dataset(data))
    assert liked(graph, "bob") == {"jazz"}
    assert not graph.choosers.of(3).size


def test_reachable_are_attributes_of_candidates_and_of_friends_who_like_it_too(graph: AttributeGraph) -> None:
    everything = np.ones(5, bool)
    assert names(graph, graph.reachable("rock", everything)) == {"rock", "indie", "sad"}
    only_a = np.array([True, False, False, False, False])
    assert names(graph, graph.reachable("rock", only_a)) == {"rock", "indie"}
    # bob, a friend of ann, likes jazz and therefore leads her to sad.
    assert names(graph, graph.reachable("jazz", np.array([0, 0, 1, 0, 0], bool), "ann")) == {"jazz", "sad"}
    assert not graph.reachable("no such thing", everything, "ann").any()


def test_paths_of_questions_are_edges(graph: AttributeGraph) -> None:
    weights = np.array([0.1, 0.4, 0.2, 0.3, 0], np.float32)
    assert graph.question("ann", "rock", "sad", weights) == [
        Stop("user", "ann"),
        Stop("attribute", "rock"),
        Stop("item", "b"),
        Stop("attribute", "sad"),
    ]
    gone = np.array([1, 0, 1, 0, 0], np.float32)  # items without probability do not lead anywhere, friends do
    assert graph.question("ann", "jazz", "sad", gone)[2] == Stop("user", "bob")
    assert graph.question(None, "indie", "jazz") == [
        Stop("user", ""),
        Stop("attribute", "indie"),
        Stop("attribute", "jazz"),
    ]


def test_first_steps_go_by_own_items_then_by_friends(graph: AttributeGraph) -> None:
    assert graph.step("ann", "indie")[1] == Stop("item", "a")
    assert graph.step("ann", "jazz")[1] == Stop("user", "bob")
    assert graph.step("stranger", "jazz") == [Stop("user", "stranger"), Stop("attribute", "jazz")]


def test_paths_of_recommendations(graph: AttributeGraph) -> None:
    assert graph.recommendation("ann", ("sad", "indie"), "d")[1:-1] == [Stop("attribute", "sad")]
    assert graph.recommendation("ann", (), "b")[1:-1] == [Stop("item", "a"), Stop("attribute", "rock")]
    assert graph.recommendation("ann", (), "c")[1:-1] == [Stop("user", "bob")]
    assert graph.recommendation(None, (), "e") == [Stop("user", ""), Stop("item", "e")]


def test_saved_and_loaded_is_the_same(graph: AttributeGraph, tmp_path: Path) -> None:
    graph.save(tmp_path)
    again = AttributeGraph.load(tmp_path, Catalogue.from_dataset(dataset()))
    assert again.users == graph.users
    for name in ("interact", "friends", "like", "belong"):
        assert np.array_equal(getattr(again, name).starts, getattr(graph, name).starts)
        assert np.array_equal(getattr(again, name).ends, getattr(graph, name).ends)


def test_links_of_several_nodes_and_turned_around() -> None:
    rng = np.random.default_rng(0)
    froms, tos = rng.integers(30, size=200), rng.integers(20, size=200)
    links = Links.between(froms, tos, (30, 20))
    ends = {node: sorted({int(t) for f, t in zip(froms, tos, strict=True) if f == node}) for node in range(30)}
    assert all(links.of(node).tolist() == ends[node] for node in range(30))
    assert links.of_all(np.array([3, 3, 29, 0])).tolist() == [*ends[3], *ends[3], *ends[29], *ends[0]]
    assert links.of_all(np.array([], int)).size == 0 and links.of(-1).size == 0
    turned = links.turned(20)
    assert all(turned.of(end).tolist() == sorted(n for n in ends if end in ends[n]) for end in range(20))


def test_ten_million_edges_take_four_bytes_each() -> None:
    rng = np.random.default_rng(0)
    starts = np.arange(0, 1_000_001, 10)
    links = Links(starts, rng.integers(5000, size=1_000_000, dtype=np.int32))
    assert links.ends.nbytes == 4_000_000 and links.turned(5000).ends.nbytes == 4_000_000
