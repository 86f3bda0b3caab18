"""The belief planner: asks where an answer raises what the remaining turns can reach, recommends where none does."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from llmrec.agents.conversation.belief import NOISE, Belief, items_with, top_positions
from llmrec.agents.conversation.policies.lessons import Lessons
from llmrec.agents.conversation.policies.prior import Prior, Scores
from llmrec.contracts import Action, Ask, BeliefView, Config, Progress, Recommend, no_progress

_LEAST_GAIN = 1e-3
"""Bits below which a question is not worth the reading."""


class PlannerConfig(Config):
    """`noise`: rate of wrong answers to expect; `horizon`: turns after which a person leaves (15 in the benchmark)."""

    noise: float = NOISE
    horizon: int = 15
    prior: Scores = "ease"
    negative: bool = True


class Planner:
    """One step of look-ahead on the belief.

    Recommending in all R remaining turns reaches the mass of the 10 R most probable items; asking first reaches, for
    each answer by its probability, the mass of the 10 (R - 1) most probable items of the belief after it. The
    question is the attribute with the largest expected information gain: I(answer; item) = H(q) - H(e), where q is the
    probability of a yes and e the noise rate. It is asked if that raises the mass that the remaining turns can reach.
    """

    config_type: ClassVar[type[Config]] = PlannerConfig

    def __init__(self, config: PlannerConfig | None = None) -> None:
        self.config = config or PlannerConfig()

    def learn(self, lessons: Lessons, progress: Progress = no_progress) -> Self:
        """See `lessons.Learner`: fits the prior."""
        self._catalogue = lessons.catalogue
        self._prior = Prior(self.config.prior).learn(lessons, progress)
        return self

    def begin(self, user: str | None) -> Belief:
        """See `lessons.Learner`."""
        c = self.config
        return Belief.start(self._catalogue, self._prior.log(user), noise=c.noise, user=user, negative=c.negative)

    def save(self, folder: Path) -> None:
        """See `lessons.Learner`."""
        (folder / "config.json").write_text(self.config.model_dump_json())
        self._prior.save(folder)

    @classmethod
    def load(cls, folder: Path, lessons: Lessons) -> Self:
        """See `lessons.Learner`."""
        policy = cls(PlannerConfig.model_validate_json((folder / "config.json").read_text()))
        policy._catalogue = lessons.catalogue
        policy._prior = Prior.load(folder, lessons)
        return policy

    def decide(self, belief: BeliefView, turn: int, k: int = 10) -> Action:
        """See `contracts.Policy`; from the last turn of the horizon on it always recommends."""
        probabilities = belief.probabilities
        remaining = max(1, self.config.horizon - turn)
        question = best_question(belief, self.config.noise)
        if question is not None and remaining > 1:
            attribute, gain = question
            now = _mass(probabilities, k * remaining)
            if self._mass_after(belief, attribute, k * (remaining - 1)) > now:
                return Ask((attribute,), gain)
        with np.errstate(divide="ignore"):
            best = top_positions(np.log(probabilities), k)
        return Recommend(tuple(str(item) for item in belief.catalogue.index.ids[best]))

    def _mass_after(self, belief: BeliefView, attribute: str, reach: int) -> float:
        """Expected mass of the `reach` most probable items once `attribute` is answered."""
        noise = self.config.noise
        yes = belief.probabilities * np.float32(noise)
        having = items_with(belief.catalogue, attribute)
        yes[having] = belief.probabilities[having] * np.float32(1 - noise)
        # Joint with the answer, so the two masses need no normalisation: P(yes) P(top | yes) + P(no) P(top | no).
        return _mass(yes, reach) + _mass(belief.probabilities - yes, reach)


def information_gains(belief: BeliefView, noise: float) -> NDArray[np.float32]:
    """Expected reduction (m,) of the entropy in bits by an answer on each attribute; 0 for those already asked."""
    catalogue = belief.catalogue
    having = np.clip(catalogue.matrix_t @ belief.probabilities, 0, 1)
    gains = _entropy(having * (1 - noise) + (1 - having) * noise) - _entropy(np.float32(noise))
    known = catalogue.attributes.positions((*belief.asked, *belief.accepted))
    gains[known[known >= 0]] = 0
    return np.maximum(gains, 0).astype(np.float32)


def best_question(belief: BeliefView, noise: float) -> tuple[str, float] | None:
    """The attribute with the largest gain and its bits, ties by catalogue order; None where no question tells."""
    gains = information_gains(belief, noise)
    if not gains.size or gains.max() < _LEAST_GAIN:
        return None
    best = int(gains.argmax())
    return str(belief.catalogue.attributes.ids[best]), float(gains[best])


def _entropy(p: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    p = np.clip(p, 1e-12, 1 - 1e-7)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def _mass(weights: NDArray[np.float32], count: int) -> float:
    if count >= len(weights):
        return float(weights.sum(dtype=np.float64))
    return float(-np.partition(-weights, count)[:count].sum(dtype=np.float64))
