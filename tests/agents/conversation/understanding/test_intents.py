from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from llmrec.agents.conversation.understanding.clauses import read_example
from llmrec.agents.conversation.understanding.examples import INTENTS, examples
from llmrec.agents.conversation.understanding.intents import Intents, default_intents
from llmrec.agents.conversation.understanding.sentences import Sentences, stored_sentences
from llmrec.language.minilm import MiniLM


def share_right(intents: Intents, pairs: list[tuple[str, str]]) -> float:
    best = intents.scores([read_example(text) for text, _ in pairs]).argmax(axis=1)
    return float(np.mean([intents.labels[at] == label for at, (_, label) in zip(best, pairs, strict=True)]))


@pytest.fixture(scope="module")
def shuffled() -> list[tuple[str, str]]:
    bank = examples()
    random.Random(0).shuffle(bank)
    return bank


@pytest.fixture(scope="module")
def few(shuffled: list[tuple[str, str]]) -> Sentences:
    return Sentences.learn(shuffled[:900], MiniLM())


def test_every_intent_has_many_distinct_examples() -> None:
    bank = examples()
    assert len(set(bank)) == len(bank)
    for intent in INTENTS:
        assert sum(label == intent for _, label in bank) >= 100, intent


def test_wordings_that_were_not_learnt_are_recognised(shuffled: list[tuple[str, str]]) -> None:
    # of 17 intents, knowing nothing of the situation and a third of the bank
    assert share_right(Intents(shuffled[::3]), shuffled[1::6]) > 0.7


def test_the_meaning_of_sentences_helps(shuffled: list[tuple[str, str]], few: Sentences) -> None:
    by_spelling = share_right(Intents(shuffled[:900]), shuffled[1000:1600])
    assert share_right(Intents(shuffled[:900], few), shuffled[1000:1600]) > by_spelling + 0.02


def test_what_was_learnt_is_certain() -> None:
    assert share_right(default_intents(), examples()[::40]) > 0.97


def test_the_stored_network_knows_the_bank() -> None:
    stored = stored_sentences()
    assert stored is not None
    pairs = examples()[::30]
    likelihoods = stored.likelihoods([read_example(text) for text, _ in pairs])
    assert np.allclose(likelihoods.sum(axis=1), 1, atol=1e-4)
    right = [INTENTS[at] == intent for at, (_, intent) in zip(likelihoods.argmax(axis=1), pairs, strict=True)]
    assert np.mean(right) > 0.9


def test_stored_weights_give_what_was_learnt(few: Sentences, tmp_path: Path) -> None:
    few.save(tmp_path / "few.npz")
    with np.load(tmp_path / "few.npz", allow_pickle=False) as weights:
        again = Sentences(dict(weights), MiniLM())
    clauses = [["i", "adore", "@i"], ["where", "is", "my", "data"]]
    assert np.allclose(again.likelihoods(clauses), few.likelihoods(clauses), atol=0.01)
    assert again.likelihoods([]).shape == (0, len(INTENTS))
