"""SCPR: simple conversational path reasoning.

Lei et al., Interactive Path Reasoning on Graph for Conversational Recommendation (KDD 2020). The walk on the graph
stands on the attribute accepted last and may only go on to attributes next to it; items and attributes are scored by
embeddings of the graph; a deep Q-network that sees the course of the conversation and the number of candidates says
whether to ask or to recommend. A no only keeps the walk from an attribute: it says nothing of the items.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from llmrec.agents.conversation.belief import Belief, top_positions
from llmrec.agents.conversation.policies.lessons import Ground, Lessons, Person, begin
from llmrec.agents.conversation.policies.q_network import QLearning, QNetwork, State
from llmrec.agents.conversation.policies.questions import LEAST_GAIN, candidates, gain, incidences, listing
from llmrec.agents.conversation.policies.rehearsal import LIST
from llmrec.contracts import Action, Ask, BeliefView, Config, Progress, no_progress
from llmrec.retrieval.graph.factorisation import Factorisation, FactorisationConfig

_STEPS = 15
"""Places of the state for what has been said; the opening takes the first."""
_BITS = 20
"""Binary places of the state for the number of candidates."""
_CODES = {"accept": 1, "reject": -1, "skip": -1, "turned_down": -2}
_ASK, _RECOMMEND = 0, 1
_ACCEPTED, _TURNED_DOWN, _YES, _NO, _IN_VAIN = 1.0, -0.1, 0.01, -0.1, -0.3
"""Rewards: an item is accepted, a list is turned down, an answer is yes, is no, the conversation ends in vain."""
_EXPLORING = (0.9, 0.05)
"""Probability of a random action at the beginning of the lessons, and what it falls to."""
_FALL = 5.0
"""How fast: it has lost all but exp(-5) of the way at the end."""


class ScprConfig(Config):
    """Settings of SCPR."""

    embeddings: FactorisationConfig = FactorisationConfig()
    episodes: int = Field(default=10_000, ge=1)
    """Conversations that the Q-network learns from, with the same people again and again."""
    seed: int = 0


class Scpr:
    """See above."""

    needs_lessons: ClassVar[bool] = True
    config_type: ClassVar[type[Config]] = ScprConfig
    config: ScprConfig
    _ground: Ground

    def __init__(self, config: ScprConfig | None = None) -> None:
        self.config = config or ScprConfig()

    # --- Learning -----------------------------------------------------------------------------------------------------

    def learn(self, lessons: Lessons, progress: Progress = no_progress) -> Self:
        """See `lessons.Learner`: the embeddings from the graph, the Q-network from conversations."""
        config = self.config
        self._ground = lessons
        self._embeddings = Factorisation(config.embeddings).fit(lessons.graph, progress)
        self._network = QNetwork(_STEPS + _BITS, config.seed)
        learning, rng = QLearning(self._network, config.seed), np.random.default_rng(config.seed)
        first, last = _EXPLORING
        for episode in range(config.episodes):
            if episode % 50 == 0:
                progress("conversations", episode, config.episodes)
                learning.slow_down(episode / config.episodes)
            exploring = last + (first - last) * np.exp(-_FALL * episode / config.episodes)
            person = lessons.people[int(rng.integers(len(lessons.people)))]
            self._episode(person, begin(self, lessons, person), lessons.actions, learning, exploring, rng)
        return self

    def _episode(
        self,
        person: Person,
        belief: Belief,
        actions: int,
        learning: QLearning,
        exploring: float,
        rng: np.random.Generator,
    ) -> None:
        moment = self._moment(belief)
        for action in range(1, actions + 1):
            ask = self._asks(moment) if rng.random() >= exploring else bool(rng.integers(2))
            decision = self._act(moment, ask, LIST)
            if isinstance(decision, Ask):
                answer = person.answer(decision.attributes[0], action)
                reward, found = _YES if answer else _NO, False
                belief = belief.answer(decision.attributes[0], answer)
            else:
                found = person.accepts(decision.items, action) > 0
                reward = _ACCEPTED if found else _TURNED_DOWN
                belief = belief.turn_down(decision.items)
            over = found or action == actions
            taken = _ASK if isinstance(decision, Ask) else _RECOMMEND
            if over:
                learning.saw(moment.state, taken, reward if found else _IN_VAIN, None)
                return
            before, moment = moment, self._moment(belief)
            learning.saw(before.state, taken, reward, moment.state)

    def begin(self, user: str | None) -> Belief:
        """See `lessons.Learner`: u.v is the log-prior of item v."""
        wish = self._embeddings.wish(self._user(user), np.empty(0, np.int64))
        catalogue = self._ground.catalogue
        prior = self._scores(wish, np.arange(len(catalogue)))
        return Belief.start(catalogue, prior, noise=0, negative=False, user=user)

    def save(self, folder: Path) -> None:
        """See `lessons.Learner`."""
        (folder / "config.json").write_text(self.config.model_dump_json())
        self._embeddings.save(folder)
        self._network.save(folder)

    @classmethod
    def load(cls, folder: Path, ground: Ground) -> Self:
        """See `lessons.Learner`."""
        policy = cls(ScprConfig.model_validate_json((folder / "config.json").read_text()))
        policy._ground = ground
        policy._embeddings = Factorisation.load(folder)
        policy._network = QNetwork.load(folder)
        return policy

    # --- Deciding -----------------------------------------------------------------------------------------------------

    def decide(self, belief: BeliefView, turn: int, k: int = 10) -> Action:
        """See `contracts.Policy`."""
        moment = self._moment(belief)
        return self._act(moment, self._asks(moment), k)

    def _moment(self, belief: BeliefView) -> _Moment:
        agreeing = candidates(belief)
        agreeing = agreeing if agreeing.size else belief.live
        state = np.zeros(_STEPS + _BITS, np.float32)
        said = [_CODES[exchange.kind] for exchange in belief.exchanges[-_STEPS:]]
        state[: len(said)] = said
        state[_STEPS:] = len(agreeing) >> np.arange(_BITS) & 1
        return _Moment(belief, agreeing, state)

    def _asks(self, moment: _Moment) -> bool:
        return int(self._network.values(moment.state).argmax()) == _ASK

    def _act(self, moment: _Moment, ask: bool, k: int) -> Action:
        """A question, if it is to be one and there is one; else the best items."""
        belief = moment.belief
        accepted = belief.catalogue.attributes.positions(belief.accepted)
        question = self._question(moment, accepted) if ask and moment.candidates.size else None
        if question is not None:
            return question
        # To the belief, which began as u.v, goes what the accepted attributes say of the items.
        items = moment.candidates
        scores = self._scores(self._embeddings.attributes[self._known(accepted)].sum(axis=0), items)
        with np.errstate(divide="ignore"):
            best = top_positions(np.log(belief.probabilities[items]) + scores, k)
        return listing(belief.catalogue, items[best])

    def _question(self, moment: _Moment, accepted: NDArray[np.int64]) -> Ask | None:
        """The reachable attribute with the largest entropy among candidates, each weighted by sigmoid(s)."""
        belief, graph, items = moment.belief, self._ground.graph, moment.candidates
        attributes = belief.catalogue.attributes
        wish = self._embeddings.wish(self._user(belief.user), self._known(accepted))
        weights = 1 / (1 + np.exp(-self._scores(wish, items)))
        places, columns = incidences(belief.catalogue, items)
        having = np.bincount(columns, weights[places], minlength=len(attributes))
        gains = gain(having / weights.sum(), 0.0)
        if accepted.size:
            among = np.zeros(len(graph.items), bool)
            among[items[items < len(among)]] = True
            reachable = graph.reachable(belief.accepted[-1], among, belief.user)
            gains[: len(reachable)][~reachable] = gains[len(reachable) :] = 0
        asked = attributes.positions((*belief.asked, *belief.accepted))
        gains[asked[asked >= 0]] = 0
        if not gains.size or gains.max() < LEAST_GAIN:
            return None
        best = int(gains.argmax())
        return Ask((str(attributes.ids[best]),), float(gains[best]))

    def _user(self, user: str | None) -> int:
        return -1 if user is None else self._ground.graph.users.position(user)

    def _known(self, attributes: NDArray[np.int64]) -> NDArray[np.int64]:
        return attributes[(attributes >= 0) & (attributes < len(self._embeddings.attributes))]

    def _scores(self, wish: NDArray[np.float32], items: NDArray[np.int64]) -> NDArray[np.float32]:
        """The product of a wish (d,) with each of `items` (c,); 0 for those that came after the lessons."""
        scores = np.zeros(len(items), np.float32)
        known = items < len(self._embeddings.items)
        scores[known] = self._embeddings.items[items[known]] @ wish
        return scores


@dataclass(frozen=True, eq=False)
class _Moment:
    """A belief as SCPR sees it."""

    belief: BeliefView
    candidates: NDArray[np.int64]
    """Items that have every accepted attribute and were not turned down; all that are left where no item has them."""
    state: State
    """(35,)"""
