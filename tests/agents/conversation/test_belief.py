"""The posterior: evidence, noise, exclusions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec.agents.conversation.belief import TEMPERATURE, Belief, log_prior, top_positions
from llmrec.contracts import BeliefView
from llmrec.data.catalogue import Catalogue
from llmrec.testing.datasets import make_dataset
from llmrec.testing.policies import PlainBelief, cube

CUBE = cube(4, 4, 4)
NAMES = [str(name) for name in CUBE.attributes]


def start(**options: float) -> Belief:
    return Belief.start(CUBE, **options)  # type: ignore[arg-type]


def test_is_a_belief_view_and_a_distribution() -> None:
    belief: BeliefView = start().accept("colour 1")
    assert belief.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert belief.asked == {"colour 1"} and belief.accepted == ("colour 1",)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.booleans()), max_size=8), st.sampled_from([0.01, 0.1, 0.3]))
def test_agrees_with_bayes_rule(answers: list[tuple[str, bool]], noise: float) -> None:
    belief, plain = start(noise=noise), PlainBelief.uniform(CUBE)
    for name, yes in answers:
        belief = belief.accept(name) if yes else belief.reject(name)
        plain = plain.answered(name, yes, noise)
    assert np.allclose(belief.probabilities, plain.probabilities, atol=1e-4)


def test_a_rejection_is_evidence() -> None:
    before, after = start(), start().reject("colour 1")
    reds = [at for at in range(len(CUBE)) if "colour 1" in CUBE.attributes_of(at)]
    others = [at for at in range(len(CUBE)) if at not in reds]
    assert (after.probabilities[reds] < before.probabilities[reds] / 20).all()
    assert (after.probabilities[others] > before.probabilities[others]).all()


def test_no_preference_is_no_evidence_but_is_not_asked_again() -> None:
    after = start().skip("colour 1")
    assert np.array_equal(after.probabilities, start().probabilities)
    assert "colour 1" in after.asked


def test_one_wrong_answer_among_several_right_ones_is_recovered_from() -> None:
    target = CUBE.attributes_of(21)
    wrong = next(name for name in NAMES if name.startswith("colour") and name not in target)
    belief = start(noise=0.05).accept(wrong)
    assert belief.probabilities[21] < 1 / len(CUBE)
    for name in target:
        belief = belief.accept(name)
    for name in NAMES:
        if name.startswith("colour") and name not in (wrong, *target):
            belief = belief.reject(name)
    assert 21 in belief.top(2)
    assert belief.probabilities[21] > 20 / len(CUBE)


def test_excluded_items_have_no_probability() -> None:
    belief = start().exclude([0, 1]).exclude(np.array([5]))
    assert (belief.probabilities[[0, 1, 5]] == 0).all()
    assert not {0, 1, 5} & set(belief.top(len(CUBE)))
    empty = start().exclude(range(len(CUBE)))
    assert empty.probabilities.sum() == 0 and empty.candidates_left == 0 and not empty.top(5).size


def test_unavailable_items_are_no_candidates() -> None:
    rows = [{"item_id": "a", "title": "a", "available": False}, {"item_id": "b", "title": "b"}]
    belief = Belief.start(Catalogue.from_dataset(make_dataset(rows)))
    assert belief.probabilities.tolist() == [0, 1]


def test_leaning_moves_towards_and_away() -> None:
    similarity = np.zeros(len(CUBE), np.float32)
    similarity[3] = 1
    near, far = start().lean(similarity, 2), start().lean(similarity, -2)
    assert near.probabilities[3] > start().probabilities[3] > far.probabilities[3]


def test_search_results_lead_in_their_order() -> None:
    belief = start().search(np.array([9, 4, 30]))
    assert belief.top(4).tolist()[:3] == [9, 4, 30]
    assert belief.candidates_left == 3


def test_candidates_left_agree_with_most_answers() -> None:
    assert start().candidates_left == 64
    assert start().accept("colour 1").candidates_left == 16
    assert start().accept("colour 1").reject("size 0").candidates_left == 12
    # No item has two colours: those with either agree most.
    assert start().accept("colour 1").accept("colour 2").candidates_left == 32


def test_attributes_that_the_catalogue_has_not_change_nothing() -> None:
    assert np.array_equal(start().accept("no such thing").probabilities, start().probabilities)


def test_ties_are_broken_by_catalogue_order() -> None:
    weights = np.array([1, 2, 2, -np.inf, 2, 0], np.float32)
    assert top_positions(weights, 2).tolist() == [1, 2]
    assert top_positions(weights, 99).tolist() == [1, 2, 4, 0, 5]


def test_the_prior_is_scores_and_log_popularity_that_fades_as_more_is_known() -> None:
    popularity = np.array([0, 3, 8], np.float32)
    anonymous = log_prior(None, popularity)
    assert anonymous == pytest.approx([0, np.log(4), np.log(9)])
    scores = np.array([-np.inf, 0.5, 0.1], np.float32)  # the first item is new to the model
    known = log_prior(scores, popularity, known=2)
    assert known == pytest.approx(0.5 * anonymous + np.array([0, 0.5, 0.1]) / TEMPERATURE)


def test_a_thousand_answers_do_not_overflow() -> None:
    belief = start()
    for _ in range(1000):
        belief = belief.accept("colour 1")
    assert np.isfinite(belief.probabilities).all()
    assert belief.probabilities.sum() == pytest.approx(1, abs=1e-4)
