"""The front door: a message to typed acts, by an instruct model where one is given, else by rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llmrec import pool
from llmrec.acts import Act
from llmrec.agents.conversation.understanding.breaker import Breaker
from llmrec.agents.conversation.understanding.interpret import Interpreter, Situation
from llmrec.agents.conversation.understanding.learnt import ClauseModel
from llmrec.agents.conversation.understanding.statements import Form
from llmrec.agents.conversation.understanding.structured import read_by_model, reword
from llmrec.contracts import Engine
from llmrec.data.catalogue import Catalogue
from llmrec.errors import LlmrecError

Source = Literal["rules", "language-model"]

MODEL_TIMEOUT = 8.0
"""Seconds that a language model has for understanding one message."""


@dataclass(frozen=True)
class Understood:
    """What a message means, and who read it."""

    acts: tuple[Act, ...]
    """At least one."""
    source: Source
    note: str = ""
    """Why the rules stood in for the language model; "" where nothing went wrong."""


class Understanding:
    """Reads messages about one catalogue; immutable and safe for many conversations at once.

    Building it indexes the names (seconds for 100,000 items), so build it once for each catalogue, off the event loop.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        engine: Engine | None = None,
        *,
        timeout: float = MODEL_TIMEOUT,
        breaker: Breaker | None = None,
        adapter: str | None = None,
    ) -> None:
        """`breaker`: the one of all that ask this engine; `adapter`: one of its that reads clauses (see `learnt`)."""
        self.catalogue = catalogue
        self._engine = engine
        self._timeout = timeout
        self._breaker = breaker or Breaker()
        self._interpreter = Interpreter(catalogue)
        self._clauses = ClauseModel(engine, adapter) if engine is not None and adapter is not None else None

    async def understand(self, text: str, asked: str | None = None, shown: Sequence[str] = ()) -> Understood:
        """The acts of `text`, given the attribute that was asked about and the ids of the items shown, in order.

        Attributes come in catalogue spelling, items as ids with their titles. Never raises for what people type:
        a language model that fails, is slow or answers nonsense is replaced by the rules, and `note` says so; one
        without structured output does not read.
        """
        situation = Situation(asked, tuple(shown))
        note = ""
        if (clauses := self._clauses) is not None:
            try:
                read = self._breaker.ask(lambda: self._by_clauses(clauses, text, situation), self._timeout)
                return Understood(tuple(await read), "language-model")
            except LlmrecError as error:
                note = str(error)
        elif (engine := self._engine) is not None and engine.capabilities.structured:
            try:
                acts = await self._breaker.ask(
                    lambda: read_by_model(engine, self._interpreter, text, situation, self._timeout), self._timeout
                )
                return Understood(tuple(acts), "language-model")
            except LlmrecError as error:
                note = str(error)
        acts = await pool.run(self._interpreter.interpret, text, situation)
        return Understood(tuple(acts), "rules", note)

    async def _by_clauses(self, model: ClauseModel, text: str, situation: Situation) -> list[Act]:
        forms = await pool.run(self._interpreter.forms, text, situation)
        likelihoods = await model.likelihoods(forms, situation.asked is not None, bool(situation.shown))
        by_form = dict(zip(forms, likelihoods, strict=True))

        def score(clauses: Sequence[Form]) -> NDArray[np.float32]:
            return self._interpreter.intents.mixed(clauses, np.array([by_form[form] for form in clauses]))

        return await pool.run(self._interpreter.interpret, text, situation, score)

    async def reword(self, draft: str, text: str) -> tuple[str, str]:
        """(wording, note) of the facts in `draft`, as an answer to the message `text`.

        The draft itself where there is no language model, where it fails, or where its wording drops a fact or brings
        in a name; `note` says why, "" for a wording that was taken and where there is no language model.
        """
        if (engine := self._engine) is None or not engine.capabilities.chat:
            return draft, ""
        try:
            return await self._breaker.ask(
                lambda: reword(engine, self._interpreter, draft, text, self._timeout), self._timeout
            )
        except LlmrecError as error:
            return draft, str(error)
