"""Trains the adapter `understand` of a language model on clauses made from the bank: what `llmrec train understanding`
runs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from llmrec.agents.conversation.understanding.clauses import PLACEHOLDERS, read_example
from llmrec.agents.conversation.understanding.examples import INTENTS, examples
from llmrec.agents.conversation.understanding.learnt import ANSWERS, prompt
from llmrec.contracts import Progress, no_progress
from llmrec.language.training.base import LoraSettings, load_tokenizer
from llmrec.language.training.recipe import Report, train_on_examples

_ASKED = ("yes", "no", "dont_care", "why")
_SHOWN = ("explain", "compare", "seen", "more_like", "results")
_SITUATED, _TYPO = 0.7, 0.2
"""Shares of generated clauses in the situation where they are usually said, and with typos."""
RANK, ROUNDS, EPOCHS = 16, 2, 2.0
_BATCH, _RATE = 32, 3e-3
_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def generated(bank: Sequence[tuple[str, str]], rounds: int, seed: int = 0) -> list[tuple[str, str]]:
    """(prompt, answer) pairs from (example, intent) pairs, each `rounds` times in other situations, shuffled."""
    rng = random.Random(seed)
    pairs = []
    for number in range(rounds):
        for text, intent in bank:
            usual = "asked" if intent in _ASKED else "shown" if intent in _SHOWN else "start"
            situation = usual if rng.random() < _SITUATED else rng.choice(("asked", "shown", "start"))
            words = read_example(text)
            if number and rng.random() < _TYPO:
                words = [_mistyped(word, rng) for word in words]
            pairs.append((prompt(words, situation == "asked", situation == "shown"), ANSWERS[INTENTS.index(intent)]))
    rng.shuffle(pairs)
    return pairs


def _mistyped(word: str, rng: random.Random) -> str:
    """The word with two letters swapped or one lost, now and then."""
    if word in PLACEHOLDERS or len(word) < 4 or rng.random() < 0.5:
        return word
    at = rng.randrange(1, len(word) - 1)
    return word[:at] + (word[at + 1] + word[at] + word[at + 2 :] if rng.random() < 0.5 else word[at + 1 :])


def train_adapter(
    base: str | Path,
    folder: Path,
    *,
    bank: Sequence[tuple[str, str]] = (),
    epochs: float = EPOCHS,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Report:
    """The adapter for the model `base`, into `folder`, from the bank's wordings or `bank`; minutes for a small model.

    Raises what `training.recipe.train_on_examples` does.
    """
    tokenizer = load_tokenizer(base)

    def ids(texts: list[str]) -> list[list[int]]:
        return [list(row) for row in tokenizer(texts, add_special_tokens=False)["input_ids"]]

    prompts, answers = zip(*generated(bank or examples(), ROUNDS, seed), strict=True)
    pairs = list(zip(ids(list(prompts)), ids(list(answers)), strict=True))
    held = max(len(pairs) // 50, 1)
    return train_on_examples(
        base,
        pairs[held:],
        folder,
        validation=pairs[:held],
        lora=LoraSettings(rank=RANK, alpha=2 * RANK, modules=_MODULES),
        epochs=epochs,
        batch=_BATCH,
        learning_rate=_RATE,
        seed=seed,
        progress=progress,
    )
