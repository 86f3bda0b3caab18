"""Simulated people."""

from __future__ import annotations

from collections import Counter

import pytest

from llmrec.agents.conversation.belief import Belief
from llmrec.agents.conversation.policies.rehearsal import Step, talk
from llmrec.contracts import Action, Ask, BeliefView, Recommend
from llmrec.data.catalogue import Catalogue
from llmrec.evals.simulators import SIMULATORS, Pair, SimulatedPerson, pairs_of, readable
from llmrec.retrieval.graph import AttributeGraph
from llmrec.testing.datasets import make_dataset
from llmrec.testing.policies import cube

CUBE = cube(5, 5, 5)


def person(simulator: str, number: int = 0, target: str = "i123", others: tuple[str, ...] = ()) -> SimulatedPerson:
    return SimulatedPerson(SIMULATORS[simulator], CUBE, Pair(number, "u", target, others))


def wrong(somebody: SimulatedPerson) -> set[str]:
    wanted = CUBE.attributes_of(CUBE.index.position(somebody.pair.target))
    return {str(name) for name in CUBE.attributes if somebody.answer(str(name), 1) != (name in wanted)}


def test_openings_are_uniform_over_the_attributes_of_the_target_and_stay() -> None:
    openings = Counter(person("published", number).opening for number in range(600))
    assert set(openings) == {"colour 1", "size 2", "shape 3"}
    assert all(150 < count < 250 for count in openings.values())
    assert person("noise-20", 5).opening == person("published", 5).opening


def test_published_people_say_the_truth() -> None:
    assert not wrong(person("published"))
    assert person("published").accepts(["i000", "i123"], 1) == 2
    assert person("published").accepts(["i000"], 1) == 0


@pytest.mark.parametrize(("simulator", "rate"), [("noise-5", 0.05), ("noise-10", 0.1), ("noise-20", 0.2)])
def test_wrong_answers_have_their_rate_and_are_not_cured_by_asking_again(simulator: str, rate: float) -> None:
    people = [person(simulator, number) for number in range(400)]
    mistakes = [wrong(somebody) for somebody in people]
    assert sum(map(len, mistakes)) / (400 * len(CUBE.attributes)) == pytest.approx(rate, rel=0.1)
    assert [wrong(somebody) for somebody in people[:20]] == mistakes[:20]
    assert mistakes[0] == wrong(person(simulator, 0))
    assert len({frozenset(names) for names in mistakes}) > 50
    assert all(somebody.accepts(["i123"], 14) == 1 for somebody in people)


def test_a_tenth_of_the_answers_is_dont_care() -> None:
    answers = [person("dont-care", number).answer("colour 1", 1) for number in range(1000)]
    assert 70 < answers.count(None) < 130 and False not in answers


def test_a_changed_mind_wants_another_item_from_action_6_on() -> None:
    somebody = person("changed-mind", others=("i000",))
    assert somebody.accepts(["i123"], 5) == 1 and somebody.accepts(["i123"], 6) == 0
    assert somebody.answer("colour 0", 5) is False and somebody.answer("colour 0", 6) is True
    assert person("changed-mind").wants(14) == ("i123",)  # there is nothing else


def test_several_items_that_have_the_opening_will_do() -> None:
    somebody = person("several", others=("i023", "i100", "i444"))
    will_do = {"i123", *(item for item in ("i023", "i100") if somebody.opening in attributes(item))}
    assert set(somebody.wants()) == will_do
    assert somebody.answer("colour 4", 1) is False


def attributes(item: str) -> list[str]:
    return CUBE.attributes_of(CUBE.index.position(item))


def test_pairs_are_the_same_whatever_is_left_out() -> None:
    targets = {"u": ["i000", "i001"], "v": ["i002"], "w": ["i003", "i004", "i005"]}
    everything = pairs_of(targets)
    assert [(p.user, p.target) for p in everything] == [(u, i) for u, items in targets.items() for i in items]
    assert everything[0].others == ("i001",)
    some = pairs_of(targets, 3)
    assert len(some) == 3 and all(pair == everything[pair.number] for pair in some)
    assert pairs_of(targets, 99) == everything


class Script:
    """Asks, shows something wrong, shows something right."""

    def decide(self, belief: BeliefView, turn: int, k: int = 10) -> Action:
        if turn == 1:
            return Ask(("size 2",))
        return Recommend(("i000", "i001") if turn == 2 else ("i124", "i123"))


def test_a_dialogue_ends_with_the_accepted_item() -> None:
    dialogue = talk(Script(), person("published"), Belief.start(CUBE).open("colour 1"))
    assert [(step.asked, step.answer, step.shown, step.rank) for step in dialogue.steps] == [
        ("size 2", True, (), 0),
        ("", None, ("i000", "i001"), 0),
        ("", None, ("i124", "i123"), 2),
    ]
    assert (dialogue.success, dialogue.rank) == (3, 2)
    assert dialogue.steps[0].left == 25 and dialogue.steps[1].left == 5


def test_a_dialogue_is_over_after_its_actions() -> None:
    dialogue = talk(Script(), person("published", target="i444"), Belief.start(CUBE))
    assert len(dialogue.steps) == 14 and dialogue.success == 0 and dialogue.rank == 0
    assert isinstance(dialogue.steps[-1], Step)


def test_dialogues_can_be_read() -> None:
    rows = [{"item_id": "a", "title": "Alpha", "attributes": ["x", "y"]}, {"item_id": "b", "attributes": ["x"]}]
    data = make_dataset(rows, [{"user_id": "u", "item_id": "b"}])
    catalogue = Catalogue.from_dataset(data)
    somebody = SimulatedPerson(SIMULATORS["published"], catalogue, Pair(0, "u", "a"))

    class Asks:
        def decide(self, belief: BeliefView, turn: int, k: int = 10) -> Action:
            return Ask(("y",)) if turn == 1 else Recommend(("b", "a"))

    told = readable(
        talk(Asks(), somebody, Belief.start(catalogue).open("x")), catalogue, AttributeGraph.build(data, catalogue)
    )
    assert told["wants"] == "Alpha" and told["success"] == 2 and told["rank"] == 2
    ask, show = told["steps"]
    assert (ask["ask"], ask["answer"]) == ("y", "yes")
    assert show["show"] == ["b", "Alpha"] and show["accepted"] == 2
    assert show["path"][0] == "you" and show["path"][-1] == "Alpha"
