"""All protocols of llmrec on one page: what a recommender, engine, adapter source, policy and suite must do.

`llmrec.testing` holds a conformance kit for each; third parties register theirs under the entry-point groups
named in `llmrec.plugins`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from llmrec.data.catalogue import Catalogue
    from llmrec.data.dataset import Dataset
    from llmrec.filters import Filter
    from llmrec.language.trie import TokenTrie

Progress = Callable[[str, int, int], None]
"""`progress(what, done, total)`; called rarely enough to print."""


def no_progress(what: str, done: int, total: int) -> None:
    """The silent `Progress`."""


class Config(BaseModel):
    """Base of every component's settings: refuses unknown keys, immutable, JSON in and out."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


# --- Recommenders -----------------------------------------------------------------------------------------------------

Who = str | Sequence[str]
"""One person: a user id (unknown ids count as anonymous), or a history of item ids, oldest first; `[]` is anonymous."""


@dataclass(frozen=True)
class Recommendations:
    """Ranked items for n people, best first.

    `items`: object array (n, k) of item ids; `scores`: float32 (n, k). Rows with fewer than k items are padded at
    the end by `""` and `-inf`: the only way in which short lists are padded.
    """

    items: NDArray[np.object_]
    scores: NDArray[np.float32]

    def row(self, index: int) -> list[tuple[str, float]]:
        """The (item id, score) pairs of one person, without padding."""
        return [(str(i), float(s)) for i, s in zip(self.items[index], self.scores[index], strict=True) if i]


@runtime_checkable
class Recommender(Protocol):
    """Ranks items for known, new (given a history) and anonymous users. Made by `kind()` or `kind(config)`."""

    config_type: ClassVar[type[Config]]
    """Its typed settings, each with a default."""

    @property
    def config(self) -> Config:
        """The settings in force."""
        ...

    def fit(self, dataset: Dataset, progress: Progress = no_progress) -> Self:
        """Learn from `dataset.interactions` (positive events only) and, where it uses content, `dataset.items`."""
        ...

    def recommend(
        self, users: Sequence[Who], k: int = 10, *, within: Sequence[str] | None = None, exclude_seen: bool = True
    ) -> Recommendations:
        """The k best items for each; `within` restricts the candidates, seen are the items of the history used."""
        ...

    def score(self, users: Sequence[Who], candidates: Sequence[str] | None = None) -> NDArray[np.float32]:
        """Scores (n_users, n_candidates), higher is better; by default of all `item_ids`; unknown items -inf."""
        ...

    def similar(self, items: Sequence[str], k: int = 10) -> Recommendations:
        """The k most similar other items of each item; an unknown item has an empty row."""
        ...

    @property
    def item_ids(self) -> Sequence[str]:
        """Items that the model knows, in the order of `score`'s columns."""
        ...

    def save(self, folder: Path) -> None:
        """Write arrays (safetensors or npz without pickle) and `config.json` into an existing empty folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...


@runtime_checkable
class Updatable(Protocol):
    """A recommender that takes new events without a refit."""

    def update(self, events: Sequence[tuple[str, str]]) -> None:
        """Append (user id, item id) events; a new user starts a history, items it does not know are ignored."""
        ...


class Ranker(Protocol):
    """Predicts the probability that a person reacts positively to an item."""

    def predict(
        self, histories: Sequence[Sequence[str]], items: Sequence[str], at: Sequence[float] | None = None
    ) -> NDArray[np.float32]:
        """Probability (n,) that history i continues with a positive reaction to items[i] at unix time at[i]."""
        ...


# --- Search -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hit:
    """One search result."""

    item_id: str
    score: float


class Searcher(Protocol):
    """Finds items for free text: lexical, semantic and hybrid search all do."""

    async def search(self, query: str, k: int = 10, filters: Sequence[Filter] = ()) -> list[Hit]:
        """The k best items that satisfy every filter, best first; ties by catalogue order."""
        ...


class Embedder(Protocol):
    """Text to unit vectors. Synchronous: call it through the bounded pool (`llmrec.pool`)."""

    name: str

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
        """(n, dimensions), each row of length 1."""
        ...


# --- Language models --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do; anything else raises `NotSupported`."""

    chat: bool = True
    structured: bool = False
    score: bool = False
    beam: bool = False
    encode: bool = False
    adapters: bool = False


Prompt = str | Sequence[int]
"""A text, or the ids of its tokens."""


class Ending(str):
    """An empty text, by which an engine that knows tells after the last delta how its answer ended."""

    finish: Literal["stop", "length"]
    """`length`: it was cut off at `max_tokens`."""
    prompt_tokens: int | None
    completion_tokens: int | None

    def __new__(
        cls,
        finish: Literal["stop", "length"] = "stop",
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
    ) -> Self:
        """Numbers that are not known are None."""
        ending = super().__new__(cls)
        ending.finish, ending.prompt_tokens, ending.completion_tokens = finish, prompt_tokens, completion_tokens
        return ending


@runtime_checkable
class Engine(Protocol):
    """One language model, in process or served. Failures raise the `EngineError` family, never anything else."""

    name: str

    @property
    def capabilities(self) -> Capabilities: ...

    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        schema: Mapping[str, Any] | None = None,
        adapter: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[str]:
        """Text deltas; the last may be an `Ending`. With `schema` (a JSON schema), they join to JSON that satisfies it,
        or `EngineNonsense`."""
        ...

    async def score(
        self, prompt: Prompt, continuations: Sequence[Prompt], *, adapter: str | None = None
    ) -> list[float]:
        """Log-probability of each continuation given the prompt, summed over its tokens."""
        ...

    async def beam(
        self, prompt: Prompt, trie: TokenTrie, width: int, *, adapter: str | None = None
    ) -> list[tuple[int, float]]:
        """The `width` most probable sequences of the trie after the prompt, best first: (number of the sequence, its
        log-probability). Nothing outside the trie is ever returned; fewer where the trie has fewer."""
        ...

    async def encode(self, texts: Sequence[str], *, adapter: str | None = None) -> NDArray[np.float32]:
        """Unit vectors (n, d)."""
        ...

    async def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of plain texts, without special tokens: what a trie is made of."""
        ...

    async def aclose(self) -> None:
        """Release connections, processes and memory."""
        ...


class EngineFactory(Protocol):
    """What the entry-point group `llmrec.engines` registers under the scheme of a URI: the class of an engine."""

    def __call__(
        self, target: str, *, timeout: float = 20.0, adapters: AdapterSource | None = None, folder: Path | None = None
    ) -> Engine:
        """The engine of `<scheme>:<target>`.

        `timeout`: seconds for one whole answer; `adapters`: where adapter names are looked up; `folder`: where logs
        and other files of the process go, None for a temporary one. Cheap: what takes long happens at the first call.
        """
        ...


class AdapterSource(Protocol):
    """Finds the PEFT folder behind an adapter name such as `search` or `user:42`."""

    def resolve(self, name: str) -> Path | None:
        """A folder with `adapter_config.json` and `adapter_model.safetensors`; None where the name is not its own."""
        ...


# --- Conversation -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ask:
    """Ask about one attribute or offer several (a choice)."""

    attributes: tuple[str, ...]
    gain: float = 0.0
    """Expected reduction of the belief's entropy, in bits."""


@dataclass(frozen=True)
class Recommend:
    """Show these items, best first."""

    items: tuple[str, ...]


Action = Ask | Recommend


ExchangeKind = Literal["accept", "reject", "skip", "turned_down"]


@dataclass(frozen=True)
class Exchange:
    """What was asked or shown, and how it was answered."""

    kind: ExchangeKind
    names: tuple[str, ...]
    """One attribute; the items that were turned down."""


class BeliefView(Protocol):
    """What a policy may see of the belief: a posterior over catalogue positions."""

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """(n_items,), sums to 1 over the candidates, 0 elsewhere."""
        ...

    @property
    def live(self) -> NDArray[np.int64]:
        """Positions (c,) of the candidates, ascending: all with a probability that matters."""
        ...

    @property
    def live_probabilities(self) -> NDArray[np.float32]:
        """Their probabilities (c,): `probabilities[live]` without a look at all items."""
        ...

    @property
    def asked(self) -> frozenset[str]:
        """Attributes answered or declined so far, never to be asked again."""
        ...

    @property
    def accepted(self) -> tuple[str, ...]:
        """Attributes accepted so far, in order."""
        ...

    @property
    def user(self) -> str | None:
        """Who it is about; None for an anonymous person."""
        ...

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Everything said so far, in order."""
        ...


class Policy(Protocol):
    """From a belief to the next action."""

    def decide(self, belief: BeliefView, turn: int, k: int = 10) -> Action:
        """The action for the 1-based turn; `Recommend` carries at most k items."""
        ...


# --- Evaluation -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One line of a result table."""

    name: str
    kind: Literal["ours", "floor", "published"]
    metrics: Mapping[str, float]
    protocol: str = ""
    fit_on: str = ""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    seconds: float | None = None
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Title of a plot to this row's line in it, from x = 1 on."""


class Suite(Protocol):
    """Tasks, truths and metrics that end in one table."""

    name: str

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """Evaluate on a data folder or a workspace; options are the suite's own typed config."""
        ...
