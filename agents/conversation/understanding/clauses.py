"""Cuts a message into clauses: stretches of words that say one thing about the names in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmrec.agents.conversation.understanding.bounds import Bound
from llmrec.agents.conversation.understanding.lexicon import CLASS_OF, FILLERS, NEGATORS, OPENERS, words
from llmrec.agents.conversation.understanding.linker import Mention
from llmrec.agents.conversation.understanding.normalise import tokenise
from llmrec.agents.conversation.understanding.references import Reference

PLACEHOLDERS = ("@a", "@i", "@f")
_LIST = words("and nor plus also")


@dataclass(frozen=True, slots=True)
class Unit:
    """One word, or one name with everything that it may mean."""

    word: str
    """The word, or a placeholder: `@a` attribute or brand, `@i` item, `@f` bound."""
    start: int
    """Token position."""
    end: int
    before: str = ""
    mention: Mention | None = None
    reference: Reference | None = None
    bound: Bound | None = None

    @property
    def is_name(self) -> bool:
        return self.word in ("@a", "@i")

    @property
    def is_pronoun(self) -> bool:
        return self.reference is not None and self.reference.pronoun


@dataclass(slots=True)
class Clause:
    """Units of one clause."""

    units: list[Unit] = field(default_factory=list)
    looks_back: str = ""
    """The placeholder that its pronoun stands for, where that is a name said before."""
    follows_names: bool = False
    """The clause in front has names."""
    reason: bool = False
    """Opened by "because": says why, asks for nothing."""
    contrast: bool = False
    """Opened by "but"."""

    @property
    def words(self) -> list[str]:
        """Canonical words: commas kept, lists of names of one kind folded into one placeholder."""
        return canonical([(unit.word, unit.before) for unit in self.units])

    @property
    def names(self) -> list[Unit]:
        return [unit for unit in self.units if unit.is_name]

    @property
    def named(self) -> list[Unit]:
        """Names that are no pronouns."""
        return [unit for unit in self.units if unit.is_name and not unit.is_pronoun]

    @property
    def bounds(self) -> list[Bound]:
        return [unit.bound for unit in self.units if unit.bound is not None]


_CONTRASTS = words("but however though although whereas")
_EXCEPTED = words("anything everything all anyone everyone")
_REASONS = words("because since as")
_JOINTS = words("and then plus also or so")
_SUBJECTS = words("i we it they he she you my our that this there")
_BE = words("am is are was were be just")
_ABLE = words("can could do does will would")
_OR_ELSE = words("just maybe better else can could should would do show give tell i we you is are")
_AUXILIARIES = words("is are was were do does did can could will would should has have had am")
_SOFT = words("please just also then maybe really oh well so and now definitely actually honestly only")
_ANSWERS = words("yes yeah yep no nope nah okay sure hi hello hey thanks")
_AFTER_ANSWER = words("my i we you it that show give just let can could wait how what")
_WISHES = words("want prefer need love like")
_IMPERATIVES = words("give show play find recommend suggest")
_PREDICATES = words(
    "sounds looks seems sucks rocks instead bores too please yes no yeah nah nope never always definitely drives makes"
    " gives gets puts leaves hurts does made gave got now today tonight then"
)
_JUDGEMENTS = ("<great>", "<bad>", "<hate>", "<ugh>")
_TURNS = words("not no never without nothing minus rather except instead nor over more less")
_BESIDE_TURN = words("the a any too so much than of for to with very like anything")


def canonical(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """(word, separator in front) pairs as the classifier reads them: no fillers, lists of names folded into one."""
    spoken = [word for word, _ in pairs if word not in FILLERS] or [word for word, _ in pairs]
    folded: list[str] = []
    at = 0
    while at < len(spoken):
        word = spoken[at]
        folded.append(word)
        at += 1
        if word in PLACEHOLDERS:
            ahead = at
            # "alien or aliens" asks for a comparison, "folk or jazz" does not
            while ahead < len(spoken) and (spoken[ahead] in (word, *_LIST) or (spoken[ahead] == "or" and word == "@a")):
                ahead += 1
                if spoken[ahead - 1] == word:
                    at = ahead
    return folded


def read_example(text: str) -> list[str]:
    """Canonical words of an example of the bank."""
    return canonical([(word, "") for token in tokenise(text) for word in token.words])


def split(units: Sequence[Unit]) -> list[Clause]:
    """Clauses in order. Words that only join clauses are left out."""
    clauses: list[Clause] = []
    current = Clause()
    for at, unit in enumerate(units):
        joint = _is_joint(units, at, current)
        if joint or _begins(units, at, current):
            if current.units:
                clauses.append(current)
                current = Clause()
            current.reason |= joint and unit.word in _REASONS
            current.contrast |= joint and unit.word in _CONTRASTS
        if not joint:
            current.units.append(unit)
    return [*clauses, current] if current.units else clauses


def _is_joint(units: Sequence[Unit], at: int, current: Clause) -> bool:
    """Whether the unit only joins the clause behind it to the one in front."""
    unit, rest = units[at], units[at + 1 :]
    if not rest:
        return False
    if unit.word in _CONTRASTS:
        excepted = bool(current.units) and not unit.before and current.units[-1].word in _EXCEPTED
        short = len(rest) <= 3 and bool(current.names) and not any(other.is_name or other.bound for other in rest)
        return not (excepted or short)  # "anything but metal", "I liked it but not anymore"
    if unit.word in _REASONS:
        return bool(current.units) and (unit.word == "because" or rest[0].word in _SUBJECTS)
    if unit.word == "and" and len(current.units) == 1 and current.units[0].word in ("me", "i"):
        return False  # "me and my mates"
    if unit.word in _JOINTS and (current.units or unit.before):
        if unit.word == "so" and not unit.before:
            # "every time so no thanks" but "we like it so much", "i am so not into it"
            purpose = rest[0].word in _SUBJECTS and rest[1:] and rest[1].word in _ABLE  # "so i can use it in Spain"
            return not (purpose or current.units[-1].word in _BE or rest[0].word == "not") and _opens(rest, current)
        if unit.word == "or" and not unit.before:
            return rest[0].word in _OR_ELSE and _opens(rest, current)  # but "take it or leave it"
        return _opens(rest, current)
    return False


def _begins(units: Sequence[Unit], at: int, current: Clause) -> bool:
    """Whether a clause begins with the unit."""
    unit = units[at]
    if unit.word in ("in", "with") and current.names and current.names[-1].word == "@i" and units[at + 1 : at + 2]:
        return units[at + 1].word == "@a"  # "like the last one, in white"
    if unit.before:
        return unit.before == "." or _opens(units[at:], current)
    if current.units and unit.word in _AFTER_ANSWER and all(u.word in _ANSWERS for u in current.units):
        return True  # "no i misclicked"
    if unit.word in _IMPERATIVES and current.names:
        return (
            unit.word != "play" or current.units[-1].word != "@i"
        )  # "I saw Air play"  # "instead of pop give me rock"
    if unit.word == "i" and current.names and current.units[0].word in NEGATORS:
        return any(following.word in _WISHES for following in units[at + 1 : at + 3])  # "no metal i want jazz"
    return _turns(units, at, current) or _excludes(units, at, current)


def _opens(units: Sequence[Unit], current: Clause) -> bool:
    """Whether these units, behind a comma or "and", say something of their own, rather than go on with a list."""
    at = 0
    while at < len(units) and (units[at].word in _SOFT or units[at].word in FILLERS):
        at += 1
    if at == len(units):
        return not current.names
    first = units[at]
    if first.word == "not" and (at + 1 == len(units) or units[at + 1].before):
        return False  # "jazz or not"
    if first.word == "too":
        return at + 1 < len(units) and not units[at + 1].before  # ", too slow" but ", too"
    if first.word in OPENERS or first.word == "@f":
        return True
    answer = bool(current.units) and not current.names and len(current.units) <= 3
    if answer and (units[0].before == "," or current.units[0].word in _ANSWERS):
        return True
    if not first.is_name:
        return units[0].before == "," and bool(current.names) and not _names_before_break(units)
    following = units[at + 1] if at + 1 < len(units) else None
    if following is None or following.before or following.is_name:
        return False
    if following.word in ("please", "too"):
        # "no rock, jazz please" but "no rock and pop please"
        return units[0].before == "," or not any(unit.word in NEGATORS for unit in current.units)
    if units[0].before == "," and CLASS_OF.get(following.word) in _JUDGEMENTS:
        return True  # "the Adesso great, the Cherry awful"
    return following.word in _SUBJECTS or following.word in _AUXILIARIES or following.word in _PREDICATES


def _names_before_break(units: Sequence[Unit]) -> bool:
    """Whether a name stands before the next separator."""
    for at, unit in enumerate(units):
        if at and unit.before:
            return False
        if unit.is_name:
            return True
    return False


def _excludes(units: Sequence[Unit], at: int, current: Clause) -> bool:
    """ "gym songs that are not rap", "party music without rap": a search, and what it must not have."""
    if current.names or at + 1 >= len(units) or units[at + 1].word != "@a":
        return False
    said = [unit.word for unit in current.units]
    related = said[-2:-1] in (["that"], ["which"]) and said[-1] in _BE
    return (units[at].word == "not" and related) or (units[at].word == "without" and len(said) > 2)


def _turns(units: Sequence[Unit], at: int, current: Clause) -> bool:
    """ "silver not black", "less metal more jazz": a word that turns the sense between two names."""
    if units[at].word not in _TURNS or not current.names:
        return False
    for unit in units[at + 1 : at + 4]:
        if unit.is_name:
            return True
        if unit.word not in _BESIDE_TURN:
            return False
    return False
