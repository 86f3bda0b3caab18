"""Explanations: only facts of the graph."""

from __future__ import annotations

import numpy as np
import pytest

from llmrec.acts import ActKind
from llmrec.agents.conversation.fold import State
from llmrec.agents.conversation.paths import Explainer, Ties, Why
from llmrec.agents.conversation.say import Vocabulary
from llmrec.data.catalogue import Catalogue
from llmrec.filters import Filter
from llmrec.testing.datasets import make_dataset

ROWS = [
    {"item_id": "target", "title": "Target", "attributes": ["rock", "indie", "obscure"]},
    {"item_id": "liked", "title": "Liked", "attributes": ["rock", "indie", "obscure"]},
    {"item_id": "other", "title": "Other", "attributes": ["pop"]},
    *(
        {"item_id": f"rock{n}", "title": f"Rock {n}", "attributes": ["rock", *(["indie"] if n < 5 else [])]}
        for n in range(20)
    ),
]
CATALOGUE = Catalogue.from_dataset(make_dataset(ROWS))
NONE = Ties((), np.zeros((0, 1), np.float32))


def explain(state: State, ties: Ties = NONE, popular: bool = False, found: frozenset[int] = frozenset()) -> Why:
    explainer = Explainer(CATALOGUE, Vocabulary("artist", "artists", "listeners"), state, "anna", found)
    return explainer.explain("target", 0, ties, popular)


def ids(why: Why) -> list[str]:
    return [node.id for node in why.path]


def ties(**weights: float) -> Ties:
    return Ties(tuple(weights), np.array(list(weights.values()), np.float32)[:, None])


def test_accepted_attributes_that_the_item_has() -> None:
    state = State(answers={"indie": ActKind.ACCEPT, "pop": ActKind.ACCEPT, "rock": ActKind.REJECT})
    why = explain(state)
    assert ids(why) == ["anna", "indie", "target"]
    assert [node.kind for node in why.path] == ["user", "attribute", "item"]
    assert why.reason == "You asked for “indie”."


def test_a_liked_item_and_what_it_shares() -> None:
    why = explain(State(items={"liked": ActKind.LIKE_ITEM}), ties(liked=0.0))
    assert ids(why)[:2] == ["anna", "liked"] and ids(why)[-1] == "target"
    assert why.reason == "Like “Liked”, it has “indie”."  # "obscure" is rarer, but hardly anything has it


def test_people_who_like_both_where_nothing_is_shared() -> None:
    why = explain(State(), ties(other=0.4))
    assert ids(why) == ["anna", "other", "target"]
    assert why.reason == "Listeners who like “Other” like it too."


def test_what_was_said_here_comes_before_the_past() -> None:
    why = explain(State(items={"liked": ActKind.MORE_LIKE}), ties(liked=0.01, other=0.9))
    assert ids(why)[1] == "liked"


def test_nothing_is_made_up_for_items_without_a_tie() -> None:
    assert explain(State(), ties(other=0.0)).reason == ""
    assert explain(State(items={"other": ActKind.LIKE_ITEM}), ties(other=0.0)).reason == ""


def test_a_search_that_found_it() -> None:
    why = explain(State(query="lamp"), found=frozenset({0}))
    assert [node.kind for node in why.path] == ["user", "query", "item"]
    assert why.reason == "Found for “lamp”."
    assert explain(State(query="lamp")).reason == ""


def test_filters_and_popularity_are_the_last_reasons() -> None:
    why = explain(State(filters=(Filter.parse("price<=10"),)), popular=True)
    assert [node.kind for node in why.path] == ["user", "filter", "item"]
    assert why.reason == "Within price at most 10."
    assert explain(State(), popular=True).reason == "Popular with listeners."


def test_two_reasons_at_most() -> None:
    state = State(answers={"indie": ActKind.ACCEPT}, items={"liked": ActKind.LIKE_ITEM}, query="lamp")
    why = explain(state, ties(liked=0.5), found=frozenset({0}))
    assert why.reason == "You asked for “indie”; like “Liked”, it has “indie”."


def test_the_path_of_a_question_starts_at_the_last_answer() -> None:
    state = State(answers={"rock": ActKind.ACCEPT, "indie": ActKind.ACCEPT})
    explainer = Explainer(CATALOGUE, Vocabulary(), state, None, frozenset())
    assert [node.id for node in explainer.question("pop")] == ["", "indie", "pop"]


@pytest.mark.parametrize("item", ["target", "other", "rock3"])
def test_every_path_ends_at_the_item_and_its_attributes_are_the_items(item: str) -> None:
    state = State(answers={"rock": ActKind.ACCEPT, "pop": ActKind.ACCEPT}, items={"liked": ActKind.LIKE_ITEM})
    explainer = Explainer(CATALOGUE, Vocabulary(), state, None, frozenset())
    why = explainer.explain(item, 0, ties(liked=0.3), True)
    assert why.path[-1].id == item
    had = CATALOGUE.attributes_of(CATALOGUE.index.position(item))
    assert all(node.id in had for node in why.path if node.kind == "attribute")


def test_the_path_of_a_question_goes_by_the_most_probable_item_that_has_both() -> None:
    catalogue = Catalogue.from_dataset(
        make_dataset([{"item_id": name, "attributes": had} for name, had in HAD.items()])
    )
    state = State(answers={"indie": ActKind.ACCEPT})
    explainer = Explainer(catalogue, Vocabulary.of("songs", catalogue), state, "u")
    weights = np.array([0.2, 0.3, 0.5], np.float32)
    assert [node.id for node in explainer.question("pop", weights)] == ["u", "indie", "b", "pop"]
    assert [node.id for node in explainer.question("jazz", weights)] == ["u", "indie", "jazz"]


HAD = {"a": ["indie", "pop"], "b": ["indie", "pop"], "c": ["pop", "jazz"]}
