"""How people say each thing: hand-written clauses from which `intents` learns, in `bank/<intent>.txt`.

One clause to a line, as people type it; `@a` stands for a linked attribute or brand, `@i` for a named or shown item,
`@f` for a bound on price or year. New wordings are added there; nothing has to be trained or stored.
"""

from __future__ import annotations

from importlib.resources import files

INTENTS = (
    "yes", "no", "dont_care", "results", "compare", "explain", "why", "undo", "reset", "memory", "small_talk", "search",
    "positive", "negative", "seen", "more_like", "none",
)  # fmt: skip
"""What a clause can do. `positive` and `negative` are about names; `none` asks for nothing."""


def examples() -> list[tuple[str, str]]:
    """All (clause, intent) pairs."""
    folder = files(__package__) / "bank"
    texts = {intent: (folder / f"{intent}.txt").read_text(encoding="utf-8") for intent in INTENTS}
    return [(line, intent) for intent, text in texts.items() for line in text.splitlines() if line]
