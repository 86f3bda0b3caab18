"""Cuts clauses that nobody punctuated, such as dictated ones, where both halves are wordings that people use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from llmrec.agents.conversation.understanding.clauses import Clause, Unit
from llmrec.agents.conversation.understanding.intents import Intents
from llmrec.agents.conversation.understanding.lexicon import words

CLEAR, GAIN = 0.8, 0.1
"""What each half must score, and by how much more than the whole."""
LONGEST = 24
"""Units of a clause; longer ones are stories."""
_OPEN = ("none", "search")
"""Intents that any words may have."""
_ANSWERS = words("yes yeah yep sure okay no nope nah whatever correct exactly definitely undo sorry oops")
"""Words that are a half by themselves."""
_GO_ON = words(
    "on to about if or and but like of for with without be is are was were am i we you he she they do does did not the"
    " a an in at from than as similar really more less so very too anything something some any my your by because have"
    " has had would could should will can no never only just"
)
"""Words that no half ends with."""


def recut(clauses: Sequence[Clause], intents: Intents) -> list[Clause]:
    """The clauses, some of them in two or more pieces."""
    done: list[Clause] = []
    for clause in clauses:
        rest: Clause | None = clause
        while rest is not None:
            head, rest = _halves(rest, intents)
            done.append(head)
    return done


def _may_end(units: Sequence[Unit]) -> bool:
    if len(units) == 1:
        return units[0].word in _ANSWERS
    return units[-1].word not in _GO_ON and not all(unit.is_name for unit in units)


def _may_begin(units: Sequence[Unit]) -> bool:
    return len(units) > 1 and units[0].word not in ("or", "and") and not all(unit.is_name for unit in units)


def _halves(clause: Clause, intents: Intents) -> tuple[Clause, Clause | None]:
    """The clause up to its best cut, and what is behind it."""
    units = clause.units
    if not 3 <= len(units) <= LONGEST or clause.reason:
        return clause, None
    pieces = [clause]
    places = [at for at in range(1, len(units)) if _may_end(units[:at]) and _may_begin(units[at:])]
    if not places:
        return clause, None
    for at in places:
        pieces += [replace(clause, units=units[:at]), Clause(units[at:])]
    said = [at for at, label in enumerate(intents.labels) if label not in _OPEN]
    clear = intents.known([piece.words for piece in pieces])[:, said].max(axis=1)
    both = np.minimum(clear[1::2], clear[2::2])
    best = int(both.argmax())
    if both[best] < max(CLEAR, clear[0] + GAIN):
        return clause, None
    return pieces[2 * best + 1], pieces[2 * best + 2]
