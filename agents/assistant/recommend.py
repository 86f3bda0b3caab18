"""Recommendations, search and reranking outside of a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from llmrec.acts import ActKind
from llmrec.agents.assistant.world import LiveWorld
from llmrec.agents.conversation import answer, say
from llmrec.agents.conversation.belief import top_positions
from llmrec.agents.conversation.fold import State
from llmrec.contracts import Hit, Recommender, Who
from llmrec.filters import Filter
from llmrec.retrieval.fusion import blend
from llmrec.turn import RecommendedItem

BLENDED = ("ease", "ials", "content")
"""Recommenders that are blended, as `fusion.Blend` does by default."""
_TASTE = 10
"""Newest items of a history that new items are compared with."""
_TIED = 20
"""Newest items of a history that explanations look at."""
_PERSONAL = 0.3
"""Share of taste in personal search and reranking; the rest is the query."""
_DEPTH = 50
"""Search results that are ordered anew for a person."""


def recommend(
    world: LiveWorld, who: Who, k: int, filters: Sequence[Filter], recommenders: Mapping[str, Recommender]
) -> list[RecommendedItem]:
    """The k best items for one person, without what they have seen.

    Several `recommenders` are blended, and what is new in the catalogue is found by its content.
    """
    catalogue = world.catalogue
    user = who if isinstance(who, str) else None
    history = list(world.history(user)) if user is not None else [name for name in who if name in catalogue.index]
    if len(recommenders) == 1:
        [scores] = (_scores(world, model, history) for model in recommenders.values())
    else:
        scores = _blended(world, recommenders, history)
    allowed = catalogue.mask(filters)
    seen = catalogue.index.positions({*history, *world.seen(user)})
    allowed[seen[seen >= 0]] = False
    best = top_positions(np.where(allowed, scores, -np.inf).astype(np.float32), k)
    ranked = {str(catalogue.index.ids[at]): round(float(scores[at]), 6) for at in best}
    liked = tuple(reversed(history[-_TIED:]))
    return answer.cards(world, State(filters=tuple(filters)), user, ranked, liked)


def _blended(world: LiveWorld, recommenders: Mapping[str, Recommender], history: Sequence[str]) -> NDArray[np.float32]:
    """Standardised scores of all recommenders added up; popularity where there is no history."""
    if not history:
        return np.log1p(world.popularity)
    scores = {name: _scores(world, model, history) for name, model in recommenders.items()}
    content = scores.setdefault("content", np.full(len(world.catalogue), -np.inf, np.float32))
    new = ~np.isfinite(content)
    if new.any():
        alike = np.sum([world.content(name) for name in history[-_TASTE:]], axis=0)
        most = float(content[~new].max(initial=1e-6))
        content[new] = alike[new] / max(float(alike.max()), 1e-6) * most
    blended = blend({name: part[None] for name, part in scores.items()}, dict.fromkeys(scores, 1.0))
    return blended[0]


def _scores(world: LiveWorld, recommender: Recommender, history: Sequence[str]) -> NDArray[np.float32]:
    """Scores (n,) of one recommender, -inf for items that it does not know."""
    scores = np.full(len(world.catalogue), -np.inf, np.float32)
    positions = world.catalogue.index.positions(recommender.item_ids)
    scores[positions] = recommender.score([list(history)])[0]
    return scores


def similar(world: LiveWorld, item_id: str, k: int) -> list[RecommendedItem]:
    """The k most similar available items."""
    catalogue = world.catalogue
    catalogue.item(item_id)  # raises for an unknown one
    similarity = world.similarity(item_id)
    best = top_positions(np.where(catalogue.available & (similarity > 0), similarity, -np.inf), k)
    ranked = {str(catalogue.index.ids[at]): round(float(similarity[at]), 6) for at in best}
    return answer.cards(world, State(items={item_id: ActKind.MORE_LIKE}), None, ranked, (item_id,))


def found(world: LiveWorld, query: str, hits: Sequence[Hit], k: int, user: str | None) -> list[RecommendedItem]:
    """Search results as items; for a person, in an order that mixes relevance and taste."""
    ranked = {hit.item_id: hit.score for hit in hits}
    if user is not None and ranked:
        ranked = _personal(world, ranked, user)
    ranked = {name: round(score, 6) for name, score in list(ranked.items())[:k]}
    positions = frozenset(world.catalogue.index.positions(ranked).tolist())
    return answer.cards(world, State(query=query), user, ranked, (), positions)


def _personal(world: LiveWorld, scores: Mapping[str, float], user: str) -> dict[str, float]:
    relevance = _unit(np.fromiter(scores.values(), np.float32))
    taste = _unit(world.prior(user)[world.catalogue.index.positions(scores)])
    mixed = (1 - _PERSONAL) * relevance + _PERSONAL * taste
    order = np.argsort(-mixed, kind="stable")
    names = list(scores)
    return {names[at]: float(mixed[at]) for at in order}


def rerank(
    world: LiveWorld, query: NDArray[np.float32], documents: NDArray[np.float32], names: Sequence[str], user: str | None
) -> list[float]:
    """Relevance of each document, in about 0..1: cosine of vectors (d,) and (n, d), for items mixed with taste.

    `names` are the documents' item ids, "" for plain texts.
    """
    relevance = np.clip(documents @ query, 0, 1)
    positions = world.catalogue.index.positions(names)
    if user is not None and (positions >= 0).any():
        taste = _unit(world.prior(user))
        items = positions >= 0
        relevance[items] = (1 - _PERSONAL) * relevance[items] + _PERSONAL * taste[positions[items]]
    return [float(score) for score in relevance]


def search_depth(k: int, user: str | None) -> int:
    """How many results to ask for."""
    return k if user is None else max(k, _DEPTH)


def starters(world: LiveWorld, user: str | None) -> list[str]:
    """What one could say first, from what the catalogue has and, for known people, from what they liked."""
    catalogue, words = world.catalogue, world.words
    carriers = np.diff(catalogue.matrix_t.indptr)
    common = [str(name) for name in catalogue.attributes.ids[np.argsort(-carriers, kind="stable")[:40]]]
    plain = [name for name in common if ": " not in name and not name[:4].isdigit()]
    liked = [name for name in reversed(world.history(user)) if name in catalogue.index][:1]
    if not liked and world.people.popularity.any():
        liked = [str(catalogue.index.ids[int(world.popularity.argmax())])]
    opening = "I am in the mood for" if words.one in say.MOODS else "I am looking for"
    said = [f"{opening} {name}" for name in plain[:1]]
    if liked:
        said.append(f"More like {catalogue.titles[catalogue.index.position(liked[0])][:60]}")
    if len(plain) > 4:
        said.append(f"{_capital(plain[1])}, but not {plain[4]}")
    if np.isfinite(catalogue.prices).any():
        said.append(f"Something under {_round(float(np.nanmedian(catalogue.prices)))}")
    return [*said, f"Show me {words.many} that I may like"]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _round(price: float) -> int:
    return max(1, round(price) if price < 20 else 10 * round(price / 10))


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scaled to 0..1; all 0 where all are alike."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
