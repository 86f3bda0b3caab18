"""The readers of the demo world: what they like, how it drifts in two years, how often they come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from llmrec.data import columns as c
from llmrec.data.demo_world import lexicon
from llmrec.data.demo_world.books import VOICE

ATTRIBUTES: tuple[str, ...] = tuple(lexicon.VALUES)
"""Order of the entries of a taste."""

# Kinds of reader: what they look for (two points each), like (one) and avoid (minus one).
_KINDS: tuple[tuple[str, str, str], ...] = (
    (
        "mystery|cosy|detective",
        "seaside town|country house|twist ending|Jazz Age|cook|food|gardener",
        "dark|bleak|doorstopper",
    ),
    (
        "mystery|thriller|tense",
        "betrayal|justice|fast-paced|big city|detective|twist ending|revenge",
        "cosy|episodic|romance",
    ),
    (
        "thriller|fast-paced",
        "tense|dark|border country|soldier|translator|survival|present day",
        "slow-burning|wistful|family saga",
    ),
    (
        "fantasy|invented world",
        "doorstopper|power|forest|thief|exile|many voices|dark",
        "present day|short read|satire",
    ),
    (
        "fantasy|found family|playful",
        "for teens|friendship|island|orphan|hopeful|happy ending",
        "bleak|dark|historical novel",
    ),
    (
        "science fiction|far future|outer space",
        "memory|identity|open ending|inventor|dreamlike|pilot",
        "romance|country house|Victorian",
    ),
    ("science fiction|near future", "bleak|survival|tense|nature|far north|fast-paced", "cosy|family saga|Jazz Age"),
    (
        "romance|happy ending",
        "passionate|second chances|seaside town|present day|funny|food|cook",
        "dark|ghost story|far north",
    ),
    (
        "romance|historical novel|forbidden love",
        "Victorian|country house|passionate|class|told in letters|slow-burning",
        "science fiction|funny",
    ),
    (
        "historical novel|wartime",
        "moving|survival|border country|midwife|soldier|doorstopper|two timelines",
        "playful|fantasy|short read",
    ),
    (
        "ghost story|eerie",
        "Victorian|island|diary|grief|unreliable narrator|family secrets|slow-burning",
        "funny|happy ending|adventure",
    ),
    (
        "family saga|family secrets",
        "sisterhood|homecoming|river town|moving|post-war|many voices|doorstopper",
        "fast-paced|science fiction|tense",
    ),
    (
        "adventure|at sea",
        "sailor|age of sail|smuggler|survival|fast-paced|illustrated|ambition",
        "romance|grief|university",
    ),
    (
        "adventure|for young readers|illustrated",
        "friendship|funny|short read|island|orphan|playful|nature|happy ending",
        "dark|bleak|forbidden love",
    ),
    (
        "coming-of-age|wistful",
        "first love|friendship|river town|musician|post-war|first person|identity",
        "thriller|power|far future",
    ),
    (
        "satire|funny",
        "university|class|scholar|playful|ambition|unreliable narrator|short read",
        "ghost story|fantasy|moving",
    ),
    (
        "magical realism|dreamlike",
        "memory|nature|food|desert|episodic|open ending|story within a story|wistful",
        "thriller|tense|fast-paced",
    ),
    (
        "told in letters|story within a story|unreliable narrator",
        "playful|scholar|university|two timelines|open ending",
        "fast-paced|adventure",
    ),
)


@dataclass(frozen=True)
class Readers:
    """The latent truth about n readers."""

    start: NDArray[np.float64]
    """Taste (n, attributes) two years ago."""
    end: NDArray[np.float64]
    """Taste (n, attributes) now; in between it moves in a straight line."""
    voice: NDArray[np.float64]
    """What they like in an author's voice (n, VOICE)."""
    thrift: NDArray[np.float64]
    """How much a price puts them off (n,)."""
    joined: NDArray[np.float64]
    """When they came (n,), as a share of the two years."""
    visits: NDArray[np.float64]
    """How often they come (n,), relative to others."""

    @property
    def ids(self) -> list[str]:
        """User ids."""
        return [f"reader-{number:04d}" for number in range(1, len(self.start) + 1)]


def create(rng: np.random.Generator, users: int) -> Readers:
    """`users` readers: each a mixture of two kinds and of whims; two in five become another kind."""
    kinds = np.array([_taste(*kind) for kind in _KINDS])
    popular = rng.dirichlet(np.full(len(kinds), 6.0))
    first, second, later = (rng.choice(len(kinds), users, p=popular) for _ in range(3))
    whims = rng.normal(0, 0.5, (2, users, len(ATTRIBUTES))) * (rng.random((2, users, len(ATTRIBUTES))) < 0.12)
    start = kinds[first] + 0.5 * kinds[second] + whims[0]
    drift = np.where(rng.random(users) < 0.4, rng.uniform(0.5, 1.0, users), rng.uniform(0.0, 0.15, users))[:, None]
    end = (1 - drift) * start + drift * (kinds[later] + 0.5 * kinds[second] + whims[1])
    return Readers(
        start=start,
        end=end,
        voice=rng.normal(size=(users, VOICE)),
        thrift=rng.gamma(2.0, 0.15, users),
        joined=np.where(rng.random(users) < 0.6, 0.0, rng.uniform(0, 0.8, users)),
        visits=rng.lognormal(0, 0.7, users),
    )


def to_users(rng: np.random.Generator, readers: Readers) -> pl.DataFrame:
    """The users table: tastes ticked when joining, and friends, who tend to read alike."""
    ids = readers.ids
    rows = []
    unit = readers.start / np.linalg.norm(readers.start, axis=1, keepdims=True)
    alike = unit @ unit.T + rng.gumbel(0, 0.25, (len(unit), len(unit)))
    np.fill_diagonal(alike, -np.inf)
    for number, (user, taste) in enumerate(zip(ids, readers.start, strict=True)):
        ticked = np.argsort(-(taste + rng.normal(0, 0.4, len(taste))))[: int(rng.integers(0, 5))]
        friends = np.argsort(-alike[number])[: int(rng.integers(0, 7))]
        rows.append(
            {
                c.USER: user,
                c.FRIENDS: [ids[friend] for friend in sorted(friends)],
                c.LIKED_ATTRIBUTES: [ATTRIBUTES[at] for at in ticked],
            }
        )
    return pl.DataFrame(rows, schema_overrides={c.FRIENDS: pl.List(pl.String), c.LIKED_ATTRIBUTES: pl.List(pl.String)})


def _taste(wanted: str, liked: str, avoided: str) -> NDArray[np.float64]:
    taste = np.zeros(len(ATTRIBUTES))
    for names, points in ((wanted, 2.0), (liked, 1.0), (avoided, -1.0)):
        for name in names.split("|"):
            taste[ATTRIBUTES.index(name)] = points
    return taste
