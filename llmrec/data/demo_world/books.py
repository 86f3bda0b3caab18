"""Composes the books of the demo world: one set of facts for each, and a title, blurb and price that tell them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from llmrec.data import columns as c
from llmrec.data.demo_world import lexicon, plots

FIRST_YEAR, LAST_YEAR = 1964, 2025
VOICE = 8
"""Dimensions of an author's voice: what readers like about books and no attribute says."""

# What each genre is fond of; the rest of a facet's values occur too, but seldom.
_FOND: dict[str, dict[str, str]] = {
    "mystery": {
        "setting": "seaside town|country house|university|railway|mountain village|island",
        "era": "Jazz Age|Victorian|present day|post-war",
        "mood": "cosy|cosy|cosy|tense|playful",
        "theme": "betrayal|justice|family secrets|revenge|class",
        "hero": "detective|detective|detective|widow|gardener|scholar|doctor|cook",
        "ending": "twist ending",
    },
    "thriller": {
        "setting": "big city|border country|railway|far north|at sea",
        "era": "present day|wartime|near future",
        "mood": "tense|dark|bleak",
        "theme": "betrayal|survival|power|revenge|identity",
        "hero": "soldier|translator|pilot|thief|doctor|smuggler",
        "ending": "twist ending|open ending",
    },
    "fantasy": {
        "setting": "forest|island|border country|mountain village|desert",
        "era": "invented world|Middle Ages",
        "mood": "playful|dreamlike|dark|hopeful",
        "theme": "power|found family|friendship|exile|identity",
        "hero": "thief|orphan|midwife|soldier|scholar|gardener",
        "ending": "bittersweet ending|open ending|happy ending",
    },
    "science fiction": {
        "setting": "outer space|outer space|outer space|far north|big city|desert",
        "era": "far future|near future",
        "mood": "tense|hopeful|bleak|dreamlike",
        "theme": "survival|memory|identity|exile|nature",
        "hero": "pilot|inventor|doctor|translator|gardener|orphan",
        "ending": "open ending|twist ending",
    },
    "romance": {
        "setting": "seaside town|river town|big city|island|country house",
        "era": "present day|Jazz Age|post-war",
        "mood": "passionate|cosy|cosy|funny|hopeful",
        "theme": "second chances|first love|forbidden love|food|homecoming",
        "hero": "cook|gardener|teacher|painter|musician|widow",
        "ending": "happy ending",
    },
    "historical novel": {
        "setting": "border country|river town|big city|at sea|desert",
        "era": "ancient world|Middle Ages|age of sail|Victorian|wartime",
        "mood": "bleak|moving|dark|passionate",
        "theme": "survival|faith|class|ambition|exile",
        "hero": "midwife|soldier|painter|sailor|scholar|smuggler",
        "ending": "bittersweet ending",
    },
    "ghost story": {
        "setting": "country house|island|forest|seaside town|mountain village",
        "era": "Victorian|Jazz Age|present day",
        "mood": "eerie|wistful|dark",
        "theme": "grief|family secrets|memory|revenge",
        "hero": "widow|teacher|doctor|orphan|scholar",
        "ending": "twist ending|open ending",
    },
    "family saga": {
        "setting": "river town|country house|border country|seaside town",
        "era": "post-war|wartime|Victorian|present day",
        "mood": "moving|wistful|funny|passionate",
        "theme": "family secrets|sisterhood|homecoming|class|exile",
        "hero": "widow|midwife|cook|teacher|gardener",
        "ending": "bittersweet ending|happy ending",
    },
    "adventure": {
        "setting": "at sea|desert|far north|island|mountain village",
        "era": "age of sail|Victorian|Jazz Age",
        "mood": "tense|funny|hopeful|playful",
        "theme": "survival|friendship|ambition|nature|revenge",
        "hero": "sailor|smuggler|thief|pilot|soldier|orphan",
        "ending": "happy ending|twist ending",
    },
    "coming-of-age": {
        "setting": "river town|seaside town|mountain village|forest|big city",
        "era": "post-war|present day|wartime",
        "mood": "wistful|hopeful|funny|moving",
        "theme": "friendship|first love|identity|grief|sisterhood",
        "hero": "orphan|musician|painter|thief",
        "ending": "bittersweet ending|happy ending|open ending",
    },
    "satire": {
        "setting": "university|big city|country house|river town",
        "era": "present day|near future|Jazz Age",
        "mood": "funny|playful|dark",
        "theme": "class|ambition|power|faith|food",
        "hero": "scholar|teacher|inventor|painter|translator",
        "ending": "open ending|happy ending",
    },
    "magical realism": {
        "setting": "river town|desert|island|seaside town|border country",
        "era": "present day|post-war|invented world",
        "mood": "dreamlike|wistful|playful|moving",
        "theme": "memory|nature|faith|food|grief",
        "hero": "cook|midwife|gardener|widow|musician",
        "ending": "open ending|bittersweet ending",
    },
}
_FOR_THE_YOUNG = ("adventure", "fantasy", "coming-of-age", "mystery", "magical realism")
_GROWN_UP = ("dark", "bleak", "passionate")
_OLD = ("ancient world", "Middle Ages", "age of sail", "invented world")
_NEEDS = {
    "railway": _OLD,
    "detective": _OLD,
    "pilot": (*_OLD, "Victorian"),
    "translator": (),
    "country house": _OLD[:1],
}
"""Eras in which there is no such place or hero."""
_WOMEN = ("midwife", "widow")
_EDITIONS = {
    "paperback": (8.5, 12.5),
    "hardback": (18.0, 26.0),
    "illustrated": (24.0, 38.0),
    "large print": (13.0, 17.0),
}


@dataclass
class Author:
    """Someone who writes: their books share a genre, a house, habits and a voice."""

    name: str
    genre: str
    imprint: int
    telling: str
    mood: str
    began: int
    voice: NDArray[np.float64]


@dataclass
class Book:
    """One book, as facts."""

    author: Author
    facts: dict[str, list[str]]
    """Facet to the names of its values."""
    year: int
    title: str = ""
    description: str = ""
    price: float = 0.0
    names: dict[str, str] = field(default_factory=dict)

    def attributes(self) -> list[str]:
        """Names of all values, in the order of the facets."""
        return [name for facet in lexicon.FACETS for name in self.facts.get(facet, ())]

    def one(self, facet: str) -> str:
        """The first value of the facet, "" if there is none."""
        return (self.facts.get(facet) or [""])[0]


def compose(rng: np.random.Generator, items: int) -> list[Book]:
    """`items` books with distinct titles, in an order that tells nothing."""
    authors = _authors(rng, max(items // 5, 1))
    prolific = rng.zipf(1.9, len(authors)).clip(1, 12).astype(float)
    chosen = rng.choice(len(authors), size=items, p=prolific / prolific.sum())
    titles: set[str] = set()
    books = []
    for at in chosen:
        book = _facts(rng, authors[at])
        _tell(rng, book, titles)
        book.price = _price(rng, book)
        books.append(book)
    return books


def to_items(books: Sequence[Book]) -> pl.DataFrame:
    """The items table."""
    rows: list[dict[str, Any]] = [
        {
            c.ITEM: f"book-{number:04d}",
            c.TITLE: book.title,
            c.DESCRIPTION: book.description,
            c.BRAND: plots.IMPRINTS[book.author.imprint][0],
            c.PRICE: book.price,
            c.YEAR: book.year,
            c.ATTRIBUTES: book.attributes(),
            "author": book.author.name,
        }
        for number, book in enumerate(books, start=1)
    ]
    return pl.DataFrame(rows, schema_overrides={c.PRICE: pl.Float32, c.YEAR: pl.Int32})


def _pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


def _authors(rng: np.random.Generator, number: int) -> list[Author]:
    genres = [genre.name for genre in lexicon.GENRES]
    weights = np.array([15, 11, 12, 11, 12, 9, 6, 7, 6, 7, 4, 6], float)
    everyone = [
        f"{first} {last}" for names in plots.FIRST_NAMES.values() for first in names for last in plots.LAST_NAMES
    ]
    names = rng.permutation(len(everyone))[:number]
    authors = []
    for at in names:
        genre = genres[int(rng.choice(len(genres), p=weights / weights.sum()))]
        houses = [n for n, imprint in enumerate(plots.IMPRINTS) if genre in imprint[1]]
        authors.append(
            Author(
                name=everyone[at],
                genre=genre,
                imprint=_pick(rng, houses) if rng.random() < 0.85 else int(rng.integers(len(plots.IMPRINTS))),
                telling=_pick(rng, lexicon.TELLINGS).name,
                mood=_pick(rng, _FOND[genre]["mood"].split("|")),
                began=int(rng.integers(FIRST_YEAR, LAST_YEAR - 2)),
                voice=rng.normal(size=VOICE),
            )
        )
    return authors


def _facts(rng: np.random.Generator, author: Author) -> Book:
    genre = author.genre if rng.random() < 0.85 else _pick(rng, lexicon.GENRES).name
    fond = _FOND[genre]

    def choose(facet: str, loyal: float, forbidden: Sequence[str] = ()) -> str:
        everything = [value.name for value in lexicon.FACETS[facet]]
        options = fond[facet].split("|") if rng.random() < loyal else everything
        allowed = [name for name in options if name not in forbidden] or [n for n in everything if n not in forbidden]
        return str(_pick(rng, allowed))

    era = choose("era", 1.0)
    impossible = [name for name, eras in _NEEDS.items() if era in eras]
    impossible += ["outer space"] if genre != "science fiction" else []
    facts = {"genre": [genre], "era": [era], "setting": [choose("setting", 0.85, impossible)]}
    if rng.random() < 0.12:
        facts["genre"].append(_pick(rng, [g.name for g in lexicon.GENRES if g.name != genre]))
    young = genre in _FOR_THE_YOUNG and rng.random() < 0.35
    mood = author.mood if rng.random() < 0.5 else choose("mood", 0.8)
    if young and mood in _GROWN_UP:
        mood = "hopeful"
    facts["mood"] = [mood]
    if rng.random() < 0.3:
        facts["mood"].append(choose("mood", 0.7, [mood, *(_GROWN_UP if young else ())]))
    facts["hero"] = [choose("hero", 0.8, impossible)]
    themes = [choose("theme", 0.8)]
    for _ in range(int(rng.integers(0, 3))):
        themes.append(choose("theme", 0.7, themes))
    facts["theme"] = themes
    if rng.random() < 0.7:
        fast = genre in ("thriller", "adventure", "mystery", "science fiction")
        slow = genre in ("family saga", "historical novel", "ghost story", "magical realism")
        weights = (0.7, 0.2, 0.1) if fast else (0.1, 0.6, 0.3) if slow else (0.3, 0.4, 0.3)
        facts["pace"] = [lexicon.PACES[int(rng.choice(3, p=weights))].name]
    long = genre in ("fantasy", "family saga", "historical novel")
    facts["length"] = [lexicon.LENGTHS[int(rng.choice(3, p=(0.1, 0.4, 0.5) if long else (0.35, 0.5, 0.15)))].name]
    facts["telling"] = [author.telling if rng.random() < 0.6 else _pick(rng, lexicon.TELLINGS).name]
    if rng.random() < 0.75:
        facts["ending"] = [choose("ending", 0.75)]
    if young:
        facts["audience"] = [_pick(rng, ("for young readers", "for teens"))]
    facts["edition"] = [lexicon.EDITIONS[int(rng.choice(4, p=(0.55, 0.23, 0.12, 0.1)))].name]
    year = author.began + int(rng.integers(0, LAST_YEAR - author.began + 1))
    if rng.random() < 0.25:
        year = int(rng.integers(LAST_YEAR - 3, LAST_YEAR + 1))
    return Book(author, facts, year)


def _tell(rng: np.random.Generator, book: Book, titles: set[str]) -> None:
    """Give the book names, a title that no other has, and a blurb."""
    genre, era = book.one("genre"), book.one("era")
    woman = book.one("hero") in _WOMEN or "sisterhood" in book.facts["theme"] or rng.random() < 0.5
    while True:
        thing = _thing(rng, genre, era)
        place = _place(rng, book.one("setting"))
        her_or_his = plots.FIRST_NAMES["she" if woman else "he"]
        other_sex = woman != (rng.random() < 0.8 and genre == "romance")
        friends = plots.FIRST_NAMES["she" if other_sex or "sisterhood" in book.facts["theme"] else "he"]
        hero, friend = _pick(rng, her_or_his), _pick(rng, friends)
        last, friends_last = _pick(rng, plots.LAST_NAMES), _pick(rng, plots.LAST_NAMES)
        number = _pick(rng, plots.NUMBERS).replace("_", " ")
        pattern = _pick(rng, plots.TITLES[genre] if rng.random() < 0.75 else plots.ANY_TITLES)
        title = _aboard(pattern, book.one("setting")).format(
            Thing=(shown := _title_case(thing)),
            A_Thing=f"{_article(thing).capitalize()} {shown}",
            Noun=_title_case(" ".join(thing.split()[1:])),
            Role=book.one("hero").capitalize(),
            place=place,
            first=hero,
            last=last,
            other=friend,
            number=number,
        )
        if title not in titles and hero != friend and "A Hundred" not in title[1:]:
            break
    titles.add(title)
    book.title = title
    book.names = {
        "thing": f"{_article(thing)} {thing}",
        "the_thing": f"the {thing}",
        "place": place,
        "hero": hero,
        "they": "she" if woman else "he",
        "They": "She" if woman else "He",
        "them": "her" if woman else "him",
        "their": "her" if woman else "his",
        "themself": "herself" if woman else "himself",
    }
    book.description = _blurb(rng, book, f"{hero} {last}", friend, f"{friend} {friends_last}")


def _aboard(pattern: str, setting: str) -> str:
    """Titles say "the" before a ship and go aboard it."""
    if setting != "at sea":
        return pattern
    pattern = re.sub(r"\b([Ii])n \{place\}", r"aboard the {place}", pattern)
    pattern = re.sub(r"\bat \{place\}", "on the {place}", pattern)
    return re.sub(r"\b(of|to|from|over|Beyond) \{place\}", r"\1 the {place}", pattern)


def _thing(rng: np.random.Generator, genre: str, era: str) -> str:
    uncanny = genre in ("fantasy", "ghost story", "magical realism", "science fiction")
    adjectives = plots.PLAIN + (plots.UNCANNY * 2 if uncanny else [])
    if era in ("near future", "far future"):
        noun = _pick(rng, plots.FUTURE)
    elif era not in _OLD and rng.random() < 0.4:
        noun = _pick(rng, plots.MODERN)
    else:
        noun = _pick(rng, plots.SOLID + plots.SOFT)
    solid = noun in plots.SOLID and rng.random() < 0.55
    return f"{_pick(rng, plots.MATERIALS if solid else adjectives)} {noun.replace('_', ' ')}"


def _place(rng: np.random.Generator, setting: str) -> str:
    starts, ends = plots.PLACES[setting]
    return (_pick(rng, starts) + _pick(rng, ends)).replace("_", " ")


def _blurb(rng: np.random.Generator, book: Book, hero: str, friend: str, friends_name: str) -> str:
    def say(facet: str, at: int = 0) -> str:
        names = book.facts.get(facet, ())
        phrases = lexicon.VALUES[names[at]].say if len(names) > at else ()
        return str(_pick(rng, phrases)) if phrases else ""

    when = re.sub(r"\{(\d+)-(\d+)\}", lambda m: str(rng.integers(int(m[1]), int(m[2]) + 1)), say("era"))
    where = say("setting")
    opening = str(_pick(rng, plots.OPENINGS[book.one("genre")]))
    scene = ", ".join(filter(None, (when, where)))
    first = f"{scene}, {hero}, {say('hero')}, {opening}."
    known = "{friend}" in opening
    first = first.format(friend=friends_name, **book.names)
    second = say("theme").format(friend=friend if known else friends_name, **book.names)
    *most, final = book.facts["theme"]
    about = f"{', '.join(most)} and {final}" if most else final
    streak = f" with a streak of {book.facts['genre'][1]}" if len(book.facts["genre"]) > 1 else ""
    kind = f"{say('genre')}{streak} about {about}"
    mood = say("mood").format(book=kind)
    turns = f", by turns {book.facts['mood'][0]} and {book.facts['mood'][1]}" if len(book.facts["mood"]) > 1 else ""
    telling = say("telling").format(**book.names)
    third = f"{book.author.name} {telling}: {_article(mood)} {mood}{turns}."
    rest = [say("pace"), say("ending"), say("length"), say("audience"), say("edition")]
    return " ".join(filter(None, (_capital(first), second, third, *rest)))


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" and not noun.startswith("uniq") else "a"


def _title_case(words: str) -> str:
    return re.sub(r"(?<![\w'])\w", lambda letter: letter[0].upper(), words)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _price(rng: np.random.Generator, book: Book) -> float:
    low, high = _EDITIONS[book.one("edition")]
    length = {"short read": 0.85, "weekend read": 1.0, "doorstopper": 1.2}[book.one("length")]
    price = rng.uniform(low, high) * length * plots.IMPRINTS[book.author.imprint][2]
    return round(np.floor(price) + (0.99 if rng.random() < 0.7 else 0.5), 2)
