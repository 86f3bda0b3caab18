"""`bench decisions`: the time from an answer to the next action, and how it grows with the catalogue."""

from __future__ import annotations

import time
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from llmrec.agents.conversation.belief import Belief
from llmrec.agents.conversation.policies.lessons import Learner, begin
from llmrec.agents.conversation.policies.rehearsal import ACTIONS, LIST
from llmrec.contracts import Ask, Config, Policy, Progress, Row, no_progress
from llmrec.data import columns as c
from llmrec.data.catalogue import Catalogue
from llmrec.data.dataset import SCHEMAS
from llmrec.data.index import Index
from llmrec.evals.simulators import SIMULATORS, Pair, SimulatedPerson
from llmrec.evals.suites.conversation import ConversationSuite, Task, policy_of
from llmrec.workspace.build import peak_mb, reset_peak

_ATTRIBUTES, _OF_EACH = 5_000, 10
"""Attributes of the made catalogues, and draws for each item: few attributes are frequent, as in real ones."""
_LATE = 6
"""The action from which on decisions count as late."""

Times = list[tuple[int, float]]
"""Action, milliseconds."""


class DecisionsBench(Config):
    """Each policy talks to truthful people; timed is from an answer (the belief after it included) to the next action.

    On SOURCE, a data folder, after learning as `eval conversation` does; then on catalogues that are made, of several
    sizes, where nothing is known of anybody and openings are answers like others. `late_ms` is the median from the 6th
    action on.
    """

    name: ClassVar[str] = "decisions"

    policies: tuple[str, ...] = ("planner",)
    """Names of the entry-point group llmrec.policies."""
    pairs: int = Field(200, ge=1)
    """Dialogues on SOURCE."""
    items: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    """Sizes of the made catalogues."""
    dialogues: int = Field(20, ge=1)
    """Dialogues on each."""
    lessons: int = Field(300, ge=1)
    """Validation dialogues to learn from on SOURCE."""
    seed: int = 0

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """A row for each policy on SOURCE, then one for each policy and size."""
        rows = []
        if source:
            suite = ConversationSuite(pairs=self.pairs, lessons=self.lessons, seed=self.seed)
            task = Task(suite, source)
            rows += [self._on_source(name, task, progress) for name in self.policies]
        for size in self.items:
            reset_peak()
            catalogue = _made(size, self.seed)
            for name in self.policies:
                progress(f"{name} on {size:,} items", 0, self.dialogues)
                rows.append(self._on_made(name, catalogue))
        return rows

    def _on_source(self, name: str, task: Task, progress: Progress) -> Row:
        reset_peak()
        policy = policy_of(name, {})
        if isinstance(policy, Learner):
            policy.learn(task.lessons, progress)
        times: Times = []
        for done, pair in enumerate(task.pairs):
            progress(name, done, len(task.pairs))
            person = task.person(pair)
            times += _talk(policy, person, begin(policy, task.lessons, person))
        return _row(name, times, task.catalogue, f"{task.name}, {len(task.pairs)} test pairs")

    def _on_made(self, name: str, catalogue: Catalogue) -> Row:
        rng = np.random.default_rng(self.seed)
        prior = rng.normal(0, 2, len(catalogue)).astype(np.float32)
        policy = policy_of(name, {})
        times: Times = []
        for number in range(self.dialogues):
            target = str(catalogue.index.ids[rng.integers(len(catalogue))])
            person = SimulatedPerson(SIMULATORS["published"], catalogue, Pair(number, "", target), self.seed)
            times += _talk(policy, person, Belief.start(catalogue, prior).accept(person.opening))
        return _row(f"{name}, {len(catalogue):,} items", times, catalogue, f"made, {self.dialogues} dialogues")


def _talk(policy: Policy, person: SimulatedPerson, belief: Belief) -> Times:
    """As `rehearsal.talk`, timed, and going on after a success: what is timed should not depend on luck."""
    times: Times = []
    started = time.perf_counter()
    for action in range(1, ACTIONS + 1):
        decision = policy.decide(belief, action, LIST)
        times.append((action, 1000 * (time.perf_counter() - started)))
        asked = decision.attributes[0] if isinstance(decision, Ask) else ""
        answer = person.answer(asked, action) if asked else None
        started = time.perf_counter()
        if isinstance(decision, Ask):
            belief = belief.answer(asked, answer)
        else:
            belief = belief.turn_down(tuple(item for item in decision.items if item != person.pair.target))
    return times


def _row(name: str, times: Times, catalogue: Catalogue, what: str) -> Row:
    all_ = np.array([ms for _, ms in times])
    p50, p99 = np.percentile(all_, [50, 99])
    return Row(
        name,
        "ours",
        metrics={
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "first_ms": float(np.median([ms for action, ms in times if action == 1])),
            "late_ms": float(np.median([ms for action, ms in times if action >= _LATE])),
            "per_second": 1000 * len(all_) / float(all_.sum()),
            "peak_mb": peak_mb(),
        },
        protocol=f"{what}; {len(catalogue):,} items, {len(catalogue.attributes):,} attributes, "
        f"{catalogue.matrix.nnz:,} pairs of both",
    )


def _made(items: int, seed: int) -> Catalogue:
    """Items with about ten attributes each; the r-th most frequent one has a share in proportion to 1 / (r + 5)."""
    rng = np.random.default_rng(seed)
    shares = np.cumsum(1 / (np.arange(_ATTRIBUTES) + 6))
    drawn = np.searchsorted(shares / shares[-1], rng.random(items * _OF_EACH)).astype(np.int32)
    matrix = sparse.csr_matrix(
        (np.ones(len(drawn), np.float32), drawn, np.arange(0, len(drawn) + 1, _OF_EACH)), shape=(items, _ATTRIBUTES)
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return Catalogue(_facts(np.arange(items)), Index(f"attribute {n}" for n in range(_ATTRIBUTES)), matrix)


def _facts(numbers: NDArray[np.int64]) -> pl.DataFrame:
    names = pl.Series(c.ITEM, numbers).cast(pl.String)
    empty: dict[str, object] = {c.TITLE: "", c.DESCRIPTION: "", c.BRAND: "", c.PRICE: None, c.YEAR: None}
    types = SCHEMAS[c.ITEMS_FILE]
    return names.to_frame().with_columns(
        *(pl.lit(value, types[name]).alias(name) for name, value in empty.items()),
        pl.lit(True).alias(c.AVAILABLE),
    )
