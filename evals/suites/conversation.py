"""`eval conversation`: policies in dialogues with simulated people who want a held-out item."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
from pydantic import Field, ValidationError, field_validator
from threadpoolctl import threadpool_limits

from llmrec import plugins
from llmrec.agents.conversation.policies.lessons import Learner, Lessons, begin
from llmrec.agents.conversation.policies.rehearsal import ACTIONS, Dialogue, talk
from llmrec.agents.conversation.say import Vocabulary
from llmrec.contracts import Config, Policy, Progress, Row, no_progress
from llmrec.data import columns as c
from llmrec.data.catalogue import Catalogue
from llmrec.data.facets import derive_facets
from llmrec.data.splits import Method, split
from llmrec.errors import UserError
from llmrec.evals import metrics, published
from llmrec.evals.simulators import SIMULATORS, Pair, SimulatedPerson, language, pairs_of, readable
from llmrec.evals.source import read_source
from llmrec.evals.suites.topn import read_json
from llmrec.language.engines import open_engine
from llmrec.retrieval.graph import AttributeGraph

STEPS = ACTIONS + 1
_BASELINES = ("abs-greedy", "max-entropy", "scpr")
_PLANNER = "planner"
_ABLATIONS: dict[str, dict[str, Any]] = {
    "prior of popularity": {"prior": "popularity"},
    "prior of EASE": {"prior": "ease"},
    "prior of iALS": {"prior": "ials"},
    "a no says nothing": {"negative": False},
    "look-ahead 1": {"depth": 1},
    "look-ahead 2": {"depth": 2},
    "look-ahead 4": {"depth": 4},
    "reachable attributes": {"reachable": True},
}
"""What a row of `--ablations` changes in the planner."""
_CURVE = "SR by action"
_DONE = "learnt"
"""The file that says that a folder is whole."""
_BATCH = 50
"""Dialogues that a process takes at a time."""

SimulatorName = Literal[
    "published", "noise-5", "noise-10", "noise-20", "dont-care", "changed-mind", "several", "language-model"
]
Settings = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Entrant:
    """A policy that is measured."""

    label: str
    name: str
    """In the entry-point group llmrec.policies."""
    settings: dict[str, Any]

    def policy(self) -> Policy:
        """A new one; `UserError` for settings that it does not take."""
        return policy_of(self.name, self.settings)

    def config(self) -> str:
        """All its settings as JSON; "" for a policy without any."""
        config = getattr(self.policy(), "config", None)
        return config.model_dump_json() if isinstance(config, Config) else ""


def policy_of(name: str, settings: dict[str, Any]) -> Policy:
    """A new policy of the entry-point group; `UserError` for settings that it does not take."""
    kind = plugins.load("llmrec.policies", name)
    if not settings:
        return cast(Policy, kind())
    try:
        return cast(Policy, kind(kind.config_type(**settings)))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{name} cannot take the setting {place}: {first['msg']}") from None


class ConversationSuite(Config):
    """Each policy talks to a simulated person for each held-out (user, item): the person names one attribute of the
    item, then come 14 actions, each one question about an attribute or ten recommended items.

    Priors, embeddings and the graph are fitted on train, what a policy learns beyond on validation dialogues with the
    same simulator and candidates. `SR@t`: success at an action k <= t; `AT`: mean k, failures counting 15.
    """

    name: ClassVar[str] = "conversation"

    policies: tuple[str, ...] = ("abs-greedy", "max-entropy", "planner")
    """Names of the entry-point group llmrec.policies."""
    simulator: SimulatorName = "published"
    """published, noise-5, noise-10, noise-20, dont-care, changed-mind, several, or language-model (see --llm)."""
    llm: str = ""
    """The URI of the language model that plays people; policies learn from published ones then."""
    candidates: Literal["all", "unseen"] = "all"
    """Whether the user's train items stay among the candidates (all, as published) or not (unseen)."""
    pairs: int = Field(default=0, ge=0)
    """How many held-out pairs, drawn at random; 0 for all."""
    target: Literal["test", "valid"] = "test"
    """Which pairs: test, or valid to choose settings by (half of the users is learnt from, the other measured)."""
    split: Method | None = None
    """given, random-by-user, ...; by default given where the data has a split, else random-by-user."""
    settings: Settings = Field(default_factory=dict)
    """JSON, settings by policy: '{"planner": {"prior": "ials"}}'."""
    lessons: int = Field(default=1000, ge=1)
    """Validation dialogues to learn from, drawn at random."""
    processes: int = Field(default=1, ge=1)
    """Processes that dialogues are spread over."""
    ablations: bool = False
    """Whether to measure the planner without each of its parts, too."""
    learnt: str = ""
    """A folder to keep what policies learn, so that the same settings learn once."""
    dialogues: str = ""
    """A file to write every dialogue into, as JSON lines, for reading."""
    samples: int = Field(default=1000, gt=0)
    """Bootstrap samples of users behind each 95% interval."""
    seed: int = 0
    """Of the split, the simulated people, the drawn pairs and the intervals."""

    _json = field_validator("settings", mode="before")(read_json)

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """A row for each policy, and the published ones where they are comparable."""
        with closing(Task(self, source)) as task:
            return self._rows(source, task, progress)

    def _rows(self, source: str, task: Task, progress: Progress) -> list[Row]:
        rows, told = [], []
        for entrant in self._entrants():
            started = time.perf_counter()
            with self._learnt(entrant, task, progress) as folder:
                learnt = time.perf_counter() - started
                dialogues = _talks(self, source, task, entrant, folder, progress)
            told += [(entrant.label, dialogue) for dialogue in dialogues]
            rows.append(self._row(entrant, dialogues, task, learnt))
        if self.dialogues:
            _write(Path(self.dialogues), told, task)
        if self.simulator == "published" and self.candidates == "all" and self.target == "test":
            rows += published.path_reasoning(task.name)
        return rows

    def _entrants(self) -> list[Entrant]:
        entrants = [Entrant(name, name, self.settings.get(name, {})) for name in self.policies]
        if self.ablations:
            own = self.settings.get(_PLANNER, {})
            entrants += [Entrant(f"{_PLANNER}, {what}", _PLANNER, own | change) for what, change in _ABLATIONS.items()]
        return entrants

    @contextmanager
    def _learnt(self, entrant: Entrant, task: Task, progress: Progress) -> Iterator[Path]:
        """A folder with what the policy has learnt, empty where it does not learn."""
        policy = entrant.policy()

        def told(what: str, done: int, total: int) -> None:
            progress(f"{entrant.label}: {what}", done, total)

        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(self.learnt, task.key(entrant)) if self.learnt else Path(temporary)
            if isinstance(policy, Learner) and not (folder / _DONE).exists():
                shutil.rmtree(folder, ignore_errors=True)  # what was cut off
                folder.mkdir(parents=True)
                policy.learn(task.lessons, told).save(folder)
                (folder / _DONE).touch()
            yield folder

    def _row(self, entrant: Entrant, dialogues: Sequence[Dialogue], task: Task, learnt: float) -> Row:
        actions = np.array([dialogue.success for dialogue in dialogues])
        ranks = np.array([dialogue.rank for dialogue in dialogues])
        users = [dialogue.user for dialogue in dialogues]
        values = {
            **{metrics.at(metrics.SR, t): metrics.success_rate(actions, t) for t in (5, 10, 15)},
            metrics.AT: metrics.average_turn(actions, STEPS),
            metrics.HDCG: metrics.hierarchical_dcg(actions, ranks),
        }
        decisions = [1000 * step.seconds for dialogue in dialogues for step in dialogue.steps]
        return Row(
            entrant.label,
            "floor" if entrant.name in _BASELINES else "ours",
            metrics={
                **{key: float(value.mean()) for key, value in values.items()},
                "pairs": len(dialogues),
                "decision_ms": float(np.median(decisions)),
            },
            protocol=f"{self.simulator} simulator, {self.target} pairs of the {task.method} split, candidates "
            f"{self.candidates}, learnt in {learnt:.0f} s from {len(task.lessons.people):,} validation dialogues, "
            f"settings {entrant.config() or '{}'}",
            fit_on=c.TRAIN,
            intervals={
                key: metrics.interval_over_users(value, users, self.seed, self.samples) for key, value in values.items()
            },
            seconds=sum(decisions) / 1000,
            curves={_CURVE: [float(metrics.success_rate(actions, t).mean()) for t in range(1, ACTIONS + 1)]},
        )


class Task:
    """Who is talked to, and what may be learnt from before."""

    def __init__(self, options: ConversationSuite, source: str) -> None:
        dataset = derive_facets(read_source(source))
        given = len(dataset.interactions) and not dataset.interactions[c.SPLIT].null_count()
        self.options = options
        self.name = dataset.name
        self.method: Method = options.split or ("given" if given else "random-by-user")
        self.catalogue = Catalogue.from_dataset(dataset)
        self._parts = split(dataset, self.method, seed=options.seed)
        if not len(self.catalogue.attributes):
            raise UserError(f"the items of {dataset.name} have no attributes to ask about: add some to its items file")

    @cached_property
    def pairs(self) -> list[Pair]:
        """The held-out pairs to measure on."""
        users = self._halves[1] if self.options.target == "valid" else None
        return self._pairs(self.options.target, self.options.pairs, users)

    def person(self, pair: Pair) -> SimulatedPerson:
        """Who wants the target of `pair`."""
        if self.options.simulator == language.NAME:
            return language.LanguagePerson(self._player, self.catalogue, pair, self.options.seed)
        return SimulatedPerson(SIMULATORS[self.options.simulator], self.catalogue, pair, self.options.seed)

    @cached_property
    def _player(self) -> language.Player:
        engine = open_engine(self.options.llm)
        if engine is None:
            raise UserError("people are played by no language model yet: name one with --llm, such as openai:URL#MODEL")
        return language.Player(engine, Vocabulary.of(self.name, self.catalogue))

    def close(self) -> None:
        """Let go of the language model, where there is one."""
        if "_player" in self.__dict__:
            self._player.close()

    @cached_property
    def lessons(self) -> Lessons:
        """Train interactions and validation dialogues."""
        train = self._parts.fit("train")
        users = self._halves[0] if self.options.target == "valid" else None
        pairs = self._pairs("valid", self.options.lessons, users)
        simulator = SIMULATORS.get(self.options.simulator, SIMULATORS["published"])
        people = [SimulatedPerson(simulator, self.catalogue, pair, self.options.seed) for pair in pairs]
        graph = AttributeGraph.build(train, self.catalogue)
        return Lessons(self.catalogue, graph, train, people, ACTIONS, self.options.candidates == "unseen")

    def key(self, entrant: Entrant) -> str:
        """A name for what a policy learns here, other settings giving another one."""
        o = self.options
        half = o.target == "valid"
        parts = (self._parts.dataset.fingerprint(), self.method, o.seed, o.simulator, o.candidates, o.lessons, half)
        digest = hashlib.sha256(repr((*parts, entrant.config())).encode()).hexdigest()
        return f"{entrant.name}-{digest[:16]}"

    @cached_property
    def _halves(self) -> tuple[set[str], set[str]]:
        """Where validation pairs are measured: whose are learnt from, whose are measured."""
        users = sorted(self._parts.targets("valid", "train"))
        first = np.random.default_rng(self.options.seed).permutation(len(users))[: len(users) // 2]
        learning = {users[at] for at in first}
        return learning, set(users) - learning

    def _pairs(self, part: Literal["valid", "test"], count: int, users: set[str] | None) -> list[Pair]:
        index, attributes = self.catalogue.index, np.diff(self.catalogue.matrix.indptr)
        targets = {
            user: [item for item in items if attributes[index.position(item)]]
            for user, items in self._parts.targets(part, "train").items()
            if users is None or user in users
        }
        pairs = pairs_of(targets, count, self.options.seed)
        if not pairs:
            raise UserError(f"the {self.method} split of {self.name} leaves no item with attributes in {part}")
        return pairs


# --- Talking, in one process or several -------------------------------------------------------------------------------


class _Talker:
    """A policy that has learnt, and the task."""

    def __init__(self, task: Task, entrant: Entrant, folder: Path) -> None:
        self._task = task
        self._policy = entrant.policy()
        if isinstance(self._policy, Learner):
            self._policy = type(self._policy).load(folder, task.lessons)

    def talk(self, pairs: Sequence[Pair]) -> list[Dialogue]:
        """A dialogue for each pair."""
        people = [self._task.person(pair) for pair in pairs]
        return [talk(self._policy, person, begin(self._policy, self._task.lessons, person)) for person in people]


def _talks(
    options: ConversationSuite, source: str, task: Task, entrant: Entrant, folder: Path, progress: Progress
) -> list[Dialogue]:
    batches = [task.pairs[start : start + _BATCH] for start in range(0, len(task.pairs), _BATCH)]
    dialogues: list[Dialogue] = []
    if options.processes == 1:
        talker = _Talker(task, entrant, folder)
        for batch in batches:
            progress(entrant.label, len(dialogues), len(task.pairs))
            dialogues += talker.talk(batch)
        return dialogues
    # New processes rather than forks, because the libraries below have threads that do not survive one.
    with ProcessPoolExecutor(
        options.processes, get_context("spawn"), _open_worker, (options.model_dump(), source, entrant, str(folder))
    ) as pool:
        for talked in pool.map(_talk_in_worker, batches):
            dialogues += talked
            progress(entrant.label, len(dialogues), len(task.pairs))
    return dialogues


_talker: _Talker
"""Of a worker process."""


def _open_worker(options: dict[str, Any], source: str, entrant: Entrant, folder: str) -> None:
    global _talker
    _talker = _Talker(Task(ConversationSuite(**options), source), entrant, Path(folder))


def _talk_in_worker(pairs: Sequence[Pair]) -> list[Dialogue]:
    with threadpool_limits(1):
        return _talker.talk(pairs)


def _write(file: Path, told: Sequence[tuple[str, Dialogue]], task: Task) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", encoding="utf-8") as out:
            for label, dialogue in told:
                line = {"policy": label, **readable(dialogue, task.catalogue, task.lessons.graph)}
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}; choose another --dialogues file") from error
