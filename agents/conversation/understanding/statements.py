"""What each clause of a message does: learnt scores, weighed by the situation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llmrec.agents.conversation.understanding.clauses import Clause, Unit, canonical
from llmrec.agents.conversation.understanding.examples import INTENTS
from llmrec.agents.conversation.understanding.intents import Intents, content_words
from llmrec.agents.conversation.understanding.lexicon import words
from llmrec.agents.conversation.understanding.normalise import Token

ABOUT_NAMES = words("positive negative dont_care seen more_like")
"""Intents that say something about names."""
_BACK = words("it that this them these those they both all")
_YES_NO = words("yes yeah yep no nope nah okay sure")
_NOTHING = words("nothing no without")

ASKED_BONUS, SHOWN_BONUS, REASON_BONUS, NAMES_MALUS = 0.12, 0.08, 0.3, 0.1
"""What the situation adds to the score of intents that answer to it."""
UNSURE = 0.3
"""Score below which a clause without names is not believed to do anything."""
SURE = 0.6
"""Score from which an intent counts although the situation speaks against it."""
CERTAIN = 0.7
"""Score from which what is said of "it" counts more than what was said of the name."""
SPOKEN = 0.65
"""Score from which ordinary words that are also names are only words: "makes no odds to me"."""


Form = tuple[str, ...]
"""A canonical clause."""
Scorer = Callable[[Sequence[Form]], NDArray[np.float32]]
"""From clauses to (n, intents): near 1 for what a clause does, near 0 for the rest."""


@dataclass
class Statement:
    """One clause and what it does."""

    clause: Clause
    intent: str
    scores: NDArray[np.float32]

    @property
    def score(self) -> float:
        return self.of(self.intent)

    def of(self, intent: str) -> float:
        """The score of an intent."""
        return float(self.scores[INTENTS.index(intent)])


class Reader:
    """Reads the clauses of one message."""

    def __init__(
        self, intents: Intents, tokens: Sequence[Token], asked: str | None, shown: bool, score: Scorer | None = None
    ) -> None:
        """`shown`: whether items were shown; `score`: instead of what `intents` says."""
        self.intents, self.tokens, self.asked, self.shown = intents, tokens, asked, shown
        self.score = score or intents.scores

    def read(self, clauses: Sequence[Clause]) -> list[Statement]:
        """Each clause with its intent."""
        if not clauses:
            return []
        forms: dict[Form, int] = {}
        ways: list[list[int]] = []
        plainly: list[Clause | None] = []
        raw: list[int] = []
        before, follows = "", False
        for clause in clauses:
            # "undo that", "seen that", "I adore both": a pronoun may be a word, an item shown, or a name said before
            spoken = [pair for unit in clause.units for pair in self._spoken(unit)]
            options = [clause.words, canonical(spoken)]
            clause.looks_back = before if not clause.named and any(word in _BACK for word, _ in spoken) else ""
            if clause.looks_back:
                options.append(canonical([(before if word in _BACK else word, sep) for word, sep in spoken]))
            ways.append([forms.setdefault(tuple(option), len(forms)) for option in options])
            plain = self._plainly(clause)
            plainly.append(plain)
            raw.append(forms.setdefault(tuple(plain.words), len(forms)) if plain is not None else -1)
            before = clause.named[-1].word if clause.named else before
            clause.follows_names = follows
            follows = bool(clause.named)
        scores = self.score(list(forms))
        statements = []
        for clause, way, plain, at in zip(clauses, ways, plainly, raw, strict=True):
            best = scores[way].max(axis=0)
            if plain is not None and self._is_spoken(plain, scores[at], float(best.max())):
                clause, best = plain, scores[at]
            statements.append(Statement(clause, self._choose(clause, best), best))
        return statements

    def _plainly(self, clause: Clause) -> Clause | None:
        """The clause with its ordinary words that may be names as words; None where there are none."""
        if not any(unit.mention is not None and unit.mention.weak for unit in clause.units):
            return None
        units: list[Unit] = []
        for unit in clause.units:
            if unit.mention is None or not unit.mention.weak:
                units.append(unit)
                continue
            for place in range(unit.start, unit.end):
                token = self.tokens[place]
                units += [Unit(word, place, place + 1, token.before) for word in token.words]
        return replace(clause, units=units)

    def _is_spoken(self, plain: Clause, scores: NDArray[np.float32], otherwise: float) -> bool:
        """Whether a clause is a wording that people use, all its ordinary words being words."""
        label = self.intents.labels[int(scores.argmax())]
        if (
            label in ("search", "positive")
            or (label == "none" and otherwise > SPOKEN)
            or scores.max() < (SURE if otherwise < SURE else SPOKEN)
        ):
            return False
        return self._allows(label, plain, float(scores.max()), content_words(plain.words))

    def _spoken(self, unit: Unit) -> list[tuple[str, str]]:
        if not unit.is_pronoun:
            return [(unit.word, unit.before)]
        return [(word, "") for token in self.tokens[unit.start : unit.end] for word in token.words]

    def _choose(self, clause: Clause, scores: NDArray[np.float32]) -> str:
        """The likeliest intent of those that the situation allows."""
        best, chosen = (-np.inf if clause.named else UNSURE), "none"
        content = content_words(clause.words)
        for label, score in zip(self.intents.labels, scores.tolist(), strict=True):
            if self._allows(label, clause, score, content):
                value = score + self._bonus(label, clause)
                if value > best:
                    best, chosen = value, label
        if self.asked and chosen in ("search", "none") and clause.units[0].word in _NOTHING and not clause.names:
            return "no"  # "nothing with singing in it" turns the question down
        return chosen

    def _allows(self, label: str, clause: Clause, score: float, content: Sequence[str]) -> bool:
        names = bool(clause.names or clause.looks_back)
        items = clause.looks_back == "@i" or any(unit.word == "@i" for unit in clause.names)
        if clause.bounds:  # what such a clause says is mostly its bound
            if label in ("undo", "reset"):
                return score > SURE
            if label in ("yes", "no"):
                return not clause.names and self.asked is not None and clause.units[0].word in _YES_NO
            if not (label == "none" or (label == "search" and content) or (clause.named and label in ABOUT_NAMES)):
                return False
        match label:
            case "yes" | "no":
                return not clause.names and bool(self.asked or self.shown or clause.follows_names)
            case "positive" | "negative":
                return names or (clause.follows_names and score > CERTAIN)  # "Jaws scared me, and i loved every second"
            case "seen":
                return names or bool(self.shown)
            case "more_like":
                return names or clause.follows_names or bool(self.shown)
            case "search":
                return (bool(content) or score > SURE) and not (len(content) == 1 and names_item(clause))
            case "small_talk":
                return not clause.named
            case "explain":
                return bool(self.shown or items or not self.asked)
            case "compare":
                return bool(self.shown or items or not self.asked) or score > SURE
            case "dont_care":
                return bool(self.asked or names) or score > SURE
        return True

    def _bonus(self, label: str, clause: Clause) -> float:
        bonus = 0.0
        if self.asked and label in ("yes", "no", "why", "dont_care"):
            bonus += ASKED_BONUS
        if not self.asked and label == "why":
            bonus -= ASKED_BONUS
        if self.shown and label in ("explain", "compare", "seen"):
            bonus += SHOWN_BONUS
        if label == "none":
            bonus += REASON_BONUS if clause.reason else -NAMES_MALUS if clause.names else 0.0
        return bonus


def names_item(clause: Clause) -> bool:
    """Names an item beyond doubt."""
    return any(
        unit.word == "@i" and (unit.reference is not None or (unit.mention is not None and not unit.mention.weak))
        for unit in clause.units
    )
