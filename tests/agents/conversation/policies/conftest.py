"""A small world in which taste, friends and popularity say something."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import polars as pl
import pytest

from llmrec.agents.conversation.policies.lessons import Lessons
from llmrec.data.catalogue import Catalogue
from llmrec.data.dataset import Dataset
from llmrec.evals.simulators import SIMULATORS, Pair, SimulatedPerson
from llmrec.retrieval.graph import AttributeGraph
from llmrec.testing.datasets import make_dataset


def make_lessons(simulator: str) -> Lessons:
    """240 items in 4 genres and with 12 tags; users like one genre and what their friend likes."""
    rng = np.random.default_rng(7)
    rows = []
    for item in range(240):
        tags = rng.choice(12, size=3, replace=False)
        rows.append({"item_id": f"i{item}", "attributes": [f"genre {item % 4}", *(f"tag {tag}" for tag in tags)]})
    chance = 1 / (1 + np.arange(240) / 40)
    events, held, friends = [], [], {}
    for user in range(80):
        fits = chance * np.where(np.arange(240) % 4 == user % 4, 10, 1)
        chosen = rng.choice(240, size=14, replace=False, p=fits / fits.sum())
        events += [{"user_id": f"u{user}", "item_id": f"i{item}"} for item in chosen[:10]]
        held += [(f"u{user}", f"i{item}") for item in chosen[10:]]
        friends[f"u{user}"] = [f"u{(user + 4) % 80}"]
    train = make_dataset(rows, events)
    users = pl.DataFrame({"user_id": list(friends), "friends": list(friends.values())}).with_columns(
        pl.lit([], pl.List(pl.String)).alias("liked_attributes")
    )
    train = Dataset("made", train.items, train.interactions, users)
    catalogue = Catalogue.from_dataset(train)
    of_user: dict[str, list[str]] = {}
    for user, item in held:
        of_user.setdefault(user, []).append(item)
    pairs = [
        Pair(number, user, item, tuple(other for other in of_user[user] if other != item))
        for number, (user, item) in enumerate(held)
    ]
    somebody = [SimulatedPerson(SIMULATORS[simulator], catalogue, pair) for pair in pairs[:150]]
    return Lessons(catalogue, AttributeGraph.build(train, catalogue), train, somebody)


@pytest.fixture(scope="session")
def lessons_of() -> Callable[[str], Lessons]:
    """The lessons with a simulator."""
    return cache(make_lessons)


@pytest.fixture(scope="session")
def lessons(lessons_of: Callable[[str], Lessons]) -> Lessons:
    return lessons_of("published")
