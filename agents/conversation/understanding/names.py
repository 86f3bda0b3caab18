"""The names of a catalogue, indexed for exact, joined-up, plural and one-word-wrong lookups."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar

import numpy as np

from llmrec.agents.conversation.understanding.lexicon import FUNCTION, NO, SYNONYMS, TRUE
from llmrec.agents.conversation.understanding.normalise import name_words
from llmrec.data.catalogue import Catalogue

Kind = Literal["attribute", "item", "brand"]
Words = tuple[str, ...]
K = TypeVar("K")

MAX_WORDS = 9
"""Longest name, in words, that is looked for in a message."""
_ARTICLES = ("the", "a", "an", "le", "la", "les", "el", "los", "die", "der", "das", "il")
_TRAILING_ARTICLE = re.compile(r"^(?P<rest>.+), (?P<article>the|a|an|le|la|les|el|los|die|der|das|il|l')$", re.I)
_BRACKETS = re.compile(r"\s*\(([^()]*)\)")


@dataclass(frozen=True, slots=True)
class Name:
    """One thing that a phrase can mean."""

    kind: Kind
    value: str
    """Catalogue spelling of an attribute or brand; the title of an item."""
    position: int
    """Column of an attribute, position of an item, -1 for a brand."""
    weight: float
    """How many items carry the attribute or brand; for an item how well known it is."""
    article: bool = False
    """The phrase is the title without its article, so an ordinary word must not count."""


class Names:
    """All names of one catalogue; built once for each, immutable."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.exact: dict[Words, list[Name]] = defaultdict(list)
        self.support = np.asarray(catalogue.matrix.sum(axis=0)).ravel()
        """Number of items of each attribute (m,)."""
        self.has_years = bool(np.isfinite(catalogue.years).any())
        self.has_prices = bool(np.isfinite(catalogue.prices).any())
        self.brands: dict[str, int] = {}
        self._add_brands()
        self._add_attributes()
        self._add_items()
        self.exact = dict(self.exact)
        self.plural: dict[Words, list[Words]] = _group(self.exact, singular)
        self.joined: dict[str, list[Words]] = _group(self.exact, "".join)
        self.gaps = self._gaps()
        self._add_synonyms()
        self._pairs = self._title_pairs()

    # --- Building -------------------------------------------------------------------------------------------------

    def _add_brands(self) -> None:
        for brand in self.catalogue.brands:
            if brand:
                self.brands[brand] = self.brands.get(brand, 0) + 1
        for brand, count in self.brands.items():
            self._put(name_words(brand), Name("brand", brand, -1, float(count)))

    def _add_attributes(self) -> None:
        for column, name in enumerate(self.catalogue.attributes):
            words = attribute_words(name)
            facet = name.partition(": ")[0].casefold()
            if not words or (facet == "brand" and self.brands):
                continue
            if self.has_years and re.fullmatch(r"(1[89]|20)\d0s", words[0]):
                continue  # decades are read as bounds on the year
            self._put(words, Name("attribute", name, column, float(self.support[column])))

    def _add_items(self) -> None:
        known = np.asarray(self.catalogue.matrix.sum(axis=1)).ravel()
        for at, title in enumerate(self.catalogue.titles):
            for words, article in title_forms(title):
                self._put(words, Name("item", title, at, float(known[at]), article))

    def _put(self, words: Words, name: Name) -> None:
        if words and len(words) <= MAX_WORDS and any(len(word) > 1 or not word.isdigit() for word in words):
            self.exact[words].append(name)

    def _add_synonyms(self) -> None:
        for said, written in SYNONYMS:
            target = name_words(written)
            meant = [name for name in self.exact.get(target, []) if name.kind == "attribute"]
            for words in (name_words(said), name_words(said + "s")):
                if meant and words not in self.exact:
                    self.exact[words] = meant

    def _gaps(self) -> dict[tuple[int, Words], list[Words]]:
        """(place of the missing word, the other words) to the whole names, for names of two to five words."""
        gaps: dict[tuple[int, Words], list[Words]] = defaultdict(list)
        for words in self.exact:
            if 2 <= len(words) <= 5:
                for at, word in enumerate(words):
                    rest = words[:at] + words[at + 1 :]
                    if len(word) >= 4 and any(len(other) > 2 and other not in FUNCTION for other in rest):
                        gaps[at, rest].append(words)
        return dict(gaps)

    def _title_pairs(self) -> dict[tuple[str, str], list[int]]:
        """Two neighbouring words of a long title to the positions of the items, for names said in part."""
        pairs: dict[tuple[str, str], list[int]] = defaultdict(list)
        for at, title in enumerate(self.catalogue.titles):
            words = name_words(title)
            if len(words) >= 3:
                for pair in pairwise(words[:8]):
                    pairs[pair].append(at)
        return dict(pairs)

    # --- Looking up -----------------------------------------------------------------------------------------------

    def items_with(self, words: Words) -> list[int]:
        """Items whose title holds these two or more words in this order, next to each other."""
        found: set[int] | None = None
        for pair in pairwise(words):
            here = self._pairs.get(pair)
            if not here:
                return []
            found = set(here) if found is None else found & set(here)
        return sorted(found or ())

    def vocabulary(self) -> dict[str, float]:
        """Words of names of up to five words, each with the weight of its best known name."""
        weights: dict[str, float] = {}
        for words, names in self.exact.items():
            if len(words) <= 5:
                weight = max(name.weight for name in names)
                for word in words:
                    if weight > weights.get(word, 0.0):
                        weights[word] = weight
        return weights

    def attribute_named(self, name: str) -> str | None:
        """The attribute of this name or, failing that, the best supported one with this value; None if unknown."""
        if name in self.catalogue.attributes:
            return name
        found = [n for n in self.exact.get(attribute_words(name), []) if n.kind == "attribute"]
        return max(found, key=lambda n: n.weight).value if found else None


def attribute_words(name: str) -> Words:
    """What people say for an attribute: the value of "facet: value", the facet where the value is just true.

    () for what nobody would say: numbers, measures, negations and lists.
    """
    facet, separator, value = name.partition(": ")
    if not separator:
        return name_words(name)
    if value.casefold() in TRUE:
        return name_words(facet)
    if value.casefold() in NO or not re.search(r"[^\W\d_]{2}", value) or "," in value or len(value) > 40:
        return ()
    return name_words(value)


def title_forms(title: str) -> Iterator[tuple[Words, bool]]:
    """Ways to say a title, each with whether an article was left out."""
    if title in ("", "None"):
        return
    forms: dict[Words, bool] = {}

    def add(text: str) -> None:
        match = _TRAILING_ARTICLE.match(text)
        if match:
            text = f"{match['article']} {match['rest']}"
        words = name_words(text)
        forms.setdefault(words, False)
        if len(words) > 1 and words[0] in _ARTICLES:
            forms.setdefault(words[1:], True)

    add(title)
    plain = _BRACKETS.sub("", title).strip()
    add(plain)
    for bracket in _BRACKETS.findall(title):
        if re.search(r"[^\W\d_]{2}", bracket):
            add(bracket)
    head, colon, _ = plain.partition(": ")
    if colon and len(head) > 4:
        add(head)
    yield from ((words, article) for words, article in forms.items() if words)


def singular(words: Words) -> Words:
    """The words with a plural last word made singular."""
    last = words[-1]
    if last.endswith("ies") and len(last) > 4:
        last = last[:-3] + "y"
    elif last.endswith(("sses", "xes", "ches", "shes")):
        last = last[:-2]
    elif last.endswith("s") and not last.endswith(("ss", "us", "is")) and len(last) > 3:
        last = last[:-1]
    return (*words[:-1], last)


def _group(names: Iterable[Words], key: Callable[[Words], K]) -> dict[K, list[Words]]:
    groups: dict[K, list[Words]] = defaultdict(list)
    for words in names:
        groups[key(words)].append(words)
    return dict(groups)
