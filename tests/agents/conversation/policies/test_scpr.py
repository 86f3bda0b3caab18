"""SCPR, and the Q-network in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from llmrec.agents.conversation.belief import Belief, items_with
from llmrec.agents.conversation.policies.lessons import Ground, Lessons, begin
from llmrec.agents.conversation.policies.q_network import QLearning, QNetwork
from llmrec.agents.conversation.policies.rehearsal import talk
from llmrec.agents.conversation.policies.scpr import Scpr, ScprConfig
from llmrec.contracts import Ask, Recommend
from llmrec.evals.simulators import SIMULATORS, Pair, SimulatedPerson
from llmrec.retrieval.graph import AttributeGraph
from llmrec.retrieval.graph.factorisation import FactorisationConfig
from llmrec.testing.datasets import make_dataset
from llmrec.testing.policies import PolicyContract, cube

QUICK = ScprConfig(embeddings=FactorisationConfig(dimensions=16, epochs=10), episodes=400)


@cache
def of_cube() -> Scpr:
    """SCPR that has learnt from people who want items of the cube."""
    catalogue = cube()
    ids = [str(name) for name in catalogue.index.ids]
    rows = [{"item_id": name, "title": name, "attributes": catalogue.attributes_of(n)} for n, name in enumerate(ids)]
    events = [{"user_id": f"u{n % 9}", "item_id": name} for n, name in enumerate(ids)]
    train = make_dataset(rows, events)
    people = [SimulatedPerson(SIMULATORS["published"], catalogue, Pair(n, "u0", ids[n])) for n in range(0, 125, 3)]
    return Scpr(QUICK).learn(Lessons(catalogue, AttributeGraph.build(train, catalogue), train, people))


class TestScpr(PolicyContract):
    def make(self) -> Scpr:
        return of_cube()


@pytest.fixture(scope="module")
def learnt(lessons_of: Callable[[str], Lessons]) -> tuple[Scpr, Lessons]:
    lessons = lessons_of("published")
    return Scpr(QUICK).learn(lessons), lessons


def test_learns_when_to_ask(learnt: tuple[Scpr, Lessons]) -> None:
    policy, lessons = learnt

    def found(policy: Scpr) -> float:
        return float(
            np.mean([talk(policy, person, begin(policy, lessons, person)).success > 0 for person in lessons.people])
        )

    untaught = Scpr(QUICK.model_copy(update={"episodes": 1})).learn(lessons)
    assert found(policy) > found(untaught) + 0.05 or found(policy) > 0.95


def test_asks_only_for_what_is_next_to_the_attribute_accepted_last(learnt: tuple[Scpr, Lessons]) -> None:
    policy, lessons = learnt
    asked = 0
    for person in lessons.people[:40]:
        belief = begin(policy, lessons, person)
        candidates = np.zeros(len(lessons.catalogue), bool)
        candidates[items_with(lessons.catalogue, person.opening)] = True
        reachable = lessons.graph.reachable(person.opening, candidates, person.user)
        decision = policy._act(policy._moment(belief), True, 10)
        if isinstance(decision, Ask):
            asked += 1
            assert reachable[lessons.catalogue.attributes.position(decision.attributes[0])]
    assert asked > 30


def test_a_no_says_nothing_of_the_items(learnt: tuple[Scpr, Lessons]) -> None:
    policy, _ = learnt
    belief = policy.begin("u0").open("genre 0")
    refused = belief.reject("tag 1")
    assert np.array_equal(belief.probabilities, refused.probabilities)
    assert "tag 1" in refused.asked


def test_recommends_candidates_by_the_factorisation_machine(learnt: tuple[Scpr, Lessons]) -> None:
    policy, lessons = learnt
    belief = policy.begin("u3").open("genre 3").accept("tag 2")
    decision = policy._act(policy._moment(belief), False, 5)
    assert isinstance(decision, Recommend)
    columns = lessons.catalogue.attributes.positions(["genre 3", "tag 2"])
    scores = policy._embeddings.items @ policy._embeddings.wish(lessons.graph.users.position("u3"), columns)
    having = (lessons.catalogue.matrix[:, columns].toarray() > 0).all(axis=1)
    expected = np.argsort(-np.where(having, scores, -np.inf))[:5]
    assert decision.items == tuple(lessons.catalogue.index.ids[expected])


def test_goes_on_where_answers_contradict_the_catalogue(learnt: tuple[Scpr, Lessons]) -> None:
    policy, _ = learnt
    belief = policy.begin("u0").open("genre 0").accept("genre 1")  # no item has both
    decision = policy._act(policy._moment(belief), False, 10)
    assert isinstance(decision, Recommend) and len(decision.items) == 10


def test_knows_nothing_of_what_came_later(learnt: tuple[Scpr, Lessons]) -> None:
    policy, lessons = learnt
    grown = lessons.catalogue.upsert([{"item_id": "new", "title": "new", "attributes": ["genre 0", "brand new"]}])
    belief = Belief.start(grown, user="nobody").accept("genre 0")
    assert isinstance(policy.decide(belief, 1), Ask | Recommend)
    assert isinstance(policy.decide(Belief.start(grown).accept("brand new"), 1), Ask | Recommend)


def test_keeps_what_it_has_learnt(learnt: tuple[Scpr, Lessons], tmp_path: Path) -> None:
    policy, lessons = learnt
    policy.save(tmp_path)
    again = Scpr.load(tmp_path, Ground(lessons.catalogue, lessons.graph))
    for person in lessons.people[:20]:
        first = talk(policy, person, begin(policy, lessons, person))
        second = talk(again, person, begin(again, lessons, person))
        assert [(s.asked, s.shown) for s in first.steps] == [(s.asked, s.shown) for s in second.steps]


def test_the_network_learns_what_actions_are_worth() -> None:
    """A chain of three states: 1 ("recommend") ends with -1 but in the last, where it gives 1; 0 goes on at no cost."""
    network, rng = QNetwork(3), np.random.default_rng(0)
    learning = QLearning(network)
    states = np.eye(3, dtype=np.float32)
    for _ in range(1500):
        at = 0
        while True:
            action = int(rng.integers(2))
            if action == 1 or at == 2:
                learning.saw(states[at], action, 1.0 if at == 2 and action == 1 else -1.0, None)
                break
            learning.saw(states[at], action, 0.0, states[at + 1])
            at += 1
    worth = np.array([network.values(state) for state in states])
    assert np.array_equal(worth.argmax(axis=1), [0, 0, 1])
    assert np.abs(worth - [[1, -1], [1, -1], [-1, 1]]).max() < 0.15
