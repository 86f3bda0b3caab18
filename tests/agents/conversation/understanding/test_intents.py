from __future__ import annotations

import random

import numpy as np

from llmrec.agents.conversation.understanding.examples import INTENTS, examples
from llmrec.agents.conversation.understanding.intents import Intents, default_intents, read_example
from llmrec.agents.conversation.understanding.vectors import word_vectors


def share_right(intents: Intents, pairs: list[tuple[str, str]]) -> float:
    best = intents.scores([read_example(text) for text, _ in pairs]).argmax(axis=1)
    return float(np.mean([intents.labels[at] == label for at, (_, label) in zip(best, pairs, strict=True)]))


def test_every_intent_has_many_distinct_examples() -> None:
    bank = examples()
    assert len(set(bank)) == len(bank)
    for intent in INTENTS:
        assert sum(label == intent for _, label in bank) >= 100, intent


def test_wordings_that_were_not_learnt_are_recognised_and_meaning_helps() -> None:
    bank = examples()
    random.Random(0).shuffle(bank)
    learnt, held_out = bank[::3], bank[1::6]
    by_spelling = share_right(Intents(learnt), held_out)
    by_meaning = share_right(Intents(learnt, word_vectors()), held_out)
    # of 17 intents, knowing nothing of the situation and a third of the bank
    assert by_spelling > 0.7
    assert by_meaning > by_spelling + 0.02


def test_what_was_learnt_is_certain() -> None:
    assert share_right(default_intents(), examples()[::40]) > 0.97
