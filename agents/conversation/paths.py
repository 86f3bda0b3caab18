"""Why an item: real paths through the user-attribute-item graph, as stops and in words.

Every stop is a fact: an attribute that the person accepted and the item has, an item that they like and what it
shares with this one, a search that found it. Nothing is invented, and a language model may only reword it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmrec.acts import ActKind
from llmrec.agents.conversation import say
from llmrec.agents.conversation.belief import items_with
from llmrec.agents.conversation.fold import State
from llmrec.agents.conversation.say import Vocabulary
from llmrec.data.catalogue import Catalogue
from llmrec.turn import Node

_MOST_ATTRIBUTES = 3
_LEAST_CARRIERS, _LEAST_SHARE = 3, 0.02


@dataclass(frozen=True)
class Ties:
    """How shown items hang together with what a person likes."""

    liked: tuple[str, ...]
    """Items that the person likes, those said in this conversation first, then the newest."""
    weights: NDArray[np.float32]
    """(liked, shown): how much liking the one speaks for the other among other people; 0 where unknown."""


@dataclass(frozen=True)
class Why:
    """A path and what it says in words."""

    path: list[Node]
    reason: str


class Explainer:
    """Finds the paths of shown items."""

    def __init__(
        self,
        catalogue: Catalogue,
        words: Vocabulary,
        state: State,
        user: str | None,
        found: frozenset[int] = frozenset(),
    ) -> None:
        """`found` holds the positions that the search of `state` found."""
        self._catalogue, self._words, self._state, self._found = catalogue, words, state, found
        self._you = Node(kind="user", id=user or "", label="you")

    def explain(self, item_id: str, column: int, ties: Ties, popular: bool) -> Why:
        """The strongest path to the item, and up to two reasons. `column` is the item's place in `ties.weights`."""
        at = self._catalogue.index.position(item_id)
        item = Node(kind="item", id=item_id, label=say.title(self._catalogue, item_id))
        had = self._catalogue.attributes_of(at)
        whys = [
            *self._by_answers(had, item),
            *self._by_item(at, had, item, column, ties),
            *self._by_search(at, item),
            *self._by_filters(item),
        ]
        if not whys and popular:
            whys = [
                Why([Node(kind="popular", id="popular", label="popular"), item], f"Popular with {self._words.people}")
            ]
        if not whys:
            return Why([self._you, item], "")
        return Why(whys[0].path, "; ".join([whys[0].reason, *(_lower(why.reason) for why in whys[1:2])]) + ".")

    def question(self, attribute: str, probabilities: NDArray[np.float32] | None = None) -> list[Node]:
        """From the last accepted attribute, by the most probable item that has both, to the one that is asked."""
        path = [self._you]
        for accepted in self._state.kept(ActKind.ACCEPT)[-1:]:
            path.append(self._attribute(accepted))
            both = np.intersect1d(items_with(self._catalogue, accepted), items_with(self._catalogue, attribute))
            if probabilities is not None and both.size and probabilities[both].any():
                name = str(self._catalogue.index.ids[both[probabilities[both].argmax()]])
                path.append(Node(kind="item", id=name, label=say.title(self._catalogue, name)))
        return [*path, self._attribute(attribute)]

    def _by_answers(self, had: list[str], item: Node) -> list[Why]:
        accepted = [name for name in self._state.kept(ActKind.ACCEPT) if name in had][-_MOST_ATTRIBUTES:]
        if not accepted:
            return []
        values = say.listed(f"“{say.value_of(name)}”" for name in accepted)
        return [Why([self._you, *map(self._attribute, accepted), item], f"You asked for {values}")]

    def _by_item(self, at: int, had: list[str], item: Node, column: int, ties: Ties) -> list[Why]:
        strengths = np.zeros(len(ties.liked), np.float32)
        if ties.weights.size:
            strengths += np.maximum(ties.weights[:, column], 0)
        said = {*self._state.kept(ActKind.LIKE_ITEM), *self._state.kept(ActKind.MORE_LIKE)}
        for row, liked in enumerate(ties.liked):
            if liked in said and (strengths[row] > 0 or self._shared(liked, at)):
                strengths[row] += 1  # what was said here says more than the past
        if not strengths.any():
            return []
        liked = ties.liked[int(strengths.argmax())]
        shared = self._shared(liked, at)
        source = Node(kind="item", id=liked, label=say.title(self._catalogue, liked))
        if shared:
            reason = f"Like “{source.label}”, it has “{say.value_of(shared)}”"
            return [Why([self._you, source, self._attribute(shared), item], reason)]
        return [
            Why([self._you, source, item], f"{self._words.people.capitalize()} who like “{source.label}” like it too")
        ]

    def _shared(self, liked: str, at: int) -> str | None:
        """The rarest attribute that both have and enough others too: what hardly any item has says little to people."""
        other = self._catalogue.index.position(liked)
        if other < 0 or other == at:
            return None
        matrix, by_attribute = self._catalogue.matrix, self._catalogue.matrix_t
        ours = matrix.indices[matrix.indptr[at] : matrix.indptr[at + 1]]
        theirs = matrix.indices[matrix.indptr[other] : matrix.indptr[other + 1]]
        both = np.intersect1d(ours, theirs, assume_unique=True)
        if not both.size:
            return None
        sizes = by_attribute.indptr[both + 1] - by_attribute.indptr[both]
        common = sizes >= max(_LEAST_CARRIERS, _LEAST_SHARE * len(self._catalogue))
        best = np.argmin(np.where(common, sizes, np.iinfo(sizes.dtype).max)) if common.any() else np.argmax(sizes)
        return str(self._catalogue.attributes.ids[both[int(best)]])

    def _by_search(self, at: int, item: Node) -> list[Why]:
        if not self._state.query or at not in self._found:
            return []
        query = say.plain(self._state.query)
        return [Why([self._you, Node(kind="query", id=query, label=query), item], f"Found for “{query}”")]

    def _by_filters(self, item: Node) -> list[Why]:
        if not self._state.filters:
            return []
        bounds = [say.bound(condition) for condition in self._state.filters]
        stops = [Node(kind="filter", id=str(f), label=b) for f, b in zip(self._state.filters, bounds, strict=True)]
        return [Why([self._you, *stops, item], f"Within {say.listed(bounds)}")]

    def _attribute(self, name: str) -> Node:
        return Node(kind="attribute", id=name, label=say.label(self._catalogue, name))


def no_ties(shown: Sequence[str]) -> Ties:
    """Nothing is known to be liked."""
    return Ties((), np.zeros((0, len(shown)), np.float32))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
