"""Simple dialogues about a catalogue, filled into templates: they teach a model turns, titles and attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmrec.contracts import Message

Dialogue = tuple[Message, ...]


@dataclass(frozen=True)
class Item:
    """What a catalogue says about an item."""

    id: str
    title: str
    description: str
    brand: str
    price: float | None
    year: int | None
    attributes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.title or self.description[:60]

    @property
    def facts(self) -> str:
        """Brand, year and price, as far as they are known."""
        price = "" if self.price is None else f"price {self.price:.2f}"
        return ", ".join(filter(None, (self.brand, str(self.year or ""), price)))

    def page(self) -> str:
        """All of it as a text."""
        return "\n".join(filter(None, (self.title, self.facts, ", ".join(self.attributes), self.description)))


_ABOUT = ("Tell me about {name}.", "What is {name} about?", "What do you know about {name}?", "Describe {name}.")
_WHICH = ("Is {name} {attribute}?", "Would you call {name} {attribute}?")
_WISH = ("Something {attributes}, please.", "I am looking for something {attributes}.", "Do you have {attributes}?")
_NEXT = ("I liked {titles}. What next?", "After {titles}, what would you suggest?", "More like {titles}, please.")
_OFFER = ("You may like {title}.", "How about {title}?", "I suggest {title}.")

_SMALL_TALK = (
    ("Hello!", "Hello! What are you looking for?"),
    ("Hi", "Hi! Tell me what you like."),
    ("Good evening", "Good evening! What may it be today?"),
    ("Who are you?", "I know this catalogue and help you to find something in it."),
    ("What can you do?", "I ask what you like, search the catalogue and recommend what fits."),
    ("Thank you!", "You are welcome!"),
    ("Thanks, that is all.", "You are welcome. Come back soon!"),
    ("Goodbye", "Goodbye!"),
)


def about(item: Item, rng: np.random.Generator) -> Dialogue:
    """A question about one item and its answer from the catalogue."""
    if item.attributes and rng.random() < 0.3:
        attribute = str(rng.choice(item.attributes))
        return _turns(_pick(rng, _WHICH, name=item.name, attribute=attribute), f"Yes: {', '.join(item.attributes)}.")
    answer = " ".join(filter(None, (item.description, item.facts, ", ".join(item.attributes)))) or item.title
    return _turns(_pick(rng, _ABOUT, name=item.name), answer)


def about_attributes(items: Sequence[Item], rng: np.random.Generator) -> list[Dialogue]:
    """Wishes for one to three attributes; the answer has an item for each that has them."""
    dialogues = []
    for item in items:
        if item.title and item.attributes and rng.random() < 0.5:
            count = min(int(rng.integers(1, 4)), len(item.attributes))
            wanted = " and ".join(str(a) for a in rng.choice(item.attributes, count, replace=False))
            dialogues.append(_turns(_pick(rng, _WISH, attributes=wanted), _pick(rng, _OFFER, title=item.title)))
    return dialogues


def what_next(read: Sequence[Item], rng: np.random.Generator) -> Dialogue:
    """The last of at least two items, asked for by up to three before it."""
    titles = [item.title for item in read[-4:-1]]
    listed = " and ".join(filter(None, (", ".join(titles[:-1]), titles[-1])))
    return _turns(_pick(rng, _NEXT, titles=listed), _pick(rng, _OFFER, title=read[-1].title))


def found(query: str, item: Item, rng: np.random.Generator) -> Dialogue:
    """A search and an item that was looked at."""
    return _turns(query, _pick(rng, _OFFER, title=item.title))


def small_talk() -> list[Dialogue]:
    """Greetings, thanks, and what this is."""
    return [_turns(*turns) for turns in _SMALL_TALK]


def _pick(rng: np.random.Generator, templates: Sequence[str], **words: str) -> str:
    return templates[int(rng.integers(len(templates)))].format(**words)


def _turns(*texts: str) -> Dialogue:
    """Messages of user and assistant by turns."""
    return tuple(Message("assistant" if number % 2 else "user", text) for number, text in enumerate(texts))
