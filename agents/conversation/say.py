"""Words for people: short answers from templates; titles come only from ids, and item text is data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from llmrec.acts import Act, ActKind
from llmrec.data.catalogue import Catalogue
from llmrec.filters import Filter

_LONGEST_TITLE = 70
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\s]+")
_JOINER = "\u2060"
"""Invisible; breaks what Markdown or HTML would read as a link, an image or a tag, and looks the same."""
_MARKUP = re.compile(r"\](?=[(\[:])|!(?=\[)|<(?=[a-zA-Z/!?])")
_DECADE = re.compile(r"\d{4}s")
_TRUE = ("true", "yes", "y")
_KIND_FACETS = ("type", "product type", "kind", "category", "genre", "style", "form")


MOODS = ("artist", "film", "book")
"""Things that one is in the mood for; others are looked for."""


@dataclass(frozen=True)
class Vocabulary:
    """What the things of a catalogue are called."""

    one: str = "item"
    many: str = "items"
    people: str = "people"

    @classmethod
    def of(cls, name: str, catalogue: Catalogue) -> Vocabulary:
        """By the names of the dataset and its ids, then by its facts: things with prices and brands are products."""
        ids = " ".join(map(str, catalogue.index.ids[:1]))
        words = set(re.findall(r"[a-z]+", f"{name} {ids}".lower()))
        for signs, vocabulary in _DOMAINS:
            if words & signs:
                return vocabulary
        if np.isfinite(catalogue.prices).any() or any(catalogue.brands):
            return cls("product", "products", "people")
        return cls()


_DOMAINS = (
    ({"lastfm", "music", "artists", "artist", "spotify"}, Vocabulary("artist", "artists", "listeners")),
    ({"ml", "movielens", "movies", "movie", "films", "film", "netflix"}, Vocabulary("film", "films", "viewers")),
    ({"books", "book", "goodreads", "library"}, Vocabulary("book", "books", "readers")),
    ({"amazon", "shop", "store", "electronics", "beauty", "products"}, Vocabulary("product", "products", "people")),
)


@lru_cache(maxsize=10_000)
def plain(text: str, longest: int = _LONGEST_TITLE) -> str:
    """Text of items and people as data: one line, no control characters, no live markup, not too long."""
    text = _INVISIBLE.sub(" ", text).strip()
    if len(text) > longest:
        text = text[: longest - 1].rsplit(" ", 1)[0] + "…"
    return _MARKUP.sub(rf"\g<0>{_JOINER}", text)


def title(catalogue: Catalogue, item_id: str) -> str:
    """The title of an item as people see it; never an id."""
    at = catalogue.index.position(item_id)
    return (plain(catalogue.titles[at]) if at >= 0 else "") or "this one"


def listed(words: Iterable[str], last: str = "and") -> str:
    """a, b and c."""
    words = list(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def quoted(words: Iterable[str]) -> list[str]:
    return [f"“{word}”" for word in words]


def label(catalogue: Catalogue, attribute: str) -> str:
    """An attribute on a chip."""
    return plain(catalogue.label(attribute))


def value_of(attribute: str) -> str:
    """An attribute inside a sentence: the value without its facet, the facet where the value is a yes."""
    facet, _, value = attribute.partition(": ")
    return plain(facet if not value or value.casefold() in _TRUE else value)


def question(attribute: str, words: Vocabulary) -> str:
    """A question that yes, no and don't care answer, worded by the facet of the attribute."""
    facet, _, value = attribute.partition(": ")
    if _DECADE.fullmatch(attribute):
        return f"Should it be from the {attribute}?"
    if not value:
        verb = "in the mood for" if words.one in MOODS else "looking for"
        return f"Are you {verb} “{plain(attribute)}”?"
    if value.casefold() in _TRUE:
        return f"Should it have {plain(facet)}?"
    if facet.casefold() in ("brand", "maker", "author", "director", "artist"):
        return f"Should it be {'from' if facet.casefold() == 'brand' else 'by'} {plain(value)}?"
    if facet.casefold() in _KIND_FACETS:
        return f"Are you looking for “{plain(value)}”?"
    return f"Should the {plain(facet)} be “{plain(value)}”?"


def bound(condition: Filter) -> str:
    """`price<=100` is "price at most 100", `brand!=HP` is "not HP"."""
    words = {"<=": "at most", ">=": "at least", "<": "below", ">": "above", "!=": "not", "=": ""}[condition.operator]
    if condition.field in ("price", "year"):
        number = f"{float(condition.value):.2f}".rstrip("0").rstrip(".")
        return " ".join(filter(None, (condition.field, words, number)))
    return f"{words} {plain(str(condition.value))}".strip()


def about(act: Act, catalogue: Catalogue) -> str:
    """What an act is about, for the preference panel."""
    if act.filter is not None:
        return bound(act.filter)
    if act.item_id is not None:
        return title(catalogue, act.item_id)
    if act.value and act.kind in (ActKind.ACCEPT, ActKind.REJECT, ActKind.DONT_CARE):
        return label(catalogue, act.value)
    return plain(act.value or "")


_SAID = {
    ActKind.ACCEPT: "{}",
    ActKind.REJECT: "not {}",
    ActKind.DONT_CARE: "{} does not matter",
    ActKind.LIKE_ITEM: "you like “{}”",
    ActKind.REJECT_ITEM: "not “{}”",
    ActKind.SEEN: "you know “{}”",
    ActKind.MORE_LIKE: "more like “{}”",
    ActKind.SEARCH: "“{}”",
    ActKind.FILTER: "{}",
}


def said(acts: Iterable[Act], catalogue: Catalogue, most: int = 4) -> str:
    """Acts of evidence in words, "indie, not jazz"; "" where there are none."""
    parts = []
    for act in acts:
        what = value_of(act.value) if act.value and act.kind in _PLAIN_VALUES else about(act, catalogue)
        if act.kind in _SAID and what:
            parts.append(f"no longer {what}" if act.remove else _SAID[act.kind].format(what))
    more = [f"{len(parts) - most} more"] if len(parts) > most else []
    return listed([*parts[:most], *more])


_PLAIN_VALUES = (ActKind.ACCEPT, ActKind.REJECT, ActKind.DONT_CARE)


def offer(titles: Sequence[str], total: int) -> str:
    """How about A, B or C? And 7 more."""
    more = total - len(titles)
    return f"How about {listed(quoted(titles), 'or')}?" + (f" And {more} more." if more > 0 else "")


def count(number: int, words: Vocabulary) -> str:
    return f"{number:,} {words.one if number == 1 else words.many}"
