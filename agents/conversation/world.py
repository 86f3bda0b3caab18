"""What a turn needs from the workspace: one snapshot, so that a switch to a rebuilt one never splits a turn."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llmrec.agents.conversation.paths import Ties
from llmrec.agents.conversation.say import Vocabulary
from llmrec.agents.conversation.understanding import Understood
from llmrec.contracts import Policy
from llmrec.data.catalogue import Catalogue
from llmrec.filters import Filter


class World(Protocol):
    """The catalogue and its models at one moment. Synchronous methods are numerical work for the pool."""

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def words(self) -> Vocabulary: ...

    def policy(self, name: str = "") -> Policy:
        """What decides, by name; "" is the workspace's own. Raises `UnknownName`."""
        ...

    async def understand(self, text: str, asked: str | None, shown: Sequence[str]) -> Understood:
        """The acts of a message, given the question and the items that it may answer."""
        ...

    async def find(self, query: str, filters: Sequence[Filter] = ()) -> NDArray[np.int64]:
        """Positions of the items found for a query, best first."""
        ...

    async def reword(self, draft: str, text: str) -> tuple[str, str]:
        """Another wording of the facts in `draft`, as an answer to `text`, and why it is the draft itself ("" where it
        is not, or where there is no language model)."""
        ...

    def prior(self, user: str | None, liked: Sequence[str] = ()) -> NDArray[np.float32]:
        """Log-prior (n,) of a person who, beside their history, likes these items."""
        ...

    def leaning(self, strengths: Mapping[str, float]) -> NDArray[np.float32]:
        """The sum (n,) over items of the catalogue of their strength times the similarity, 0..1, of every item to them,
        by what people like together and by content."""
        ...

    def history(self, user: str | None) -> Sequence[str]:
        """Items that the person liked before, oldest first; [] for new and anonymous people."""
        ...

    def seen(self, user: str | None) -> Collection[str]:
        """Items of any event of the person, dismissed ones included."""
        ...

    def ties(self, liked: Sequence[str], shown: Sequence[str]) -> Ties:
        """How much liking each of `liked` speaks for each of `shown`."""
        ...

    def is_popular(self, position: int) -> bool:
        """Whether many people like this item."""
        ...
