"""The posterior: evidence, noise, exclusions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec.agents.conversation.belief import TEMPERATURE, Belief, items_with, log_prior, top_positions
from llmrec.contracts import BeliefView
from llmrec.data.catalogue import Catalogue
from llmrec.testing.datasets import make_dataset
from llmrec.testing.policies import PlainBelief, cube

CUBE = cube(4, 4, 4)
NAMES = [str(name) for name in CUBE.attributes]


def start(**options: object) -> Belief:
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


# --- What was named, shown, and changed -------------------------------------------------------------------------------


def test_what_somebody_names_themselves_is_certain() -> None:
    belief = start().open("colour 1")
    assert len(belief.live) == 16 and belief.accepted == ("colour 1",)
    assert belief.reject("size 1").accept("colour 2").probabilities[belief.live].sum() == pytest.approx(1, abs=1e-5)


def test_what_was_turned_down_does_not_come_back_and_is_remembered() -> None:
    belief = start().skip("size 1").turn_down(("i000", "i001", "no such item")).answer("size 2", False)
    assert (belief.probabilities[[0, 1]] == 0).all()
    assert [(said.kind, said.names) for said in belief.exchanges] == [
        ("skip", ("size 1",)),
        ("turned_down", ("i000", "i001", "no such item")),
        ("reject", ("size 2",)),
    ]


def test_a_no_may_say_nothing() -> None:
    belief = start(negative=False).reject("colour 1")
    assert np.array_equal(belief.probabilities, start().probabilities)
    assert "colour 1" in belief.asked and belief.rejected == ("colour 1",)


def test_a_mind_that_may_have_changed_is_open_to_everything_not_yet_shown() -> None:
    belief = start(changes=(0, 0, 0.25)).open("colour 1").turn_down(("i100",))
    assert belief.probabilities[16:32].sum() == pytest.approx(1, abs=1e-5)  # colour 1: sure, until the third action
    after = belief.accept("size 2")
    assert after.probabilities.sum() == pytest.approx(1, abs=1e-5)
    # Three quarters still want what they wanted, the others anything but what was shown.
    assert after.probabilities[24:28].sum() == pytest.approx(0.75 + 0.25 * 4 / 63, abs=0.01)
    assert after.probabilities[0] == pytest.approx(0.25 / 63, abs=1e-4)
    assert after.probabilities[16] == 0


# --- Large catalogues -------------------------------------------------------------------------------------------------


ROWS = [
    {"item_id": f"{c}-{s}-{f}", "attributes": [f"colour {c}", f"size {s}", f"shape {f}"]}
    for c in range(30)
    for s in range(30)
    for f in range(30)
]
LARGE = Catalogue.from_dataset(make_dataset(ROWS))


def test_what_nobody_can_want_any_more_is_dropped_and_costs_next_to_nothing() -> None:
    items, target = LARGE, "2-3-4"
    belief, exact = Belief.start(items), np.zeros(len(items))
    log_odds = np.log((1 - belief.noise) / belief.noise)
    for name in ("colour 2", "colour 3", "size 3", "size 9", "shape 4", "shape 5"):
        yes = name in ("colour 2", "size 3", "shape 4")
        belief = belief.answer(name, yes)
        exact += np.where([name in items.attributes_of(at) for at in range(len(items))], log_odds, 0) * (
            1 if yes else -1
        )
    exact = np.exp(exact - exact.max())
    assert len(belief.live) < len(items) / 10
    assert np.abs(belief.probabilities - exact / exact.sum()).sum() < 0.01
    assert items.index.ids[belief.top(1)[0]] == target


def test_dropped_items_come_back_when_answers_contradict_what_is_left() -> None:
    items = LARGE
    belief = Belief.start(items)
    for name in ("colour 2", "size 3", "shape 4"):
        belief = belief.accept(name)
    assert len(belief.live) < 3000
    for name in ("colour 7", "size 8", "shape 9"):
        belief = belief.reject(name.replace("7", "2").replace("8", "3").replace("9", "4")).accept(name)
    assert {str(items.index.ids[at]) for at in belief.top(1)} == {"7-8-9"}


def test_when_everything_that_is_left_was_turned_down_the_dropped_items_are_next() -> None:
    items = LARGE
    belief = Belief.start(items)
    for name in ("colour 2", "size 3", "shape 4"):
        belief = belief.accept(name)
    for _ in range(60):
        best = belief.top(100)
        assert len(best) == 100
        belief = belief.turn_down(tuple(map(str, items.index.ids[best])))
    assert belief.probabilities.sum() == pytest.approx(1, abs=1e-4)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 17), st.booleans()), max_size=12))
def test_dropping_never_costs_much(answers: list[tuple[int, bool]]) -> None:
    names = [f"{facet} {number}" for facet in ("colour", "size", "shape") for number in range(6)]
    exact = np.zeros(len(LARGE))
    belief = Belief.start(LARGE, noise=0.01)
    for which, yes in answers:
        belief = belief.answer(names[which], yes)
        having = np.zeros(len(LARGE))
        having[items_with(LARGE, names[which])] = 1
        exact += having * np.log(99) * (1 if yes else -1)
    exact = np.exp(exact - exact.max())
    assert np.abs(belief.probabilities - exact / exact.sum()).sum() < 0.12
