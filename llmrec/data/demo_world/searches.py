"""What readers type into the search box, which books answer it, and which one they looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from llmrec.data import columns as c
from llmrec.data.demo_world import lexicon
from llmrec.data.demo_world.books import Book

_ASKED = {
    "genre": 0.75,
    "mood": 0.45,
    "setting": 0.4,
    "theme": 0.4,
    "hero": 0.25,
    "era": 0.25,
    "telling": 0.15,
    "pace": 0.12,
    "length": 0.12,
    "ending": 0.1,
    "audience": 0.1,
}
"""How likely a search names each facet."""
_ADJECTIVES = ("mood", "pace")
_MOST_ANSWERS = 120
_ONES, _ZEROS = 30, 15
"""Judged books of grade 1 and 0 for each search; of grades 2 and 3 all are judged."""


@dataclass(frozen=True)
class Search:
    """One distinct search: its words, the wanted attributes (empty for a title or author), a grade for each book."""

    query: str
    wanted: tuple[str, ...]
    grades: NDArray[np.int8]


def create(rng: np.random.Generator, books: Sequence[Book], number: int) -> list[Search]:
    """`number` distinct searches; in tiny worlds fewer."""
    sets = [set(book.attributes()) for book in books]
    has = {name: np.array([name in names for names in sets]) for name in lexicon.VALUES}
    searches: dict[str, Search] = {}
    for _ in range(number * 20):
        if len(searches) == number:
            break
        book = books[int(rng.integers(len(books)))]
        search = _by_name(rng, book, books) if rng.random() < 0.12 else _by_wish(rng, book, has)
        if search is not None:
            searches.setdefault(search.query, search)
    return list(searches.values())


def to_judgments(rng: np.random.Generator, searches: Sequence[Search], item_ids: Sequence[str]) -> pl.DataFrame:
    """The judgments table."""
    rows = []
    for search in searches:
        for grade, most in ((3, len(item_ids)), (2, len(item_ids)), (1, _ONES), (0, _ZEROS)):
            books = np.flatnonzero(search.grades == grade)
            if len(books) > most:
                books = np.sort(rng.choice(books, most, replace=False))
            rows += [(search.query, item_ids[int(at)], grade) for at in books]
    return pl.DataFrame(rows, schema={c.QUERY: pl.String, c.ITEM: pl.String, c.GRADE: pl.Int8}, orient="row")


def to_queries(
    rng: np.random.Generator, searches: Sequence[Search], interactions: pl.DataFrame, item_ids: Sequence[str], rows: int
) -> pl.DataFrame:
    """The queries table, a log of `rows` searches in order of time: each came shortly before a look at a good answer.

    `split` parts the distinct searches 60/20/20.
    """
    views = interactions.filter(pl.col(c.EVENT) == c.VIEW)
    position = {item: at for at, item in enumerate(item_ids)}
    looked = np.fromiter((position[item] for item in views[c.ITEM]), np.int64)
    weights = 1 / np.arange(1, len(searches) + 1) ** 0.7
    counts = np.maximum(rng.multinomial(rows, weights / weights.sum()), 1)
    parts = rng.permutation(np.array([c.TRAIN, c.TRAIN, c.TRAIN, c.VALID, c.TEST])[np.arange(len(searches)) % 5])
    chance = np.array([0.0, 0.05, 0.3, 1.0])
    log = []
    for search, count, part in zip(searches, counts, parts, strict=True):
        odds = chance[search.grades[looked]]
        if odds.sum():
            chosen = rng.choice(len(views), size=min(int(count), int((odds > 0).sum())), p=odds / odds.sum())
            log += [(search.query, int(row), str(part)) for row in chosen]
    picked = views[[row for _, row, _ in log]]
    return pl.DataFrame(
        {
            c.QUERY: [query for query, _, _ in log],
            c.USER: picked[c.USER],
            c.ITEM: picked[c.ITEM],
            c.TIMESTAMP: picked[c.TIMESTAMP] - rng.integers(10, 90, len(log)),
            c.SPLIT: [part for _, _, part in log],
        },
        schema_overrides={c.QUERY: pl.String, c.SPLIT: pl.String},
    ).sort(c.TIMESTAMP, c.USER, maintain_order=True)


def _by_name(rng: np.random.Generator, book: Book, books: Sequence[Book]) -> Search:
    same_author = np.array([other.author is book.author for other in books])
    grades = np.zeros(len(books), np.int8)
    if rng.random() < 0.5:
        grades[same_author] = 3
        query = str(
            rng.choice([f"books by {book.author.name}", book.author.name, f"novels of {book.author.name}"])
        ).lower()
    else:
        grades[same_author] = 1
        grades[[other is book for other in books]] = 3
        query = str(rng.choice([book.title, f"{book.title} {book.author.name.split()[-1]}"])).lower()
    return Search(query, (), grades)


def _by_wish(rng: np.random.Generator, book: Book, has: dict[str, NDArray[np.bool_]]) -> Search | None:
    wanted = [
        str(rng.choice(names))
        for facet, names in book.facts.items()
        if rng.random() < _ASKED.get(facet, 0)
        and all(lexicon.VALUES[name].say and lexicon.VALUES[name].ask for name in names)
    ]
    order = list(lexicon.FACETS)
    wanted = sorted(wanted, key=lambda name: order.index(lexicon.FACET_OF[name]))[:3]
    if not wanted:
        return None
    matches = np.array([has[name] for name in wanted])
    count, core = matches.sum(axis=0), matches[0]
    grades = np.zeros(matches.shape[1], np.int8)
    grades[core & (count >= 1) & (len(wanted) > 1)] = 1
    grades[core & (count >= 2) & (len(wanted) > 2)] = 2
    grades[count == len(wanted)] = 3
    if (grades == 3).sum() > _MOST_ANSWERS:
        return None
    return Search(_words(rng, wanted), tuple(wanted), grades)


def _words(rng: np.random.Generator, wanted: list[str]) -> str:
    if rng.random() < 0.15:
        return " ".join(wanted)
    asked = {lexicon.FACET_OF[name]: str(rng.choice(lexicon.VALUES[name].ask)) for name in wanted}
    noun = asked.pop("genre", None) or str(rng.choice(["book", "novel", "story"]))
    before: list[str] = []
    behind: list[str] = []
    for facet, words in asked.items():
        relative = words.startswith(("that ", "made ", "I "))
        (before if facet in _ADJECTIVES and not relative else behind).append(words)
    phrase = " ".join([*before, noun, *behind])
    start = str(rng.choice(["", "", "", "a ", "looking for a ", "i want a "]))
    if start and phrase[0] in "aeiou":
        start = start[:-2] + "an "
    return start + phrase
