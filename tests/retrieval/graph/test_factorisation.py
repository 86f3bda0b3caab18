"""Embeddings of the graph by a factorisation machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmrec.data.catalogue import Catalogue
from llmrec.retrieval.graph import AttributeGraph
from llmrec.retrieval.graph.factorisation import Factorisation, FactorisationConfig, _Examples
from llmrec.testing.datasets import make_dataset

QUICK = FactorisationConfig(dimensions=16, epochs=40, batch=128, learning_rate=0.02)


@pytest.fixture(scope="module")
def graph() -> AttributeGraph:
    """Users of two camps, each of which likes every other item of one genre."""
    items = [
        {"item_id": f"i{n}", "attributes": [f"genre {n % 2}", f"tag {n % 5}", *(["rare"] if n % 9 == 0 else [])]}
        for n in range(120)
    ] + [{"item_id": "bare", "attributes": []}]
    rng = np.random.default_rng(3)
    events = [
        {"user_id": f"u{user}", "item_id": f"i{item}"}
        for user in range(40)
        for item in rng.choice(np.arange(user % 2, 120, 4), 12, replace=False)
    ] + [{"user_id": "u0", "item_id": "bare"}]
    train = make_dataset(items, events)
    return AttributeGraph.build(train, Catalogue.from_dataset(train))


@pytest.fixture(scope="module")
def model(graph: AttributeGraph) -> Factorisation:
    return Factorisation(QUICK).fit(graph)


def test_ranks_what_users_choose_above_what_has_the_same_attributes(
    graph: AttributeGraph, model: Factorisation
) -> None:
    for user in range(10):
        camp = user % 2
        said = graph.attributes.positions([f"genre {camp}"])
        scores = model.items[:120] @ model.wish(graph.users.position(f"u{user}"), said)
        liked, alike = np.arange(camp, 120, 4), np.arange(camp + 2, 120, 4)
        assert scores[liked].mean() > scores[alike].mean() + 1


def test_accepted_attributes_move_the_ranking_to_the_items_that_have_them(
    graph: AttributeGraph, model: Factorisation
) -> None:
    user, said = graph.users.position("u0"), graph.attributes.positions(["tag 3"])
    more = model.items[:120] @ (model.wish(user, said) - model.wish(user, said[:0]))
    assert more[3::5].mean() > np.delete(more, np.arange(3, 120, 5)).mean() + 0.5


def test_examples_are_what_they_say(graph: AttributeGraph) -> None:
    examples = _Examples(graph, 64, 0)
    seen = 0
    for batch in examples.epoch():
        ends = [*batch.starts[1:].tolist(), len(batch.accepted)]
        for row in range(len(batch.user)):
            user, item = int(batch.user[row]), int(batch.item[row])
            own, has = graph.interact.of(user), set(graph.belong.of(item).tolist())
            accepted = set(batch.accepted[batch.starts[row] : ends[row]].tolist())
            assert item in own and accepted and accepted <= has
            if batch.has_rival[row]:
                rival = int(batch.rival[row])
                assert rival not in own and accepted <= set(graph.belong.of(rival).tolist())
            if batch.has_other[row]:
                assert int(batch.other[row]) in has - accepted and int(batch.foreign[row]) not in has
            seen += 1
    assert seen == graph.interact.edges - 1  # the item without attributes is left out


def test_a_stranger_is_an_average_user(model: Factorisation) -> None:
    assert np.allclose(model.wish(-1, np.empty(0, np.int64)), model.users.mean(axis=0))


def test_is_reproducible_and_keeps(graph: AttributeGraph, model: Factorisation, tmp_path: Path) -> None:
    again = Factorisation(QUICK).fit(graph)
    assert np.array_equal(again.items, model.items)
    model.save(tmp_path)
    loaded = Factorisation.load(tmp_path)
    assert all(np.array_equal(getattr(loaded, part), getattr(model, part)) for part in ("users", "items", "attributes"))
