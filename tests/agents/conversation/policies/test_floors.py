"""Abs Greedy and Max Entropy."""

from __future__ import annotations

from llmrec.agents.conversation.policies.floors import AbsGreedy, MaxEntropy
from llmrec.contracts import Ask, Recommend
from llmrec.testing.policies import PlainBelief, PolicyContract, cube


class TestMaxEntropy(PolicyContract):
    kind = MaxEntropy


def test_abs_greedy_only_recommends() -> None:
    belief = PlainBelief.uniform(cube())
    assert all(isinstance(AbsGreedy().decide(belief, turn), Recommend) for turn in range(1, 15))


def test_max_entropy_asks_while_there_are_many_and_recommends_at_the_last_action() -> None:
    belief = PlainBelief.uniform(cube(9, 9, 9))
    assert isinstance(MaxEntropy().decide(belief, 1), Ask)
    assert isinstance(MaxEntropy().decide(belief, 14), Recommend)
