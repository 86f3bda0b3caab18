"""What callers hand to the worker's thread."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmrec.contracts import Ending
from llmrec.errors import EngineError

if TYPE_CHECKING:
    from llmrec.language.in_process.grammar import Grammar
    from llmrec.language.in_process.model import LanguageModel

Run = Callable[["LanguageModel", list[Any], list[int]], Sequence[Any]]


@dataclass
class Job:
    """Something to compute for one caller."""

    kind: Hashable
    """Jobs of the same kind run together."""
    adapter: str | None
    prepare: Callable[[LanguageModel], Any]
    """This job's input; what it raises concerns this job alone."""
    run: Run | None
    """From the inputs of jobs that run together, and the slots of their adapters, to their results; None for a chat,
    whose input is a `Chat`."""
    result: Future[Any] = field(default_factory=Future)
    """Of a chat: only whether it could begin."""


@dataclass
class Chat:
    """One answer that is being written."""

    max_tokens: int
    temperature: float
    """0 takes the most probable token."""
    send: Callable[[str | EngineError | None], None]
    """Called with every piece of text, and once at the end: with None, or with what went wrong."""
    prompt: Sequence[int] = ()
    slot: int = 0
    """Where its adapter is; in use while it is being written."""
    grammar: Grammar | None = None
    """What it has to be."""
    left: bool = False
    """Set where nobody waits any more, from any thread."""
    stopped: bool = False
    """Whether the model ended it, or its grammar."""
    ended: int = 0
    """How many tokens ended it that are no text: 0 or 1."""
    _tokens: list[int] = field(default_factory=list)
    _sent: int = 0
    """How many of the tokens are behind the text that has been sent."""

    def take(self, token: int, model: LanguageModel) -> bool:
        """Add a token and send the text that is complete by it; whether the answer goes on."""
        self.ended = int(token in model.stops)
        if not self.ended:
            self._tokens.append(token)
        self.stopped = bool(self.ended) or (self.grammar is not None and not self.grammar.take(token))
        last = self.stopped or len(self._tokens) >= min(self.max_tokens, model.context - len(self.prompt))
        self._flush(model, last)
        return not last

    def ending(self) -> Ending:
        """How it ended; the token that ends an answer counts."""
        return Ending("stop" if self.stopped else "length", len(self.prompt), len(self._tokens) + self.ended)

    def _flush(self, model: LanguageModel, last: bool) -> None:
        """Text is decoded with the tokens before it, because some tokenizers write a token by what it follows."""
        start = max(0, self._sent - 8)
        before = model.decode(self._tokens[start : self._sent])
        text = model.decode(self._tokens[start:])
        # a character of which only some bytes are there shows as U+FFFD: wait for the rest
        if len(text) > len(before) and (last or not text.endswith("\ufffd")):
            self.send(text[len(before) :])
            self._sent = len(self._tokens)
