"""What may be believed of a user before they say anything: a log-probability for every item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from llmrec.agents.conversation.belief import log_prior
from llmrec.agents.conversation.policies.lessons import Lessons
from llmrec.contracts import Progress, no_progress
from llmrec.retrieval.collaborative import EASE, IALS

Scores = Literal["ease", "ials", "popularity"]


_MODELS: dict[str, type[EASE] | type[IALS]] = {"ease": EASE, "ials": IALS}


class Prior:
    """Collaborative scores and popularity."""

    def __init__(self, scores: Scores) -> None:
        self.scores = scores
        self._model: EASE | IALS | None = None

    def learn(self, lessons: Lessons, progress: Progress = no_progress) -> Self:
        """Fit on the train interactions."""
        self._see(lessons)
        if self.scores in _MODELS:
            self._model = _MODELS[self.scores]().fit(lessons.train, progress)
        return self

    def _see(self, lessons: Lessons) -> None:
        self._catalogue = lessons.catalogue
        self._popularity = np.asarray(lessons.train.matrix().sum(axis=0)).ravel()

    def log(self, user: str | None) -> NDArray[np.float32]:
        """(n,), unnormalised."""
        if self._model is None or user is None:
            return log_prior(None, self._popularity)
        scores = np.zeros(len(self._catalogue), np.float32)
        scores[self._catalogue.index.positions(self._model.item_ids)] = self._model.score([user])[0]
        return log_prior(scores, self._popularity, 10)

    def save(self, folder: Path) -> None:
        """Write into `prior` of an existing folder."""
        (folder / "prior").mkdir()
        (folder / "prior" / "scores.json").write_text(json.dumps(self.scores))
        if self._model is not None:
            (folder / "prior" / "model").mkdir()
            self._model.save(folder / "prior" / "model")

    @classmethod
    def load(cls, folder: Path, lessons: Lessons) -> Self:
        """Read what `save` wrote."""
        prior = cls(json.loads((folder / "prior" / "scores.json").read_text()))
        prior._see(lessons)
        if prior.scores in _MODELS:
            prior._model = _MODELS[prior.scores].load(folder / "prior" / "model")
        return prior
