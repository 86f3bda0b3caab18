"""Tokens to units: each stretch of a message becomes one bound, one reference, one linked name, or plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmrec.agents.conversation.understanding.bounds import Bound, find_bounds
from llmrec.agents.conversation.understanding.clauses import Unit
from llmrec.agents.conversation.understanding.lexicon import CIRCUMSTANCE, CLASS_OF, EVALUATIVE, GENERIC, words
from llmrec.agents.conversation.understanding.linker import Linker, Mention
from llmrec.agents.conversation.understanding.names import Names
from llmrec.agents.conversation.understanding.normalise import Token, name_words, tokenise
from llmrec.agents.conversation.understanding.references import Reference, find_references

_ITEM_CUES = words(
    "seen saw watched heard read played own bought have got know like similar to as than reminds of sounding"
    " resembling love loved liked enjoyed enjoy adore hate hated dislike film movie band artist singer called by fan"
    " vs versus compare between drop remove hide skip stand bear abide"
)
"""Words before an ordinary word that make it a title: "seen heat"."""
_SURE_ITEM_CUES = words("like similar to seen saw watched heard than as by resembling know")
"""Words before a name that is a title and an attribute that make it the title: "more like portishead"."""
_PLACES = words("something some anything more too less with without little nothing")
"""Words before an ordinary word that make it an attribute: "something beautiful"."""
_OPEN_PLACES = _PLACES | words(
    "not no bit any want need very really so prefer rather be also only mostly always never in of me us play hear love"
    " hate like enjoy into fancy your"
)
"""The same for words that rarely say how one likes something."""
_VERBS = words("but is are was were rocks rules sucks and or vs versus please again already looks sounds seems has")
"""Words behind an ordinary word at the start that make it a title: "heat was great"."""
_LIKENESSES = words("ish esque type style vibe vibes")
"""Words behind a title that ask for what is like it."""
_BESIDE_VALUE = words("but with in")
_POSSESSIVES = words("my our his her their")
_DETERMINERS = words("the that this called")

Piece = Bound | Reference | Mention


@dataclass(frozen=True)
class Shown:
    """The items that were shown, as far as the catalogue knows them."""

    positions: tuple[int, ...]
    titles: tuple[str, ...]
    brands: tuple[str, ...]
    prices: tuple[float, ...]
    years: tuple[float, ...]

    @classmethod
    def of(cls, names: Names, items: Sequence[str]) -> Shown:
        """The items of these ids, in order; unknown ones are left out."""
        catalogue = names.catalogue
        at = tuple(position for position in map(catalogue.index.position, items) if position >= 0)
        return cls(
            at,
            tuple(catalogue.titles[position] for position in at),
            tuple(catalogue.brands[position] for position in at),
            tuple(float(catalogue.prices[position]) for position in at),
            tuple(float(catalogue.years[position]) for position in at),
        )


@dataclass(frozen=True)
class Reading:
    """A message as units, and the tokens behind them."""

    text: str
    tokens: Sequence[Token]
    units: Sequence[Unit]


def read(text: str, linker: Linker, asked: str | None, shown: Shown) -> Reading:
    """The units of a message, given the attribute asked about and the items shown."""
    tokens = tokenise(text)
    known = {word for title in (*shown.titles, *shown.brands) for word in name_words(title)}
    readings = linker.corrected(tokens, known)
    respelt = [
        replace(token, raw=ways[1], words=(ways[1],)) if len(ways) > 1 and linker.matters(ways[1]) else token
        for token, ways in zip(tokens, readings, strict=True)
    ]
    names = linker.names
    bounds = find_bounds(
        respelt,
        has_prices=names.has_prices,
        has_years=names.has_years,
        shown_prices=shown.prices,
        shown_years=shown.years,
    )
    ranked: list[tuple[int, Piece]] = [(55 + bound.end - bound.start, bound) for bound in bounds]
    mentions = linker.link(text, tokens, readings, asked)
    values = {(m.start, m.end) for m in mentions if m.attribute is not None and m.brand is None and not m.weak}
    for reference in find_references(respelt, shown.titles, shown.brands):
        beside = respelt[reference.start - 1].raw if reference.start else ""
        if reference.by_title and beside in _BESIDE_VALUE and (reference.start, reference.end) in values:
            continue  # "like the first but wireless"
        numbered = tokens[reference.start].raw.isdigit()
        base = 0 if reference.pronoun else 60 if reference.by_title or numbered else 30
        ranked.append((base + reference.end - reference.start, reference))
    for mention in mentions:
        length = mention.end - mention.start
        sure = mention.quality >= 0.9 and length >= 3 and not mention.weak
        base = 55 if sure and mention.item is not None else 40 if sure else 10
        ranked.append((base + length, mention))
    ranked.sort(key=lambda pair: -pair[0])
    owner: dict[int, Piece] = {}
    for _, piece in ranked:
        if not any(at in owner for at in range(piece.start, piece.end)):
            owner.update(dict.fromkeys(range(piece.start, piece.end), piece))
    return Reading(text, tokens, _units(respelt, owner, asked))


def _units(tokens: Sequence[Token], owner: dict[int, Piece], asked: str | None) -> list[Unit]:
    units: list[Unit] = []
    at = 0
    while at < len(tokens):
        piece = owner.get(at)
        unit = _unit(piece, tokens, units, asked) if piece is not None else None
        if unit is not None:
            units.append(unit)
            at = unit.end
            continue
        for number, word in enumerate(tokens[at].words):
            units.append(Unit(word, at, at + 1, "" if number else tokens[at].before))
        if piece is not None:  # an ordinary word after all, and so are the others of its phrase
            owner = {place: other for place, other in owner.items() if other is not piece}
        at += 1
    return units


def _unit(piece: Piece, tokens: Sequence[Token], units: Sequence[Unit], asked: str | None) -> Unit | None:
    """The unit of a piece; None where an ordinary word is no name here."""
    before = tokens[piece.start].before
    if isinstance(piece, Bound):
        return Unit("@f", piece.start, piece.end, before, bound=piece)
    if isinstance(piece, Reference):
        return Unit("@i", piece.start, piece.end, before, reference=piece)
    previous = units[-1].word if units and not before else ""
    if previous in _DETERMINERS and len(units) > 1 and not units[-1].before and units[-2].word in _ITEM_CUES:
        previous = units[-2].word
    if previous in ("a", "an") and len(units) > 1 and not units[-1].before and units[-2].word in _OPEN_PLACES:
        previous = units[-2].word  # "with a saxophone"
    if previous in _POSSESSIVES and piece.item is None:
        return None  # "my filters"
    if piece.weak:
        raw = tokens[piece.start].raw
        ends = piece.end == len(tokens) or tokens[piece.end].before != ""
        following = "" if ends else tokens[piece.end].words[0]
        listed = previous in ("and", "or", "nor") and len(units) > 1 and units[-2].word == "@a"
        joined = previous in ("and", "or", "with", "to") and len(units) > 1 and units[-2].word == "@i"
        spoken = raw in EVALUATIVE or raw in CLASS_OF or raw in CIRCUMSTANCE  # "great, ..." is no title
        opening = (not units or before != "") and (
            following in _VERBS or following in _LIKENESSES or piece.end == len(tokens) or (ends and not spoken)
        )
        as_title = piece.item is not None and (previous in _ITEM_CUES or joined or opening)
        as_attribute = piece.attribute is not None and (
            previous in (_PLACES if raw in EVALUATIVE else _OPEN_PLACES)
            or previous == "@a"
            or following in GENERIC
            or listed
        )
        answers = asked is not None and piece.attribute == asked
        between = (not units or before != "") and ends and not spoken
        alone = between or (len(tokens) == piece.end - piece.start and (answers or raw not in EVALUATIVE))
        topic = answers and not units and piece.end < len(tokens) and tokens[piece.end].before != ""
        if not (as_title or as_attribute or alone or topic):
            return None
    likened = piece.end < len(tokens) and tokens[piece.end].words[0] in ("ish", "esque")
    is_item = piece.item is not None and (
        (piece.attribute is None and piece.brand is None) or previous in _SURE_ITEM_CUES or likened
    )
    return Unit("@i" if is_item else "@a", piece.start, piece.end, before, mention=piece)
