"""The planner."""

from __future__ import annotations

import numpy as np
import pytest

from llmrec.agents.conversation.belief import Belief
from llmrec.agents.conversation.policies.planner import Planner, PlannerConfig
from llmrec.agents.conversation.policies.questions import best_question, information_gains
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
