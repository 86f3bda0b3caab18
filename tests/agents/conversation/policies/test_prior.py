"""The prior and its calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from llmrec.agents.conversation.policies.calibration import calibrated
from llmrec.agents.conversation.policies.lessons import Lessons
from llmrec.agents.conversation.policies.prior import Prior, PriorKind


def test_calibration_finds_the_weights_that_choices_were_made_by() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([2.0, -1.0, 0.0, 0.5], np.float32)
    choices = []
    for _ in range(3000):
        facts = rng.normal(0, [1, 0.5, 1, 5], (int(rng.integers(2, 30)), 4)).astype(np.float32)
        odds = np.exp(facts @ truth)
        choices.append((facts, int(rng.choice(len(facts), p=odds / odds.sum()))))
    assert calibrated(choices) == pytest.approx(truth, abs=0.15)


def test_calibration_leaves_out_what_never_differs_and_survives_what_separates() -> None:
    facts = np.array([[3, 0], [3, 1], [3, 0]], np.float32)
    weights = calibrated([(facts, 1)] * 50)
    assert weights[0] == 0 and 3 < weights[1] < np.inf


@pytest.mark.parametrize("kind", get_args(PriorKind))
def test_learns_saves_and_loads(kind: PriorKind, lessons: Lessons, tmp_path: Path) -> None:
    prior = Prior(kind).learn(lessons)
    assert prior.facts("u3").shape == (len(lessons.catalogue), len(prior.names))
    prior.save(tmp_path)
    again = Prior.load(tmp_path, lessons)
    for user in ("u3", "stranger", None):
        assert np.isfinite(prior.log(user)).all()
        assert np.array_equal(prior.log(user), again.log(user))


def test_the_graph_tells_more_than_popularity_about_other_people(lessons: Lessons) -> None:
    def bits(prior: Prior) -> float:
        total = 0.0
        for person in lessons.people[1::2]:
            odds = np.exp(prior.log(person.user) - prior.log(person.user).max())
            total -= np.log2(odds[lessons.catalogue.index.position(person.wants()[0])] / odds.sum())
        return total / len(lessons.people[1::2])

    half = replace(lessons, people=lessons.people[::2])
    assert bits(Prior("graph").learn(half)) < bits(Prior("popularity").learn(half)) - 0.2


def test_nobody_is_expected_to_want_what_they_have(lessons: Lessons) -> None:
    prior = Prior("graph").learn(lessons)
    odds = np.exp(prior.log("u5"))
    own = lessons.graph.interact.of(lessons.graph.users.position("u5"))
    assert odds[own].sum() / odds.sum() < 0.05


def test_strangers_are_all_alike_and_popular_items_come_first(lessons: Lessons) -> None:
    prior = Prior("popularity").learn(lessons)
    assert np.array_equal(prior.log("stranger"), prior.log(None))
    assert prior.log(None)[:40].mean() > prior.log(None)[-40:].mean()
