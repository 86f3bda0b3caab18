"""The planner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmrec.agents.conversation.belief import Belief, items_with
from llmrec.agents.conversation.policies.lessons import Lessons, begin
from llmrec.agents.conversation.policies.planner import (
    ChoicePlanner,
    Planner,
    PlannerConfig,
    mind_changes,
    wrong_answers,
)
from llmrec.agents.conversation.policies.questions import best_question, information_gains
from llmrec.agents.conversation.policies.rehearsal import talk
from llmrec.contracts import Ask, Recommend
from llmrec.data.catalogue import Catalogue
from llmrec.testing.datasets import make_dataset
from llmrec.testing.policies import PolicyContract, cube


class TestPlanner(PolicyContract):
    kind = Planner


def catalogue(*attributes: list[str]) -> Catalogue:
    rows = [{"item_id": f"i{n}", "title": f"t{n}", "attributes": names} for n, names in enumerate(attributes)]
    return Catalogue.from_dataset(make_dataset(rows))


def test_gain_is_the_mutual_information_of_answer_and_item() -> None:
    items = catalogue(["a", "b"], ["a"], ["b"], ["c"])
    belief = Belief.start(items, np.log(np.array([0.4, 0.3, 0.2, 0.1], np.float32)))
    noise = 0.05
    gains = information_gains(belief, noise)
    for column, name in enumerate(items.attributes):
        having = np.array([name in items.attributes_of(at) for at in range(4)])
        joint = np.array(  # (answer, item), by the definition
            [np.where(having, 1 - noise, noise), np.where(having, noise, 1 - noise)]
        ) * np.array([0.4, 0.3, 0.2, 0.1])
        independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
        assert gains[column] == pytest.approx((joint * np.log2(joint / independent)).sum(), abs=1e-5)


def test_asks_what_splits_the_probability_not_the_items() -> None:
    items = catalogue(["rare", "half"], ["half"], [], ["odd"], ["odd"])
    belief = Belief.start(items, np.log(np.array([0.5, 0.02, 0.44, 0.02, 0.02], np.float32)))
    assert best_question(belief, 0.0) is not None
    assert best_question(belief, 0.0)[0] == "rare"  # type: ignore[index]  # exactly half of the mass, in one item


def test_what_everything_or_nothing_has_is_not_worth_a_question() -> None:
    assert best_question(Belief.start(catalogue(["all"], ["all"])), 0.01) is None


def test_recommends_once_the_list_holds_nearly_everything() -> None:
    items = cube()
    weights = np.full(len(items), 1e-6, np.float32)
    weights[:8] = 1
    assert isinstance(Planner().decide(Belief.start(items, np.log(weights)), 1), Recommend)
    assert isinstance(Planner().decide(Belief.start(items), 1, k=2), Ask)


def test_the_last_turn_is_for_a_list() -> None:
    belief = Belief.start(cube(8, 8, 8))
    planner = Planner(PlannerConfig(horizon=6))
    assert isinstance(planner.decide(belief, 1), Ask)
    assert isinstance(planner.decide(belief, 5), Recommend)


def test_a_decision_on_a_large_catalogue_is_the_one_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    rows = [sorted({f"a{n}" for n in rng.zipf(1.5, 12) if n < 3000}) for _ in range(2000)]
    items = catalogue(*rows)
    belief = Belief.start(items, rng.normal(0, 1, len(items)).astype(np.float32))
    gains = information_gains(belief, 0.01)
    share = items.matrix.toarray().T @ belief.probabilities
    q = share * 0.99 + (1 - share) * 0.01

    def entropy(p: np.ndarray | float) -> np.ndarray:
        return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))

    assert np.allclose(gains, np.maximum(entropy(q) - entropy(0.01), 0), atol=1e-4)


# --- Learning ---------------------------------------------------------------------------------------------------------


def test_learns_how_often_answers_are_wrong_and_when_minds_change(lessons_of: Callable[[str], Lessons]) -> None:
    assert 0 < wrong_answers(lessons_of("published")) < 0.002
    assert wrong_answers(lessons_of("noise-10")) == pytest.approx(0.1, abs=0.02)
    assert wrong_answers(lessons_of("dont-care")) < 0.002
    assert mind_changes(lessons_of("published")) == ()
    assert np.argmax(mind_changes(lessons_of("changed-mind"))) == 5


def test_what_is_set_is_not_learnt_and_what_is_learnt_is_kept(lessons: Lessons, tmp_path: Path) -> None:
    planner = Planner(PlannerConfig(noise=0.2, question_cost=0.05)).learn(lessons)
    assert (planner.noise, planner.cost) == (0.2, 0.05)
    planner = Planner().learn(lessons)
    planner.save(tmp_path)
    again = Planner.load(tmp_path, lessons)
    assert (again.noise, again.cost, again.changes) == (planner.noise, planner.cost, planner.changes)
    person = lessons.people[0]
    first, second = (talk(policy, person, begin(policy, lessons, person)) for policy in (planner, again))
    assert [(step.asked, step.shown) for step in first.steps] == [(step.asked, step.shown) for step in second.steps]


@pytest.mark.parametrize(("simulator", "least"), [("published", 0.95), ("noise-10", 0.75), ("changed-mind", 0.6)])
def test_finds_what_most_people_want(simulator: str, least: float, lessons_of: Callable[[str], Lessons]) -> None:
    lessons = lessons_of(simulator)
    planner = Planner(PlannerConfig(question_cost=0)).learn(lessons)
    people = lessons.people[:60]
    found = [talk(planner, person, begin(planner, lessons, person)).success > 0 for person in people]
    assert sum(found) / len(found) >= least


def test_candidates_are_those_of_the_protocol(lessons: Lessons) -> None:
    planner = Planner(PlannerConfig(question_cost=0)).learn(lessons)
    own = lessons.graph.interact.of(lessons.graph.users.position(lessons.people[0].user))
    everything = begin(planner, lessons, lessons.people[0])
    unseen = begin(planner, replace(lessons, unseen=True), lessons.people[0])
    assert set(own) & set(lessons.graph.carriers.of(items_of(lessons, everything))) <= set(everything.live)
    assert not set(own) & set(unseen.live)


def items_of(lessons: Lessons, belief: Belief) -> int:
    return lessons.catalogue.attributes.position(belief.accepted[0])


def test_a_user_without_history_is_somebody_too(lessons: Lessons) -> None:
    planner = Planner(PlannerConfig(question_cost=0)).learn(lessons)
    for user in (None, "stranger"):
        belief = planner.begin(user).open("genre 1")
        assert belief.probabilities.sum() == pytest.approx(1, abs=1e-4)
        assert planner.decide(belief, 1) is not None


# --- Hard cases -------------------------------------------------------------------------------------------------------


def test_items_with_the_same_attributes_are_shown_together() -> None:
    rows = [["a", f"n{number // 2}"] for number in range(40)]
    items = catalogue(*rows)
    belief, planner = Belief.start(items), Planner()
    for turn in range(1, 15):
        action = planner.decide(belief, turn)
        if isinstance(action, Recommend):
            assert {"i6", "i7"} & set(action.items) in (set(), {"i6", "i7"})
            if "i6" in action.items:
                return
            belief = belief.turn_down(action.items)
        else:
            belief = belief.answer(action.attributes[0], action.attributes[0] == "n3")
    pytest.fail("never shown")


def test_an_attribute_of_every_item_is_never_asked_about() -> None:
    items = catalogue(*[["all", f"a{number % 7}", f"b{number % 5}"] for number in range(200)])
    belief, planner, asked = Belief.start(items), Planner(), []
    for turn in range(1, 15):
        action = planner.decide(belief, turn)
        if isinstance(action, Ask):
            asked += action.attributes
            belief = belief.reject(action.attributes[0])
        else:
            belief = belief.turn_down(action.items)
    assert asked and "all" not in asked


def test_contradictory_answers_never_leave_an_empty_list() -> None:
    items = cube(6, 6, 6)
    belief, planner = Belief.start(items, noise=1e-9), Planner()
    for colour in range(6):
        belief = belief.accept(f"colour {colour}")
    for attribute in map(str, items.attributes):
        belief = belief.reject(attribute)
    action = planner.decide(belief, 14)
    assert isinstance(action, Recommend) and len(set(action.items)) == 10


def test_goes_on_when_the_catalogue_changes_between_two_turns() -> None:
    before = cube(4, 4, 4)
    planner = Planner()
    planner.decide(Belief.start(before).accept("colour 1"), 1)
    after = before.upsert(
        [
            {"item_id": "new", "title": "new", "attributes": ["colour 1", "brand new"]},
            {"item_id": "i111", "available": False},
        ]
    )
    belief = Belief.start(after).accept("colour 1").accept("brand new")
    action = planner.decide(belief, 2)
    assert isinstance(action, Recommend) and action.items[0] == "new" and "i111" not in action.items


def test_many_rare_attributes_are_still_worth_asking_about() -> None:
    items = catalogue(*[[f"a{number // 3}"] for number in range(30_000)])
    belief = Belief.start(items)
    action = Planner().decide(belief, 1)
    assert isinstance(action, Recommend) and len(action.items) == 10
    likely = np.full(30_000, -12, np.float32)
    likely[:45] = 0
    asked = Planner().decide(Belief.start(items, likely), 1)
    assert isinstance(asked, Recommend | Ask)
    assert not isinstance(asked, Ask) or asked.attributes[0] in {f"a{number}" for number in range(15)}


def test_a_large_catalogue_is_planned_for_by_a_sample_of_it() -> None:
    rng = np.random.default_rng(0)
    rows = [
        [f"half {rng.integers(2)}", *(f"t{tag}" for tag in rng.choice(30, 4, replace=False))] for _ in range(30_000)
    ]
    action = Planner().decide(Belief.start(catalogue(*rows)), 1)
    assert isinstance(action, Ask) and action.attributes[0].startswith("half")
    assert action.gain == pytest.approx(0.98, abs=0.02)


class TestChoicePlanner(PolicyContract):
    kind = ChoicePlanner


def test_opens_with_a_choice_that_covers_more_and_then_asks_one_by_one() -> None:
    items = catalogue(*[[f"a{number % 3}", f"b{number % 4}", f"c{number % 5}"] for number in range(600)])
    opening = ChoicePlanner().decide(Belief.start(items), 1)
    assert isinstance(opening, Ask) and len(opening.attributes) == 3
    carried = {at for name in opening.attributes for at in items_with(items, name)}
    assert len(carried) > 1.5 * max(len(items_with(items, name)) for name in opening.attributes)
    assert Planner().decide(Belief.start(items), 1) == Ask(opening.attributes[:1], opening.gain)
    following = ChoicePlanner().decide(Belief.start(items).accept(opening.attributes[0]), 2)
    assert isinstance(following, Ask) and len(following.attributes) == 1


def test_only_reachable_attributes_are_asked_about_on_request(lessons: Lessons) -> None:
    planner = Planner(PlannerConfig(question_cost=0, reachable=True)).learn(lessons)
    belief = planner.begin("u1").accept("genre 1")
    candidates = np.zeros(len(lessons.catalogue), bool)
    candidates[belief.live] = True
    reachable = lessons.graph.reachable("genre 1", candidates, "u1")
    action = planner.decide(belief, 1)
    if isinstance(action, Ask):
        assert reachable[lessons.catalogue.attributes.position(action.attributes[0])]
    unreachable = planner.begin("u1").accept("genre 1").within(np.arange(240) % 4 == 2)
    assert isinstance(planner.decide(unreachable, 1), Recommend)  # nothing left has genre 1, nothing is one step away
