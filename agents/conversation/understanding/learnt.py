"""Reading clauses by a small language model with an adapter that was trained for it: `understand`.

It sees what the rules see: clauses with placeholders for names, so that it has to know wordings and no catalogue. A
beam over the intents gives the likelihood of each; what the clauses then mean together is worked out as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmrec.agents.conversation.understanding.examples import INTENTS
from llmrec.contracts import Engine
from llmrec.language.trie import TokenTrie

ADAPTER = "understand"
"""The adapter's name."""
ANSWERS = tuple(f" {intent.replace('_', ' ')}." for intent in INTENTS)
"""What the model says for each intent; the full stop ends it, so that "no" does not begin "none"."""


class ClauseModel:
    """Intents of clauses by an engine that has the adapter; safe for many conversations at once."""

    def __init__(self, engine: Engine, adapter: str = ADAPTER) -> None:
        self._engine, self._adapter = engine, adapter
        self._trie: TokenTrie | None = None

    async def likelihoods(self, clauses: Sequence[Sequence[str]], asked: bool, shown: bool) -> NDArray[np.float32]:
        """(n, intents) of canonical clauses, rows sum to 1. The `EngineError` family where the engine fails."""
        if self._trie is None:
            self._trie = TokenTrie(await self._engine.tokenize(ANSWERS))
        trie = self._trie
        found = await asyncio.gather(
            *(
                self._engine.beam(prompt(words, asked, shown), trie, len(INTENTS), adapter=self._adapter)
                for words in clauses
            )
        )
        logs = np.full((len(clauses), len(INTENTS)), -np.inf, np.float64)
        for row, ranked in zip(logs, found, strict=True):
            for number, log in ranked:
                row[number] = log
        likelihoods = np.exp(logs - logs.max(axis=1, keepdims=True, initial=-1e9))
        return np.asarray(likelihoods / likelihoods.sum(axis=1, keepdims=True), np.float32)


def prompt(words: Sequence[str], asked: bool, shown: bool) -> str:
    """What the model is asked about one clause."""
    situation = "asked" if asked else "shown" if shown else "start"
    return f"{situation}: {' '.join(words)} ="
