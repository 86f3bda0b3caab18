"""Short reviews by readers of the demo world, as pleased as the book was to their taste."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from llmrec.data import columns as c
from llmrec.data.demo_world.books import Book

_OPENINGS = {
    1: "I gave up at page ninety.|Not for me, I am afraid.|I wanted to like this.|A disappointment.|"
    "The blurb promised one book and I got another.|I finished it out of stubbornness.",
    2: "Perfectly fine, no more.|Uneven.|Some lovely pages, some long ones.|I am in two minds about this one.|"
    "Good idea, middling book.|Worth borrowing rather than buying.",
    3: "A pleasure.|I read it in two sittings.|Really good.|Better than I expected.|"
    "I have already lent it to a friend.|This one stayed with me.|Bought on a whim, and glad of it.",
    4: "I loved every page of this.|My book of the year.|I missed my stop, twice.|Five stars without thinking.|"
    "I finished it and began again.|Why did nobody tell me about this book?|I have bought three copies to give away.",
}
"""By how pleased the reader is, from 1 to 4."""
_PRAISE = {
    "genre": "If you are after {a} {value}, this is it.|As good {a} {value} as I have read in years.",
    "setting": "The {value} is so real that I could draw a map of it.|Few people write {a} {value} like this.",
    "era": "{author} makes the {value} setting feel lived in.",
    "mood": "It is {value} in exactly the right way.|So {value}, and never overdone.",
    "hero": "The {value} is wonderful company.|I would follow this {value} anywhere.",
    "theme": "Nobody writes about {value} like {author}.|What it says about {value} is quietly wise.",
    "telling": "I was sceptical of {value}, and I was wrong.|Such clever use of {value}.",
    "ending": "And what {a} {value}.",
    "pace": "It is {value}, and it suits the story.",
}
_BLAME = {
    "genre": "As {a} {value} it never gets going.|I think I am simply done with this kind of book.",
    "setting": "The {value} could have been anywhere.",
    "era": "I did not believe the {value} setting for a moment.",
    "mood": "Too {value} for my liking.|It works so hard at being {value}.",
    "hero": "The {value} got on my nerves.|I never cared what became of the {value}.",
    "theme": "I have read enough about {value} for one life.|It has little new to say about {value}.",
    "telling": "I lost patience with {value}.",
    "ending": "The ending felt like a trick.",
    "pace": "Much too {value} for me.",
}
_CLOSINGS = {
    1: ["", "", "Back to the shop it goes.", "Perhaps it is me."],
    2: ["", "", "I may try another by {author}.", "Still, I do not regret it."],
    3: ["", "", "I will look for more by {author}.", "Recommended.", "Best read with a pot of tea."],
    4: ["", "", "{author} can do no wrong.", "Read it before somebody spoils it.", "Now everything else seems flat."],
}
_NOUNS = {
    "first person": "the first-person voice",
    "told in letters": "the letters",
    "many voices": "the many voices",
    "unreliable narrator": "the unreliable narrator",
    "diary": "the diary",
    "two timelines": "the two timelines",
    "story within a story": "the story within the story",
    "fantasy": "fantasy novel",
    "science fiction": "science-fiction novel",
    "coming-of-age": "coming-of-age story",
    "magical realism": "magical-realist novel",
    "at sea": "ship",
    "outer space": "station",
    "far north": "northern winter",
    "railway": "train",
    "seaside town": "town",
    "border country": "valley",
    "country house": "house",
}
"""What a value is called in a sentence, where that is not its name."""


def create(
    rng: np.random.Generator,
    interactions: pl.DataFrame,
    books: dict[str, Book],
    pleasure: NDArray[np.float64],
    number: int,
) -> pl.DataFrame:
    """About `number` reviews of bought books, some days after the sale; `pleasure` is one value for each purchase."""
    bought = interactions.filter(pl.col(c.EVENT) == c.BUY)
    chosen = np.sort(rng.permutation(len(bought))[:number])
    middle, spread = pleasure.mean() if len(pleasure) else 0.0, pleasure.std() + 1e-9
    rows = []
    for at in chosen:
        user, item, time = bought[c.USER][int(at)], bought[c.ITEM][int(at)], bought[c.TIMESTAMP][int(at)]
        felt = (pleasure[at] - middle) / spread
        stars = int(np.clip(np.round(3.7 + 0.9 * felt + rng.normal(0, 0.5)), 1, 5))
        text = _write(rng, books[item], {1: 1, 2: 1, 3: 2, 4: 3, 5: 4}[stars])
        rows.append(
            (user, item, text, float(stars), int(time + rng.integers(2, 40) * 86_400 + rng.integers(0, 36_000)))
        )
    schema = {c.USER: pl.String, c.ITEM: pl.String, c.TEXT: pl.String, c.RATING: pl.Float32, c.TIMESTAMP: pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row").sort(c.TIMESTAMP, c.USER, maintain_order=True)


def _write(rng: np.random.Generator, book: Book, level: int) -> str:
    facets = [facet for facet in _PRAISE if facet in book.facts]
    author = book.author.name.split()[-1]
    sentences = [str(rng.choice(_OPENINGS[level].split("|")))]
    for number, at in enumerate(rng.permutation(len(facets))[: int(rng.integers(1, 3))]):
        phrases = _PRAISE if level >= 3 or (level == 2 and number == 0) else _BLAME
        value = str(rng.choice(book.facts[facets[at]]))
        value = _NOUNS.get(value, value)
        sentence = str(rng.choice(phrases[facets[at]].split("|")))
        sentences.append(sentence.format(value=value, a="an" if value[0] in "aeiou" else "a", author=author))
    sentences.append(str(rng.choice(_CLOSINGS[level])).format(author=author))
    return " ".join(filter(None, sentences))
