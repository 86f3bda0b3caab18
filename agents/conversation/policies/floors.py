"""The two floors under every policy that plans: always recommend; ask what splits best until few are left.

Both are from the comparison of Lei et al., Estimation-Action-Reflection (WSDM 2020), which SCPR and UNICORN repeat: a
yes removes what lacks the attribute, a no says nothing. They stand on the same prior as the planner.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import ClassVar, Self

from llmrec.agents.conversation.belief import Belief
from llmrec.agents.conversation.policies.lessons import Ground, Lessons
from llmrec.agents.conversation.policies.prior import Prior, PriorKind
from llmrec.agents.conversation.policies.questions import best_question, candidates, recommend
from llmrec.contracts import Action, Ask, BeliefView, Config, Progress, no_progress


class FloorConfig(Config):
    """Settings of the floors."""

    prior: PriorKind = "graph"
    """What the scores come from."""
    actions: int = 14
    """The last action that a person waits for."""


class AbsGreedy:
    """Recommends the most probable items at every action (Christakopoulou et al., KDD 2016)."""

    needs_lessons: ClassVar[bool] = False
    config_type: ClassVar[type[Config]] = FloorConfig
    config: FloorConfig

    def __init__(self, config: FloorConfig | None = None) -> None:
        self.config = config or FloorConfig()

    def learn(self, lessons: Lessons, progress: Progress = no_progress) -> Self:
        """See `lessons.Learner`: fits the prior."""
        self._catalogue = lessons.catalogue
        self._prior = Prior(self.config.prior).learn(lessons, progress)
        return self

    def begin(self, user: str | None) -> Belief:
        """See `lessons.Learner`."""
        return Belief.start(self._catalogue, self._prior.log(user), noise=0, user=user, negative=False)

    def decide(self, belief: BeliefView, turn: int, k: int = 10) -> Action:
        """See `contracts.Policy`."""
        return recommend(belief, k)

    def save(self, folder: Path) -> None:
        """See `lessons.Learner`."""
        (folder / "config.json").write_text(self.config.model_dump_json())
        self._prior.save(folder)

    @classmethod
    def load(cls, folder: Path, ground: Ground) -> Self:
        """See `lessons.Learner`."""
        policy = cls(FloorConfig.model_validate_json((folder / "config.json").read_text()))
        policy._catalogue = ground.catalogue
        policy._prior = Prior.load(folder, ground)
        return policy


class MaxEntropy(AbsGreedy):
    """Asks the attribute that splits the probability of the candidates best; recommends by chance, with probability
    k / candidates, at the last action, and where no question is left."""

    def decide(self, belief: BeliefView, turn: int, k: int = 10) -> Action:
        """See `contracts.Policy`."""
        question = best_question(belief, 0.0)
        chance = zlib.crc32(repr((belief.user, belief.exchanges)).encode()) / 2**32  # alike for equal beliefs
        if question is None or turn >= self.config.actions or chance * len(candidates(belief)) < k:
            return recommend(belief, k)
        return Ask((question[0],), question[1])
