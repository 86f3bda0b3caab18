"""One value of a facet: its attribute name, how a blurb puts it, how a reader asks for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Value:
    """`say` and `ask` are alternatives; where nothing is said, the attribute alone tells."""

    name: str
    say: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()


def value(name: str, say: str = "", ask: str = "") -> Value:
    """A value whose alternatives are written with " | " between them."""
    return Value(name, tuple(filter(None, say.split(" | "))), tuple(filter(None, ask.split(" | "))))
