"""The belief planner: asks and recommends by what is left of the conversation.

Before each action it compares the value of a list now with that of each of the best questions, every one followed by
the best plan of further questions and lists (`lookahead`). The belief takes a no as evidence and trusts no answer
fully, so a plan that went wrong is made anew from what is believed after it.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from llmrec.agents.conversation.belief import NOISE, Belief, top_positions
from llmrec.agents.conversation.policies.lessons import Ground, Lessons, begin
from llmrec.agents.conversation.policies.lookahead import Likely, values
from llmrec.agents.conversation.policies.prior import Prior, PriorKind
from llmrec.agents.conversation.policies.questions import LEAST_GAIN, gain, incidences, listing
from llmrec.agents.conversation.policies.rehearsal import talk
from llmrec.contracts import Action, Ask, BeliefView, Config, Progress, no_progress
from llmrec.data.catalogue import Catalogue
from llmrec.retrieval.graph import AttributeGraph

_SURE = 1e-6
"""Items with less than this share of the largest probability are left out of plans."""
_SINGLE, _ROWS = 150, 400
"""Items that a plan looks at one by one; rows in all, of which each further one stands for several items."""
_ATTRIBUTES = 64
"""Attributes that a plan may ask about: those that divide the probability best."""
_COUNTED = 20_000
"""Items over which the probability of an attribute is summed; of more, a systematic sample."""
_WORTH_OFFERING = 0.05
"""Probability that a further choice adds at least."""
_COSTS = (0.0, 0.03, 0.06, 0.1)
"""Question costs that rehearsals choose from."""
_TELLS = 0.015
"""Share by which rehearsals must be shorter for a cost to be preferred to a lower one: less is chance."""
_REHEARSALS = 200
"""Dialogues that a question cost is judged by."""
_PROBES = 20
"""Attributes that each person is asked about to learn the rate of wrong answers."""


class PlannerConfig(Config):
    """Settings of the planner. What is None is learnt, or has its default where nothing is."""

    prior: PriorKind = "graph"
    """What is believed of a user at the start; see `prior.Prior`."""
    noise: float | None = Field(default=None, ge=0, le=0.5)
    """Rate of wrong answers to expect."""
    changes: tuple[float, ...] | None = None
    """Probability that a person changes their mind before the 1st, 2nd, ... action."""
    question_cost: float | None = Field(default=None, ge=0, lt=1)
    """Share of a plan's value that each question loses: impatience, and what wrong answers spoil."""
    success: float = Field(default=5.0, ge=0)
    """What it is worth to find the item at all, in actions saved: more favours success, less favours speed."""
    negative: bool = True
    """Whether a no is evidence against the items that have the attribute."""
    depth: int = Field(default=14, ge=1)
    """Questions in a row that a plan may have."""
    questions: int = Field(default=3, ge=1)
    """Questions that are compared before each action."""
    choices: int = Field(default=1, ge=1)
    """Attributes that are offered at once while none has been accepted; simulated people are asked about one."""
    reachable: bool = False
    """Whether to ask only about attributes one step from the one accepted last (see `graph.AttributeGraph`)."""
    horizon: int = Field(default=15, ge=2)
    """Turns after which a person leaves (15 in the benchmark, with the opening)."""


class Planner:
    """See the module. Satisfies `lessons.Learner`; without lessons it is ready for beliefs that others begin."""

    needs_lessons: ClassVar[bool] = False
    config_type: ClassVar[type[Config]] = PlannerConfig

    def __init__(self, config: PlannerConfig | None = None) -> None:
        self.config = config or PlannerConfig()
        self.noise = NOISE if self.config.noise is None else self.config.noise
        self.changes = self.config.changes or ()
        self.cost = self.config.question_cost or 0.0
        self._graph: AttributeGraph | None = None

    # --- Learning -----------------------------------------------------------------------------------------------------

    def learn(self, lessons: Lessons, progress: Progress = no_progress) -> Self:
        """The prior, the rate of wrong answers, when minds change, the question cost that makes rehearsals shortest."""
        self._see(lessons)
        self._prior = Prior(self.config.prior).learn(lessons, progress)
        if self.config.noise is None:
            self.noise = wrong_answers(lessons)
        if self.config.changes is None:
            self.changes = mind_changes(lessons)
        if self.config.question_cost is None:
            people = lessons.people[:_REHEARSALS]
            turns = []
            for done, self.cost in enumerate(_COSTS):
                progress("question cost", done, len(_COSTS))
                successes = [talk(self, person, begin(self, lessons, person)).success for person in people]
                turns.append(sum(action or self.config.horizon for action in successes))
            enough = min(turns) * (1 + _TELLS)
            self.cost = next(cost for cost, taken in zip(_COSTS, turns, strict=True) if taken <= enough)
        return self

    def begin(self, user: str | None) -> Belief:
        """See `lessons.Learner`."""
        return Belief.start(
            self._catalogue,
            self._prior.log(user),
            noise=self.noise,
            negative=self.config.negative,
            changes=self.changes,
            user=user,
        )

    def save(self, folder: Path) -> None:
        """See `lessons.Learner`."""
        learnt = self.config.model_copy(
            update={"noise": self.noise, "changes": self.changes, "question_cost": self.cost}
        )
        (folder / "config.json").write_text(learnt.model_dump_json())
        self._prior.save(folder)

    @classmethod
    def load(cls, folder: Path, ground: Ground) -> Self:
        """See `lessons.Learner`."""
        policy = cls(PlannerConfig.model_validate_json((folder / "config.json").read_text()))
        policy._see(ground)
        policy._prior = Prior.load(folder, ground)
        return policy

    def _see(self, ground: Ground) -> None:
        self._catalogue, self._graph = ground.catalogue, ground.graph

    # --- Deciding -----------------------------------------------------------------------------------------------------

    def decide(self, belief: BeliefView, turn: int, k: int = 10) -> Action:
        """See `contracts.Policy`; from the last turn of the horizon on it always recommends."""
        live = belief.live
        weights = belief.live_probabilities.astype(np.float64)
        counting = weights > _SURE * weights.max(initial=0)
        live, weights = live[counting], weights[counting]
        best = top_positions(weights, _SINGLE)
        recommend = listing(belief.catalogue, live[best[:k]])
        left = self.config.horizon - 1 - turn
        if left < 1 or len(live) <= k:
            return recommend
        columns, having = self._questions(belief, live, weights, best)
        if not columns.size:
            return recommend
        likely = _likely(belief.catalogue, live, weights, best, columns)
        rows = np.arange(len(likely.weights))
        asked = range(min(self.config.questions, len(columns)))
        roots = [rows[k:]]
        for question in asked:
            roots += [rows[likely.having[:, question]], rows[~likely.having[:, question]]]
        success = self.config.success
        value = values(likely, roots, left, k, self.cost, self.config.depth - 1, success)
        now = (left + 1 + success) * weights[best[:k]].sum() + value[0]
        then = (1 - self.cost) * (value[1::2] + value[2::2])
        question = int(then.argmax())
        if then[question] <= now:
            return recommend
        bits = gain(having[question : question + 1] / weights.sum(), self.noise)
        offered = _choice(likely, question, 1 if belief.accepted else self.config.choices)
        return Ask(tuple(str(name) for name in belief.catalogue.attributes.ids[columns[offered]]), float(bits[0]))

    def _questions(
        self, belief: BeliefView, live: NDArray[np.int64], weights: NDArray[np.float64], best: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The columns of the attributes worth asking about, best first, and the probability that has each."""
        catalogue = belief.catalogue
        order, starts, counts = _grouped(len(live), best, _COUNTED)
        masses = np.add.reduceat(weights[order], starts)
        places, entries = incidences(catalogue, live[order[starts + counts // 2]])
        having = np.bincount(entries, masses[places], len(catalogue.attributes)).astype(np.float64)
        known = catalogue.attributes.positions((*belief.asked, *belief.accepted))
        having[known[known >= 0]] = 0
        if self.config.reachable and self._graph is not None and belief.accepted:
            candidates = np.zeros(len(catalogue), bool)
            candidates[live] = True
            having[~self._graph.reachable(belief.accepted[-1], candidates, belief.user)] = 0
        total = weights.sum()
        halves = np.minimum(having, total - having)
        best = top_positions(halves, _ATTRIBUTES)
        best = best[gain(having[best] / total, self.noise) >= LEAST_GAIN]
        return best, having[best]


class ChoicePlanner(Planner):
    """The planner for people: it opens with a choice of three rather than a yes or no."""

    def __init__(self, config: PlannerConfig | None = None) -> None:
        super().__init__(config or PlannerConfig(choices=3))


def wrong_answers(lessons: Lessons) -> float:
    """The rate of wrong answers of `lessons.people`, asked about attributes of what they want and others; one wrong
    answer is added, so that it is never zero."""
    catalogue = lessons.catalogue
    rng = np.random.default_rng(0)
    wrong = answered = 1
    for person in lessons.people:
        wanted = catalogue.attributes_of(catalogue.index.position(person.wants()[0]))
        others = catalogue.attributes.ids[rng.integers(len(catalogue.attributes), size=_PROBES)]
        for attribute in {*wanted[:_PROBES], *map(str, others)} - {person.opening}:
            answer = person.answer(attribute, 1)
            if answer is not None:
                answered += 1
                wrong += answer != (attribute in wanted)
    return min(wrong / answered, 0.49)


def mind_changes(lessons: Lessons) -> tuple[float, ...]:
    """The share of `lessons.people` who want something else before each action than before; () where nobody does."""
    changed = np.zeros(lessons.actions)
    for person in lessons.people:
        wishes = [person.wants(action) for action in range(1, lessons.actions + 1)]
        changed[1:] += [before != after for before, after in pairwise(wishes)]
    shares = np.minimum(changed / max(len(lessons.people), 1), 0.99)
    return tuple(shares.tolist()) if shares.any() else ()


def _likely(
    catalogue: Catalogue,
    live: NDArray[np.int64],
    weights: NDArray[np.float64],
    best: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> Likely:
    """The live items with the attributes of `columns`: the `best` of them one by one, of the others a systematic sample
    where they are many."""
    order, starts, counts = _grouped(len(live), best, _ROWS)
    masses = np.add.reduceat(weights[order], starts)
    falling = np.argsort(-masses / counts, kind="stable")
    rows = live[order[starts + counts // 2]][falling]
    places, entries = incidences(catalogue, rows)
    place_of = np.full(len(catalogue.attributes), -1)
    place_of[columns] = np.arange(len(columns))
    asked = place_of[entries]
    having = np.zeros((len(rows), len(columns)), bool)
    having[places[asked >= 0], asked[asked >= 0]] = True
    return Likely(masses[falling], counts[falling], having)


def _choice(likely: Likely, question: int, count: int) -> list[int]:
    """The question and up to `count` - 1 others, each the one that most of what has none of those before it has."""
    chosen = [question]
    left = ~likely.having[:, question]
    while len(chosen) < count:
        masses = (likely.weights * left) @ likely.having
        best = int(masses.argmax())
        if masses[best] < _WORTH_OFFERING * likely.weights.sum():
            break
        chosen.append(best)
        left = left & ~likely.having[:, best]
    return chosen


def _grouped(
    count: int, best: NDArray[np.int64], rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """`count` items in about `rows` groups: an order in which `best` come first, each alone, the others as they are;
    where each group starts in it, and its size."""
    rest = np.ones(count, bool)
    rest[best] = False
    step = max(1, -(-(count - len(best)) // max(rows - len(best), 1)))
    starts = np.concatenate([np.arange(len(best)), np.arange(len(best), count, step)])
    return np.concatenate([best, np.flatnonzero(rest)]), starts, np.diff(np.append(starts, count))
