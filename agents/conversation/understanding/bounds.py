"""Bounds on price and year: "under 50 bucks", "between 20 and 40", "from the 80s", "newer than 2010", "cheaper"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from llmrec.agents.conversation.understanding.lexicon import CURRENCIES, DECADES, NEGATORS, NUMBERS, UNITS, words
from llmrec.agents.conversation.understanding.normalise import Token
from llmrec.filters import Filter, Operator

Column = Literal["price", "year"]
Phrases = Mapping[Operator, tuple[str, ...]]

FIRST_YEAR, LAST_YEAR = 1880, 2035
"""Numbers between these are years, in a catalogue that has years."""
AROUND = 0.2
"""How far "about 100" reaches to either side."""

PRICE_BEFORE: Phrases = {
    "<=": ("at most", "at the most", "up to", "max", "maximum", "max of", "maximum of", "within", "until", "limit",
           "limit of", "limit is", "budget", "budget of", "budget is", "spend", "capped at", "cap of", "ceiling of",
           "<=", "i have", "only have", "have only", "have about", "got"),
    "<": ("under", "below", "less than", "cheaper than", "lower than", "beneath", "<", "sub", "less", "lower",
          "ones than"),
    ">=": ("at least", "minimum", "min", "minimum of", "min of", "from", "starting at", "starting from", "upwards of",
           ">="),
    ">": ("over", "above", "more than", "greater than", "exceed", "exceeding", ">", "higher than", "pricier than",
          "beyond", "more expensive than", "dearer than", "north of", "costlier than"),
}  # fmt: skip
PRICE_AFTER: Phrases = {
    "<=": ("max", "maximum", "tops", "top", "limit", "at most", "at the most", "or less", "or under", "or below",
           "or cheaper", "or lower", "and under", "and below", "and less", "budget"),
    ">=": ("or more", "or over", "or above", "or higher", "or pricier", "and up", "and above", "and over", "and more",
           "and upwards", "plus", "upwards", "onwards", "minimum", "min", "at least"),
}  # fmt: skip
YEAR_BEFORE: Phrases = {
    "<": ("before", "older than", "earlier than", "prior to", "pre", "<"),
    "<=": ("until", "up to", "as late as", "<="),
    ">": ("after", "newer than", "later than", "younger than", "post", "past", "more recent than", "beyond", ">"),
    ">=": ("since", "at least", "starting", "starting from", "starting in", "starting with", "as early as", ">="),
}  # fmt: skip
YEAR_AFTER: Phrases = {
    "<=": ("or older", "or earlier", "and older", "and earlier", "and before", "or before"),
    ">=": ("or newer", "or later", "or younger", "or after", "or more recent", "and newer", "and later", "and after",
           "and up", "and on", "and onwards", "onwards", "onward", "on", "upwards", "forward", "plus", "and younger"),
}  # fmt: skip
CLOSE = ("around", "about", "roughly", "approximately", "approx", "circa", "ca", "close to", "near", "somewhere around",
         "in the region of", "more or less", "round")  # fmt: skip
CLOSE_AFTER = ("or so", "ish", "give or take", "or thereabouts", "more or less", "roughly")
CHEAPER = ("cheaper", "less expensive", "lower price", "lower priced", "more affordable", "less pricey", "less money",
           "not so expensive", "not as expensive", "less costly", "less pricy")  # fmt: skip
DEARER = ("pricier", "more expensive", "dearer", "higher end", "fancier", "more upmarket")
NEWER = ("newer", "more recent", "more modern", "younger")
OLDER = ("older", "more vintage", "less recent")

_FLIPPED: Mapping[Operator, Operator] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_SKIPPED = words("of is a the at for like say my just it year price in released made with only exactly")
_JOINERS = frozenset(("and", "to", "or", "till", "until", "up to", "and the", "to the", "through", ""))
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_DECADE = re.compile(r"(1[89]|20)?(\d0)s")
_WITH_UNIT = re.compile(r"(\d+(?:\.\d+)?)(k|usd|eur|euros?|gbp|bucks|dollars?|quid|pounds?)")
_REACH = 8


@dataclass(frozen=True, slots=True)
class Bound:
    """Filters that the tokens `start:end` stand for."""

    start: int
    end: int
    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class _Value:
    """A number at the words `start:end`; a decade reaches from `number` to `last`."""

    start: int
    end: int
    number: float
    last: float
    column: Column
    money: bool = False

    @property
    def is_decade(self) -> bool:
        return self.last > self.number


def find_bounds(
    tokens: Sequence[Token],
    *,
    has_prices: bool,
    has_years: bool,
    shown_prices: Sequence[float] = (),
    shown_years: Sequence[float] = (),
) -> list[Bound]:
    """Bounds in a message, left to right. Without prices (years) in the catalogue no number is read as one.

    "cheaper" and "newer" without a number are bounds by the items shown (nan: unknown).
    """
    flat: list[str] = []
    places: list[int] = []
    breaks: list[bool] = []
    for place, token in enumerate(tokens):
        for number, word in enumerate((token.raw,) if token.raw[:1].isdigit() else token.words):
            flat.append(word)
            places.append(place)
            breaks.append(bool(token.before) and number == 0)
    text = _Words(flat, breaks)
    values = list(text.values(has_prices, has_years))
    found: list[Bound] = []
    after = -1
    for value, following in zip_longest(values, values[1:]):
        if value.start < after:
            continue
        bound = (text.range(value, following) if following else None) or text.single(value)
        if bound:
            found.append(bound)
            after = bound.end
    if not found:
        found = text.relative(shown_prices if has_prices else (), shown_years if has_years else ())
    return [Bound(places[bound.start], places[bound.end - 1] + 1, bound.filters) for bound in found]


class _Words:
    """The words of a message and where a separator stands before one. Places in here are those of words."""

    def __init__(self, words: Sequence[str], breaks: Sequence[bool]) -> None:
        self.words, self.breaks = words, breaks

    # --- Numbers --------------------------------------------------------------------------------------------------

    def values(self, has_prices: bool, has_years: bool) -> Iterator[_Value]:
        """Prices and years, left to right."""
        words, at = self.words, 0
        while at < len(words):
            value = self._year(at) if has_years else None
            value = value or (self._price(at) if has_prices else None)
            if value:
                yield value
            at = value.end if value else at + 1

    def _year(self, at: int) -> _Value | None:
        word, previous = self.words[at], self._word(at - 1)
        decade = _DECADE.fullmatch(word)
        if decade:
            century = decade[1] or ("20" if decade[2] in ("00", "10", "20") else "19")
            first = float(century + decade[2])
        elif word in DECADES and previous in ("the", "early", "late", "mid", "from", "in"):
            first = DECADES[word]
        else:
            is_year = word.isdigit() and FIRST_YEAR <= int(word) <= LAST_YEAR
            if not is_year or previous in CURRENCIES or self._word(at + 1) in CURRENCIES:
                return None
            return _Value(at, at + 1, float(word), float(word), "year")
        part = {"early": (0, 4), "mid": (3, 6), "late": (5, 9)}.get(previous)
        start, end = part or (0, 9)
        return _Value(at - 1 if part else at, at + 1, first + start, first + end, "year")

    def _price(self, at: int) -> _Value | None:
        word = self.words[at]
        with_unit = _WITH_UNIT.fullmatch(word)
        if with_unit:
            number = float(with_unit[1]) * (1000 if with_unit[2] == "k" else 1)
            return _Value(at, at + 1, number, number, "price", money=True)
        if _NUMBER.fullmatch(word):
            number, end = float(word), at + 1
        else:
            number, end = self._spelt(at)
        if end == at or number > 1e7:
            return None
        start, money = at, False
        if self._word(at - 1) in CURRENCIES:
            start, money = at - 1, True
        following = self._word(end)
        if following in CURRENCIES:
            end, money = end + 1, True
        elif following in UNITS and not self.breaks[end]:
            return None  # "15 inches"
        if not money and not word[0].isdigit():
            return None  # "one", "two" are rarely prices
        return _Value(start, end, number, number, "price", money)

    def _spelt(self, at: int) -> tuple[float, int]:
        """A number in words and its end: "fifty", "two hundred", "a hundred"."""
        total, end = 0.0, at
        while self._word(end) in NUMBERS:
            value = NUMBERS[self.words[end]]
            total = max(total, 1) * value if value >= 100 else total + value
            end += 1
            if self._word(end) == "and" and self._word(end + 1) in NUMBERS:
                end += 1
        return total, end

    def _word(self, at: int) -> str:
        return self.words[at] if 0 <= at < len(self.words) else ""

    # --- Bounds ---------------------------------------------------------------------------------------------------

    def range(self, low: _Value, high: _Value) -> Bound | None:
        """ "between 20 and 40", "20-40", "from 1990 to 1995", "the 80s and 90s"."""
        joint = " ".join(self.words[low.end : high.start])
        opening = self._word(low.start - 1)
        if low.column != high.column or joint not in _JOINERS:
            return None
        opened = opening in ("between", "from", "range")
        listed = joint in ("and", "or") and not opened and not (low.is_decade and high.is_decade)
        if listed or (joint == "" and self.breaks[high.start]):
            return None
        first, last = min(low.number, high.number), max(low.last, high.last)
        start = low.start - 1 if opened else low.start
        return Bound(start, high.end, (_filter(low.column, ">=", first), _filter(low.column, "<=", last)))

    def single(self, value: _Value) -> Bound | None:
        """One number with what stands beside it; None where it is no bound."""
        year = value.column == "year"
        left = self._left(value.start)
        before, after = (YEAR_BEFORE, YEAR_AFTER) if year else (PRICE_BEFORE, PRICE_AFTER)
        begin, operator = self._operator(value.start, before)
        end = value.end
        if operator is None:
            length, operator = _longest(self.words[end : end + 4], after, _starts)
            end += length
        else:
            length, _ = _longest(self.words[end : end + 4], after, _starts)
            end += length  # "at most 30 max"
        if operator is not None:
            if self._negated(begin):
                operator = _FLIPPED[operator]
            number = value.last if operator in ("<=", ">") else value.number
            return Bound(begin, end, (_filter(value.column, operator, number),))
        if year:
            if self._negated(value.start):
                odd: Operator = ">" if value.is_decade else "!="
                return Bound(value.start, value.end, (_filter("year", odd, value.last),))
            both = (_filter("year", ">=", value.number), _filter("year", "<=", value.last))
            return Bound(value.start, value.end, both)
        close = max((_ends(left, phrase) for phrase in CLOSE), default=0)
        behind = max((_starts(self.words[value.end : value.end + 4], phrase) for phrase in CLOSE_AFTER), default=0)
        if (close or behind) and (value.money or value.number >= 5):
            both = (
                _filter("price", ">=", value.number * (1 - AROUND)),
                _filter("price", "<=", value.number * (1 + AROUND)),
            )
            return Bound(value.start - close, value.end + behind, both)
        if value.money:
            return Bound(value.start, value.end, (_filter("price", "<=", value.number),))
        return None

    def _left(self, end: int) -> Sequence[str]:
        """Words in front, back to a separator."""
        start = end
        while start > max(0, end - _REACH) and not self.breaks[start]:
            start -= 1
        return self.words[start:end]

    def _operator(self, start: int, phrases: Phrases) -> tuple[int, Operator | None]:
        """(first place, operator) of the phrase in front of `start`, up to two fillers between them."""
        left = self._left(start)
        for skipped in range(3):
            length, operator = _longest(left[: len(left) - skipped], phrases, _ends)
            if operator is not None:
                return start - skipped - length, operator
            if skipped == len(left) or left[-1 - skipped] not in _SKIPPED:
                break
        return start, None

    def _negated(self, begin: int) -> bool:
        """Whether a negator stands shortly before, in the same stretch: "not more than", "no films before"."""
        left = self._left(begin)
        return any(word in NEGATORS for word in left[-5:])

    def relative(self, prices: Sequence[float], years: Sequence[float]) -> list[Bound]:
        """ "cheaper" and "newer", measured by what was shown."""
        if "which" in self.words:
            return []  # "which one is cheaper?" asks for a comparison
        text = f" {' '.join(self.words)} "
        known: dict[Column, list[float]] = {
            "price": [price for price in prices if price == price],
            "year": [year for year in years if year == year],
        }
        cases: tuple[tuple[tuple[str, ...], Column, Operator, Callable[[list[float]], float]], ...] = (
            (DEARER, "price", ">", max),
            (CHEAPER, "price", "<", min),
            (NEWER, "year", ">", max),
            (OLDER, "year", "<", min),
        )
        for phrases, column, operator, pick in cases:
            for phrase in phrases:
                if known[column] and f" {phrase} " in text:
                    start = text[: text.index(f" {phrase} ")].count(" ")
                    end = start + phrase.count(" ") + 1
                    return [Bound(start, end, (_filter(column, operator, pick(known[column])),))]
        return []


def _filter(column: Column, operator: Operator, number: float) -> Filter:
    return Filter(field=column, operator=operator, value=round(float(number), 2))


def _longest(
    words: Sequence[str], phrases: Phrases, fits: Callable[[Sequence[str], str], int]
) -> tuple[int, Operator | None]:
    """(length in words, operator) of the longest phrase that fits; (0, None) without one."""
    found: tuple[int, Operator | None] = (0, None)
    for operator, each in phrases.items():
        length = max((fits(words, phrase) for phrase in each), default=0)
        if length > found[0]:
            found = length, operator
    return found


def _ends(words: Sequence[str], phrase: str) -> int:
    """Length of `phrase` in words if the words end with it, else 0."""
    parts = phrase.split()
    return len(parts) if list(words[-len(parts) :]) == parts else 0


def _starts(words: Sequence[str], phrase: str) -> int:
    parts = phrase.split()
    return len(parts) if list(words[: len(parts)]) == parts else 0
