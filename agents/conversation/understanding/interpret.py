"""From a message to typed acts by rules and learnt wordings; no language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation.understanding.clauses import Clause, Unit, canonical, split
from llmrec.agents.conversation.understanding.examples import INTENTS
from llmrec.agents.conversation.understanding.intents import Intents, bank_words, content_words, default_intents
from llmrec.agents.conversation.understanding.lexicon import FUNCTION, NEGATORS, words
from llmrec.agents.conversation.understanding.linker import Linker, Mention
from llmrec.agents.conversation.understanding.names import Names
from llmrec.agents.conversation.understanding.normalise import tokenise
from llmrec.agents.conversation.understanding.recut import recut
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
_ABOUT_NAMES = words("positive negative dont_care seen more_like")
"""Intents that say something about names."""
_TASTE = words("love adore enjoy listen into fan obsessed favourite favourites prefer dig live")
_DELETE = words(
    "forget delete erase wipe remove clear purge destroy deleted erased forgotten removed stop drop rid unlearn"
)
_EXPORT = words("export download copy backup send extract dump transfer takeout")
_SHOWING = words("show give see list play recommend suggest results result recommendations suggestions picks got")
_NOTHING = words("nothing no without")
_EITHER = words("either both any all")
_BACK = words("it that this them these those they both all")
_REQUEST = words("want need looking find show give recommend suggest search something anything any after")
_TELLING = words("i we he she it they you my our his her their the this that there who what when because")
_BARE = words("and or the oh hmm well so ugh ooh a an")
_YES_NO = words("yes yeah yep no nope nah okay sure")
_OPENING = (FUNCTION | words("searching find search seeking anyone")) - words("a an the")

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
HINT = 0.15
"""Score from which a wish with further words is a search."""
DOUBTFUL = 0.35
"""Score below which what is said of an attribute, in words that nothing explains, is rather a search."""
LEAD = 0.2
"""By how much praise must lead over dislike, or the reverse, in what is said beside an answer."""


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

    def interpret(self, text: str, situation: Situation) -> list[Act]:
        """The acts of one message; at least one (small talk where nothing else is said)."""
        shown = Shown.of(self.names, situation.shown)
        return _Message(self, read(text, self.linker, situation.asked, shown), situation.asked, shown).acts()

    def mentions(self, text: str, asked: str | None) -> list[Mention]:
        """The catalogue's names in a text, in order."""
        tokens = tokenise(text)
        return self.linker.link(text, tokens, self.linker.corrected(tokens), asked)


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


class _Message:
    """One message on its way from units to acts."""

    def __init__(self, parts: Interpreter, reading: Reading, asked: str | None, shown: Shown) -> None:
        self.parts, self.reading, self.asked, self.shown = parts, reading, asked, shown
        self.clauses = recut(split(reading.units), parts.intents)
        self._named: Sequence[Unit] = ()
        """Names of the clauses so far, which pronouns mean."""

    def acts(self) -> list[Act]:
        """The acts, without repetition."""
        statements = self.statements()
        _hand_back(statements, self.asked)
        intents = {statement.intent for statement in statements}
        if intents & {"undo", "reset"}:
            # "oh no, wrong button" is no answer
            statements = [s for s in statements if s.intent not in ("yes", "no")]
        if "reset" in intents:
            statements = [s for s in statements if s.intent != "undo"]
        answers = [
            s for s in statements if s.intent in ("yes", "no") or (s.intent == "dont_care" and not s.clause.names)
        ]
        if "results" in intents or any(s.score > SURE for s in answers):
            for statement in answers:
                if statement.score < SURE:
                    statement.intent = "none"  # "go on, what have you got", "yes, that takes me back"
        if {"yes", "no"} <= {statement.intent for statement in statements}:
            # "yes and no", "could be, could be not"
            for statement in statements:
                statement.intent = {"yes": "dont_care", "no": "none"}.get(statement.intent, statement.intent)
        if any(s.intent == "more_like" and s.clause.names for s in statements):
            # "more of the same, like Portishead"
            statements = [s for s in statements if s.intent != "more_like" or s.clause.names]
        if (self.asked and intents & {"yes", "no"}) or intents & {"explain", "compare"}:
            for statement in statements:
                if statement.intent in ("positive", "negative") and self._is_aside(statement):
                    statement.intent = "none"  # "yes, we must save paper"
        if len(statements) > 1:
            statements = [s for s in statements if not self._is_empty(s, statements)]
        acts: list[Act] = []
        for statement in statements:
            new = self._acts_of(statement)
            if not (
                statement.clause.named or statement.clause.contrast
            ):  # what "it" is said of does not take back what was said of the name
                settled = {act.item_id or act.value for act in acts if act.kind in _SIDES} - {self.asked, None}
                if statement.score < CERTAIN:
                    new = [act for act in new if act.kind not in _SIDES or (act.item_id or act.value) not in settled]
            acts += new
            self._named = statement.clause.named or self._named
        acts += self._search(statements, nothing_else=not acts)
        return _tidy(acts)

    def _is_aside(self, statement: Statement) -> bool:
        """Whether it is open what a clause says about its names."""
        likes, dislikes, nothing = map(statement.of, ("positive", "negative", "none"))
        return max(likes, dislikes) < SURE and (abs(likes - dislikes) < LEAD or nothing > LEAD)

    def _is_empty(self, statement: Statement, among: Sequence[Statement]) -> bool:
        """Whether a clause says nothing beside the others."""
        clause = statement.clause
        if statement.intent in ("yes", "no"):
            return self.asked is None and any(s.intent not in ("yes", "no", "none", "small_talk") for s in among)
        if statement.intent == "results":
            undone = any(s.intent in ("undo", "reset") for s in among) and len(clause.units) == 1
            bounded = any(s.clause.bounds for s in among) and not any(unit.word in _SHOWING for unit in clause.units)
            return undone or bounded  # "shoot, wrong key"; "classic movies, before 1960"
        if statement.intent == "negative" and clause.units[0].word == "too":
            # "not Air, too slow": a reason
            return any(s.intent == "negative" and any(u.word == "@i" for u in s.clause.names) for s in among)
        return False

    # --- Intents --------------------------------------------------------------------------------------------------

    def statements(self) -> list[Statement]:
        """Each clause with its intent."""
        if not self.clauses:
            return []
        forms: dict[tuple[str, ...], int] = {}
        ways: list[list[int]] = []
        plainly: list[Clause | None] = []
        raw: list[int] = []
        before, follows = "", False
        for clause in self.clauses:
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
        scores = self.parts.intents.scores(list(forms))
        statements = []
        for clause, options, plain, at in zip(self.clauses, ways, plainly, raw, strict=True):
            best = scores[options].max(axis=0)
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
                token = self.reading.tokens[place]
                units += [Unit(word, place, place + 1, token.before) for word in token.words]
        return replace(clause, units=units)

    def _is_spoken(self, plain: Clause, scores: NDArray[np.float32], otherwise: float) -> bool:
        """Whether a clause is a wording that people use, all its ordinary words being words."""
        label = self.parts.intents.labels[int(scores.argmax())]
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
        return [(word, "") for token in self.reading.tokens[unit.start : unit.end] for word in token.words]

    def _choose(self, clause: Clause, scores: NDArray[np.float32]) -> str:
        """The likeliest intent of those that the situation allows."""
        best, chosen = (-np.inf if clause.named else UNSURE), "none"
        content = content_words(clause.words)
        for label, score in zip(self.parts.intents.labels, scores.tolist(), strict=True):
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
            if not (label == "none" or (label == "search" and content) or (clause.named and label in _ABOUT_NAMES)):
                return False
        match label:
            case "yes" | "no":
                return not clause.names and bool(self.asked or self.shown.positions or clause.follows_names)
            case "positive" | "negative":
                return names or (clause.follows_names and score > CERTAIN)  # "Jaws scared me, and i loved every second"
            case "seen":
                return names or bool(self.shown.positions)
            case "more_like":
                return names or clause.follows_names or bool(self.shown.positions)
            case "search":
                return bool(content) and not (len(content) == 1 and _names_item(clause))
            case "small_talk":
                return not clause.named
            case "explain":
                return bool(self.shown.positions or items or not self.asked)
            case "compare":
                return bool(self.shown.positions or items or not self.asked) or score > SURE
            case "dont_care":
                return bool(self.asked or names) or score > SURE
        return True

    def _bonus(self, label: str, clause: Clause) -> float:
        bonus = 0.0
        if self.asked and label in ("yes", "no", "why", "dont_care"):
            bonus += ASKED_BONUS
        if not self.asked and label == "why":
            bonus -= ASKED_BONUS
        if self.shown.positions and label in ("explain", "compare", "seen"):
            bonus += SHOWN_BONUS
        if label == "none":
            bonus += REASON_BONUS if clause.reason else -NAMES_MALUS if clause.names else 0.0
        return bonus

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
        if intent not in _ABOUT_NAMES:
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


def _hand_back(statements: Sequence[Statement], asked: str | None) -> None:
    """ "Radiohead? never": what a clause without names of its own says is about the bare names in front of it."""
    for before, statement in pairwise(statements):
        if _only_names(before.clause, asked) and statement.intent in ("yes", "no", "dont_care"):
            before.intent = "none"  # "Documentary? No": the question again
            continue
        if before.intent == "seen" and [unit.word for unit in statement.clause.units] == ["not", "@i"]:
            statement.intent = "none"  # "seen Alien, not Psycho"
            continue
        if _is_correction(statement.clause) and before.intent in _ABOUT_NAMES:
            before.intent, statement.intent = "none", before.intent  # "lose the second one, Evita i mean"
            continue
        if _is_bare(before.clause) and before.intent == "positive":
            items = all(unit.word == "@i" for unit in before.clause.names)
            if statement.intent in ("explain", "compare") and not statement.clause.named:
                before.intent = "none"  # "Suede? where did that come from"
                continue
            if (
                items
                and statement.clause.contrast
                and statement.intent in ("positive", "negative")
                and all(unit.word == "@a" for unit in statement.clause.names)
            ):
                before.intent = "more_like"  # "Alien but funny"
        if statement.clause.named:
            continue
        if not _is_bare(before.clause):
            turned = statement.intent == "no" and statement.score >= SURE
            if turned and asked is None and before.intent == "positive" and before.clause.named:
                before.intent, statement.intent = "negative", "none"  # "Jaws gave me nightmares, never again"
            continue
        said = {unit.word for unit in statement.clause.units}
        if len(before.clause.names) > 1 and said & _EITHER and not said & NEGATORS and statement.intent == "dont_care":
            statement.intent = "positive"  # "reggae or ska, either is fine"
        intent = {"yes": "positive", "no": "negative"}.get(statement.intent, statement.intent)
        if intent in _ABOUT_NAMES and not (intent != statement.intent and asked):
            before.intent, statement.intent = intent, "none"


def _only_names(clause: Clause, attribute: str | None) -> bool:
    named = [unit.mention.attribute if unit.mention else None for unit in clause.names]
    return attribute is not None and _is_bare(clause) and set(named) == {attribute}


def _is_bare(clause: Clause) -> bool:
    """Nothing but names and fillers: says nothing about them by itself."""
    spoken = [unit.word for unit in clause.units]
    if spoken[-2:] == ["or", "not"]:
        spoken = spoken[:-2]
    return bool(clause.names) and all(word in ("@a", "@i") or word in _BARE for word in spoken)


def _is_correction(clause: Clause) -> bool:
    """Names, and "i mean" before or behind them."""
    spoken = [unit.word for unit in clause.units]
    meant = spoken[-2:] == ["i", "mean"] or spoken[:2] == ["i", "mean"] or spoken[:2] == ["i", "meant"]
    return meant and bool(clause.named) and sum(word not in ("@a", "@i") for word in spoken) == 2


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
    return any(unit.word in _TASTE for unit in clause.units) or _names_item(clause)


def _names_item(clause: Clause) -> bool:
    """Names an item beyond doubt."""
    return any(
        unit.word == "@i" and (unit.reference is not None or (unit.mention is not None and not unit.mention.weak))
        for unit in clause.units
    )


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
