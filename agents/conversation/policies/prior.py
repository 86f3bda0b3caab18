"""What may be believed of a user before they say anything: a log-probability for every item.

A conditional logit over a few facts about user and item, which all come from the train graph: what people choose
together, how often an item was chosen, whether the user has it already, what their friends have, how its attributes
suit those of the user's items. The weights, and with them the temperature, are the only things that come from
validation dialogues. That a user's own items are hardly ever the target is learnt there like everything else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from llmrec.agents.conversation.policies.calibration import calibrated
from llmrec.agents.conversation.policies.lessons import Ground, Lessons
from llmrec.contracts import Progress, no_progress
from llmrec.retrieval.collaborative import EASE, IALS

PriorKind = Literal["graph", "ease", "ials", "popularity"]
"""`graph`: all facts, with iALS scores. The others: popularity, own items and number of attributes alone, or with EASE
or iALS scores."""

_MODELS: dict[PriorKind, type[EASE] | type[IALS]] = {"graph": IALS, "ease": EASE, "ials": IALS}
_LEARN_FROM = 2000
"""Candidates of a dialogue that the weights are learnt from; more are sampled."""
_SMOOTHING = 5.0
"""Items of an average user that are added to everybody's, for the shares of their attributes."""

Facts = NDArray[np.float32]


class Prior:
    """Learnt once, then a log-prior for each user."""

    def __init__(self, kind: PriorKind) -> None:
        self.kind = kind
        self._model: EASE | IALS | None = None

    def learn(self, lessons: Lessons, progress: Progress = no_progress) -> Self:
        """Fit scores on the train interactions, then the weights on the openings of `lessons.people`."""
        if self.kind in _MODELS:
            self._model = _MODELS[self.kind]().fit(lessons.train, progress)
        self._see(lessons)
        rng = np.random.default_rng(0)
        index, carriers = lessons.catalogue.index, lessons.graph.carriers
        choices: list[tuple[Facts, int]] = []
        for done, person in enumerate(lessons.people):
            if done % 100 == 0:
                progress("weights of the prior", done, len(lessons.people))
            # What somebody names first is drawn from what they want: this, too, is for the weights to learn.
            at = index.position(person.wants()[0])
            open_to = carriers.of(lessons.catalogue.attributes.position(person.opening))
            open_to = open_to[lessons.candidates(person.user)[open_to]]
            if len(open_to) > _LEARN_FROM:
                open_to = np.union1d(rng.choice(open_to, _LEARN_FROM, replace=False), at)
            choices.append((self.facts(person.user)[open_to], int(np.flatnonzero(open_to == at)[0])))
        self._weights = calibrated(choices)
        return self

    def log(self, user: str | None) -> NDArray[np.float32]:
        """(n,), unnormalised."""
        return self.facts(user) @ self._weights

    def facts(self, user: str | None) -> Facts:
        """(n, f), a column for each of `names`."""
        graph = self._graph
        person = -1 if user is None else graph.users.position(user)
        own_items = graph.interact.of(person)
        own = np.zeros(len(graph.items), np.float32)
        own[own_items] = 1
        columns = [self._common, own]
        if self._model is not None:
            scores = np.zeros(len(graph.items), np.float32)
            scores[self._known] = self._model.score([user if user is not None and person >= 0 else []])[0]
            columns.append(scores)
        if self.kind == "graph":
            chosen = np.bincount(graph.interact.of_all(graph.friends.of(person)), minlength=len(graph.items))
            columns += [np.log1p(chosen), *self._suits(own_items)]
        return np.column_stack(columns).astype(np.float32, copy=False)

    @property
    def names(self) -> list[str]:
        """What each column of `facts` is."""
        names = ["log popularity", "log popularity squared", "never chosen", "log attributes", "own"]
        names += ["score"] if self.kind in _MODELS else []
        return names + (["friends", "cosine", "lift", "mean lift"] if self.kind == "graph" else [])

    def save(self, folder: Path) -> None:
        """Write `prior` into an existing folder."""
        folder = folder / "prior"
        folder.mkdir()
        weights = dict(zip(self.names, self._weights.tolist(), strict=True))
        (folder / "prior.json").write_text(json.dumps({"kind": self.kind, "weights": weights}, indent=1))
        if self._model is not None:
            (folder / "model").mkdir()
            self._model.save(folder / "model")

    @classmethod
    def load(cls, folder: Path, ground: Ground) -> Self:
        """Read what `save` wrote."""
        folder = folder / "prior"
        kept = json.loads((folder / "prior.json").read_text())
        prior = cls(kept["kind"])
        prior._weights = np.array([kept["weights"][name] for name in prior.names], np.float32)
        if prior.kind in _MODELS:
            prior._model = _MODELS[prior.kind].load(folder / "model")
        prior._see(ground)
        return prior

    # --- Parts --------------------------------------------------------------------------------------------------------

    def _see(self, ground: Ground) -> None:
        """What is alike for all users."""
        self._graph = graph = ground.graph
        catalogue = ground.catalogue
        chosen = np.bincount(graph.interact.ends, minlength=len(graph.items))
        popularity = np.log1p(chosen)
        self._attributes = np.maximum(graph.belong.counts(), 1)
        self._common = np.column_stack([popularity, popularity**2, chosen == 0, np.log(self._attributes)])
        if self._model is not None:
            self._known = catalogue.index.positions(self._model.item_ids)
        if self.kind == "graph":
            matrix, carriers = catalogue.matrix, graph.carriers.counts()
            rarity = np.log(len(graph.items) / np.maximum(carriers, 1)).astype(np.float32)
            weighted = sparse.csr_matrix(matrix @ sparse.diags_array(rarity))
            lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
            self._rows = sparse.csr_matrix(
                sparse.diags_array(1 / np.maximum(lengths, 1e-6)) @ weighted, dtype=np.float32
            )
            self._matrix = matrix
            # The share of all choices that an attribute was carried by, one choice added.
            self._base = ((chosen @ matrix + 1) / (chosen.sum() + 2)).astype(np.float32)

    def _suits(self, own: NDArray[np.int32]) -> list[NDArray[np.float32]]:
        """How the attributes of each item suit those of the user's items: the cosine of their rarity-weighted vectors;
        the log-lift of having them, summed and on average."""
        profile = np.asarray(self._rows[own].sum(axis=0), np.float32).ravel()
        cosine = self._rows @ profile / max(float(np.linalg.norm(profile)), 1e-6)
        carried = np.bincount(self._graph.belong.of_all(own), minlength=self._matrix.shape[1])
        share = (carried + _SMOOTHING * self._base) / (len(own) + _SMOOTHING)
        lift = self._matrix @ np.log(share / self._base).astype(np.float32)
        return [cosine, lift, lift / self._attributes]
