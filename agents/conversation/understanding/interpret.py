"""From a message to typed acts by rules and learnt wordings; no language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation.understanding.clauses import Clause, Unit, split
from llmrec.agents.conversation.understanding.context import settle
from llmrec.agents.conversation.understanding.examples import INTENTS
from llmrec.agents.conversation.understanding.intents import Intents, bank_words, content_words, default_intents
from llmrec.agents.conversation.understanding.lexicon import FUNCTION, NEGATORS, words
from llmrec.agents.conversation.understanding.linker import Linker, Mention
from llmrec.agents.conversation.understanding.names import Names
from llmrec.agents.conversation.understanding.normalise import tokenise
from llmrec.agents.conversation.understanding.recut import recut
from llmrec.agents.conversation.understanding.statements import (
    ABOUT_NAMES,
    CERTAIN,
    SURE,
    Form,
    Reader,
    Scorer,
    Statement,
    names_item,
)
from llmrec.agents.conversation.understanding.units import Reading, Shown, read
from llmrec.data.catalogue import Catalogue
from llmrec.filters import Filter

_PLAIN = {
    "undo": ActKind.UNDO, "reset": ActKind.RESET, "results": ActKind.RESULTS, "why": ActKind.WHY,
    "memory": ActKind.MEMORY, "compare": ActKind.COMPARE, "explain": ActKind.EXPLAIN, "small_talk": ActKind.SMALL_TALK,
}  # fmt: skip
"""Intents that are acts by themselves."""
_ITEM_ACTS = {
    "positive": ActKind.LIKE_ITEM, "negative": ActKind.REJECT_ITEM, "seen": ActKind.SEEN,
    "more_like": ActKind.MORE_LIKE, "compare": ActKind.COMPARE, "explain": ActKind.EXPLAIN,
}  # fmt: skip
_SIDES = {
    ActKind.ACCEPT: "attribute", ActKind.REJECT: "attribute", ActKind.DONT_CARE: "attribute",
    ActKind.LIKE_ITEM: "item", ActKind.REJECT_ITEM: "item",
}  # fmt: skip
"""Acts of which one thing has only one."""
_TASTE = words("love adore enjoy listen into fan obsessed favourite favourites prefer dig live")
_DELETE = words(
    "forget delete erase wipe remove clear purge destroy deleted erased forgotten removed stop drop rid unlearn"
)
_EXPORT = words("export download copy backup send extract dump transfer takeout")
_REQUEST = words("want need looking find show give recommend suggest search something anything any after")
_TELLING = words("i we he she it they you my our his her their the this that there who what when because")
_OPENING = (FUNCTION | words("searching find search seeking anyone")) - words("a an the")

HINT = 0.15
"""Score from which a wish with further words is a search."""
DOUBTFUL = 0.35
"""Score below which what is said of an attribute, in words that nothing explains, is rather a search."""


@dataclass(frozen=True)
class Situation:
    """What the person answers to."""

    asked: str | None = None
    """The attribute that was asked about."""
    shown: tuple[str, ...] = ()
    """Ids of the items that were shown, in order."""


class Interpreter:
    """Rules for one catalogue; immutable after it is built."""

    def __init__(self, catalogue: Catalogue, intents: Intents | None = None) -> None:
        self.catalogue = catalogue
        self.names = Names(catalogue)
        self.linker = Linker(self.names, bank_words())
        self.intents = intents or default_intents()

    def interpret(self, text: str, situation: Situation, score: Scorer | None = None) -> list[Act]:
        """The acts of one message; at least one (small talk where nothing else is said). `score`: see `Reader`."""
        shown = Shown.of(self.names, situation.shown)
        return _Message(self, read(text, self.linker, situation.asked, shown), situation.asked, shown, score).acts()

    def forms(self, text: str, situation: Situation) -> list[Form]:
        """The clauses that `interpret` asks its `score` about."""
        forms: list[Form] = []

        def record(clauses: Sequence[Form]) -> NDArray[np.float32]:
            forms.extend(clauses)
            return np.zeros((len(clauses), len(INTENTS)), np.float32)

        self.interpret(text, situation, record)
        return forms

    def mentions(self, text: str, asked: str | None) -> list[Mention]:
        """The catalogue's names in a text, in order."""
        tokens = tokenise(text)
        return self.linker.link(text, tokens, self.linker.corrected(tokens), asked)


class _Message:
    """One message on its way from units to acts."""

    def __init__(
        self, parts: Interpreter, reading: Reading, asked: str | None, shown: Shown, score: Scorer | None = None
    ) -> None:
        self.score = score
        self.parts, self.reading, self.asked, self.shown = parts, reading, asked, shown
        self.clauses = recut(split(reading.units), parts.intents)
        self._named: Sequence[Unit] = ()
        """Names of the clauses so far, which pronouns mean."""

    def acts(self) -> list[Act]:
        """The acts, without repetition."""
        reader = Reader(self.parts.intents, self.reading.tokens, self.asked, bool(self.shown.positions), self.score)
        statements = settle(reader.read(self.clauses), self.asked)
        acts: list[Act] = []
        for statement in statements:
            new = self._acts_of(statement)
            if not (statement.clause.named or statement.clause.contrast):
                # what "it" is said of does not take back what was said of the name
                settled = {act.item_id or act.value for act in acts if act.kind in _SIDES} - {self.asked, None}
                if statement.score < CERTAIN:
                    new = [act for act in new if act.kind not in _SIDES or (act.item_id or act.value) not in settled]
            acts += new
            self._named = statement.clause.named or self._named
        acts += self._search(statements, nothing_else=not acts)
        return _tidy(acts)

    # --- Acts -----------------------------------------------------------------------------------------------------

    def _acts_of(self, statement: Statement) -> list[Act]:
        clause, intent = statement.clause, statement.intent
        acts = [Act(kind=ActKind.FILTER, filter=f) for bound in clause.bounds for f in bound.filters]
        if intent in _PLAIN:
            return acts + self._plain(clause, intent)
        if intent in ("yes", "no"):
            return acts + self._answer(intent)
        if intent == "dont_care":
            named = [unit.mention.attribute for unit in clause.names if unit.mention and unit.mention.attribute]
            return acts + [Act(kind=ActKind.DONT_CARE, value=value) for value in (named or (self.asked,))]
        if intent not in ABOUT_NAMES:
            return acts
        if (intent == "positive" or statement.score < DOUBTFUL) and self._is_search(statement):
            statement.intent = "search"  # "folk songs about the sea": more than names
            return acts
        names = self._meant(clause)
        if any(unit.word == "@i" for unit in names):
            names = _about_items(names)
        elif intent == "seen":
            return acts  # "I have a printer": what somebody owns is not what they look for
        if not names:
            places = self.shown.positions if intent == "seen" else self.shown.positions[:1]
            return acts + [self._item_act(intent, position) for position in places]
        return acts + [act for unit in names for act in self._about(unit, intent)]

    def _is_search(self, statement: Statement) -> bool:
        """Whether a wish for names says more than they do."""
        if not content_words(statement.clause.words) or _is_taste(statement.clause):
            return False
        hint = statement.of("search")
        return hint > HINT or statement.score < DOUBTFUL

    def _meant(self, clause: Clause) -> Sequence[Unit]:
        """The names that a clause speaks of: pronouns only where it has no others, and then those said before."""
        if clause.named:
            return clause.named
        back = clause.looks_back or (self._named and not clause.names)
        return self._named if back else clause.names

    def _plain(self, clause: Clause, intent: str) -> list[Act]:
        kind = _PLAIN[intent]
        if kind in (ActKind.COMPARE, ActKind.EXPLAIN):
            positions = [at for unit in clause.named for at in self._positions(unit)]
            if positions:
                return [self._item_act(intent, position) for position in positions]
        if kind is ActKind.MEMORY:
            said = {unit.word for unit in clause.units}
            return [Act(kind=kind, value="delete" if said & _DELETE else "export" if said & _EXPORT else "show")]
        return [Act(kind=kind)]

    def _answer(self, intent: str) -> list[Act]:
        """A bare yes or no: to the question, else to the items shown."""
        if self.asked:
            return [Act(kind=ActKind.ACCEPT if intent == "yes" else ActKind.REJECT, value=self.asked)]
        if intent == "no":
            return [self._item_act("negative", position) for position in self.shown.positions]
        if len(self.shown.positions) == 1:
            return [self._item_act("positive", self.shown.positions[0])]
        return []

    def _about(self, unit: Unit, intent: str) -> list[Act]:
        """What an intent says about one name."""
        mention = unit.mention
        if unit.word == "@i" or mention is None or (intent == "seen" and mention.item is not None):
            return [self._item_act(intent, position) for position in self._positions(unit)]
        wanted = intent in ("positive", "more_like")
        if mention.brand is not None and (mention.attribute is None or not self._is_value(unit)):
            condition = Filter(field="brand", operator="=" if wanted else "!=", value=mention.brand)
            return [Act(kind=ActKind.FILTER, filter=condition)]
        return [Act(kind=ActKind.ACCEPT if wanted else ActKind.REJECT, value=mention.attribute)]

    def _is_value(self, unit: Unit) -> bool:
        """Whether a name that is a brand and an attribute's value is the value here: "intel processor"."""
        assert unit.mention is not None
        if unit.mention.brand is not None and unit.mention.attribute == self.asked:
            return True
        following = self.reading.tokens[unit.end].raw if unit.end < len(self.reading.tokens) else ""
        facet = (unit.mention.attribute or "").partition(": ")[0]
        return bool(following) and following.rstrip("s") in facet.casefold().split()

    def _positions(self, unit: Unit) -> list[int]:
        if unit.reference:
            return [self.shown.positions[place] for place in unit.reference.shown]
        return [unit.mention.item] if unit.mention and unit.mention.item is not None else []

    def _item_act(self, intent: str, position: int) -> Act:
        catalogue = self.parts.catalogue
        title, item = catalogue.titles[position], str(catalogue.index.ids[position])
        return Act(kind=_ITEM_ACTS[intent], value=title, item_id=item)

    # --- Search ---------------------------------------------------------------------------------------------------

    def _search(self, statements: Sequence[Statement], nothing_else: bool) -> list[Act]:
        """One search for all clauses that look for something in free words."""
        wanted = [statement.clause for statement in statements if statement.intent == "search"]
        if not wanted and nothing_else:
            # nothing known was said, but something was: look for it
            wanted = [
                statement.clause
                for statement in statements
                if statement.intent == "none" and not statement.clause.reason and content_words(statement.clause.words)
            ][:1]
        if not nothing_else:
            # beside an answer, a story is no request
            wanted = [s.clause for s in statements if s.intent == "search" and self._is_request(s)]
        query = " ".join(filter(None, map(self._query, wanted)))
        return [Act(kind=ActKind.SEARCH, value=query)] if query else []

    def _is_request(self, statement: Statement) -> bool:
        words = [unit.word for unit in statement.clause.units]
        told = words[0] in _TELLING or words[0] in NEGATORS
        sure = statement.of("search") > SURE
        return words[0] in ("a", "an", "some") or any(word in _REQUEST for word in words) or (sure and not told)

    def _query(self, clause: Clause) -> str:
        """The words of a clause as written, without what introduces the request and without bounds."""
        units = [unit for unit in clause.units if unit.word != "@f"]
        while len(units) > 1 and units[0].word in _OPENING:
            units = units[1:]
        if not units:
            return ""
        tokens = self.reading.tokens
        return self.reading.text[tokens[units[0].start].start : tokens[units[-1].end - 1].end].strip()


def _about_items(names: Sequence[Unit]) -> list[Unit]:
    """The items, and attributes only where they are listed with them: not "more headphones like the third"."""
    kept = []
    for at, unit in enumerate(names):
        beside = [names[other] for other in (at - 1, at + 1) if 0 <= other < len(names)]
        listed = any(abs(unit.start - other.end) <= 1 or abs(other.start - unit.end) <= 1 for other in beside)
        if unit.word == "@i" or (listed and len(names) > 2):
            kept.append(unit)
    return kept


def _is_taste(clause: Clause) -> bool:
    """Says what the person likes, rather than what to look for."""
    return any(unit.word in _TASTE for unit in clause.units) or names_item(clause)


def _tidy(acts: Sequence[Act]) -> list[Act]:
    """Without repetition and contradiction; small talk and an unnamed "don't care" only where nothing says more.

    Of a yes and a no to one thing the later counts, of a wish and no preference the latter.
    """
    kept: dict[tuple[str, str | None], Act] = {}
    for act in acts:
        side = _SIDES.get(act.kind)
        key = (side, act.item_id or act.value) if side else (act.kind.value, str(act))
        if key in kept and ActKind.DONT_CARE in (kept[key].kind, act.kind):
            kept[key] = kept[key] if kept[key].kind is ActKind.DONT_CARE else act
        else:
            kept.pop(key, None)
            kept[key] = act
    said = [act for act in kept.values() if act.kind is not ActKind.SMALL_TALK]
    if len(said) > 1:
        said = [act for act in said if act.kind is not ActKind.DONT_CARE or act.value is not None]
    return said or [Act(kind=ActKind.SMALL_TALK)]
