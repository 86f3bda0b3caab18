"""`eval understanding`: messages with their acts, written by people who did not see the code."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation.understanding import Source, Understanding, Understood
from llmrec.agents.conversation.understanding.learnt import ADAPTER
from llmrec.contracts import Config, Engine, Progress, Row, no_progress
from llmrec.data.catalogue import Catalogue
from llmrec.data.facets import derive_facets
from llmrec.data.read import read_dataset
from llmrec.errors import DataError, UserError
from llmrec.evals import metrics
from llmrec.language.engines import open_engine
from llmrec.settings import Settings

ACT_ACCURACY: Final = "act_accuracy"
ATTRIBUTE_F1: Final = "attribute_f1"
PACKAGED: Final = Path(__file__).resolve().parent.parent / "understanding"
HALVES: Final = ("development", "held-out")
_ATTRIBUTES = ("accept", "reject", "dont_care")
_ITEMS = ("like_item", "seen", "more_like")
_KINDS = frozenset(kind.value for kind in ActKind)
_TRUE = frozenset(("true", "yes", "y"))

Answer = tuple[str, str]
"""(act, linked value), folded."""


@dataclass(frozen=True)
class Utterance:
    """One annotated message."""

    dataset: str
    text: str
    acts: tuple[tuple[str, str | None], ...]
    """(kind, value as annotated)."""
    asked: str | None = None
    shown: tuple[str, ...] = ()
    """Titles."""
    tags: tuple[str, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(kind for kind, _ in self.acts)


@dataclass(frozen=True)
class Score:
    """One message: was the set of acts right, and how many linked values were (right, too many, missing)."""

    exact: bool
    right: int
    extra: int
    missing: int
    seconds: float
    source: Source


class UnderstandingSuite(Config):
    """Acts count where the set of kinds matches exactly (`act_accuracy`); values by micro-F1 (`attribute_f1`).

    Values of accept, reject, dont_care, like_item, seen and more_like are compared without case, "facet: value" by
    its value; a missing value of an answer is the attribute asked. Those of the other acts need not match.

    The source is `development` or `held-out` (the packaged halves), a file of JSON lines, or the folder of one
    dataset (its packaged development utterances).
    """

    name: ClassVar[str] = "understanding"

    data: Path = Path("../shared/data")
    """The folder that holds the datasets."""
    llm: str | None = None
    """As in the settings, which it overrides; with an engine there is a row `language-model`."""
    adapter: Path | None = None
    """Folder of an adapter for that model, from `llmrec train understanding`: then it reads clauses by it."""
    details: bool = True
    """Also rows for each dataset, act and tag."""
    samples: int = Field(default=1000, gt=0)
    """Resamples of the messages behind each 95% interval."""
    seed: int = 0

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """The rows `rules`, where an engine is set `language-model`, and behind them the details of each."""
        utterances = self._utterances(source)
        catalogues = {name: self._catalogue(name) for name in dict.fromkeys(u.dataset for u in utterances)}
        settings = Settings.load(None, {} if self.llm is None else {"llm": self.llm})
        engines: dict[Source, Engine | None] = {"rules": None}
        if settings.llm:
            adapters = None if self.adapter is None else _OneAdapter(self.adapter)
            engines["language-model"] = open_engine(settings.llm, timeout=settings.llm_timeout, adapters=adapters)
        rows: list[Row] = []
        details: list[Row] = []
        for name, engine in engines.items():
            adapter = ADAPTER if engine is not None and self.adapter is not None else None
            scores = asyncio.run(_measure(utterances, catalogues, engine, settings.llm_timeout, adapter, progress))
            rows.append(self._row(name, scores, scores))
            if self.details:
                details += self._details(name, utterances, scores)
        return rows + details

    def _utterances(self, source: str) -> list[Utterance]:
        if source in HALVES:
            return read_utterances(PACKAGED / f"{source}.jsonl")
        path = Path(source)
        if path.is_dir():
            name = path.resolve().name
            found = [u for u in read_utterances(PACKAGED / "development.jsonl") if u.dataset == name]
            if not found:
                raise UserError(f"no packaged utterance is about {name}: name a file of JSON lines instead")
            return found
        if not path.is_file():
            raise UserError(
                f"there is no {source}: name {', '.join(HALVES)}, a dataset's folder or a file of JSON lines"
            )
        return read_utterances(path)

    def _catalogue(self, name: str) -> Catalogue:
        """The dataset's own attributes, all of them; derived ones only where it names none."""
        folder = self.data / name
        if not folder.is_dir():
            raise UserError(f"there is no dataset {name!r} in {self.data}: name the folder that holds it with --data")
        dataset = read_dataset(folder)
        catalogue = Catalogue.from_dataset(dataset)
        return catalogue if len(catalogue.attributes) else Catalogue.from_dataset(derive_facets(dataset))

    def _row(self, name: str, scores: Sequence[Score], of_all: Sequence[Score]) -> Row:
        milliseconds = np.array([score.seconds for score in scores]) * 1000
        exact = np.array([score.exact for score in scores], float)
        values = {ACT_ACCURACY: float(exact.mean())}
        intervals = {ACT_ACCURACY: metrics.interval(exact, self.seed, self.samples)}
        if any(score.right + score.extra + score.missing for score in scores):
            values[ATTRIBUTE_F1] = f1(scores)
            intervals[ATTRIBUTE_F1] = self._f1_interval(scores)
        values |= {"p50_ms": float(np.median(milliseconds)), "p99_ms": float(np.quantile(milliseconds, 0.99))}
        if name.startswith("language-model"):
            values["fallbacks"] = float(np.mean([score.source == "rules" for score in scores]))
        return Row(
            name,
            "floor" if name.startswith("rules") else "ours",
            metrics=values,
            protocol=f"{len(scores)} of {len(of_all)} messages; the set of acts must match, values by micro-F1",
            fit_on="hand-written examples",
            intervals=intervals,
            seconds=float(milliseconds.sum() / 1000),
        )

    def _f1_interval(self, scores: Sequence[Score]) -> tuple[float, float]:
        random = np.random.default_rng(self.seed)
        table = np.array([(score.right, score.extra, score.missing) for score in scores], float)
        drawn = table[random.integers(0, len(table), (self.samples, len(table)))].sum(axis=1)
        values = 2 * drawn[:, 0] / np.maximum(2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2], 1)
        low, high = np.quantile(values, (0.025, 0.975))
        return float(low), float(high)

    def _details(self, name: str, utterances: Sequence[Utterance], scores: Sequence[Score]) -> list[Row]:
        groups: dict[str, list[Score]] = defaultdict(list)
        for utterance, score in zip(utterances, scores, strict=True):
            for key in (utterance.dataset, *sorted(utterance.kinds), *utterance.tags):
                groups[key].append(score)
        order = [*dict.fromkeys(u.dataset for u in utterances), *(kind.value for kind in ActKind)]
        keys = sorted(groups, key=lambda key: (order.index(key) if key in order else len(order), key))
        return [self._row(f"{name}: {key}", groups[key], scores) for key in keys]


def read_utterances(file: Path) -> list[Utterance]:
    """The utterances of a file of JSON lines; `DataError` names the row of a malformed one."""
    found = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_utterance(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            reason = f"is no utterance ({error}): see docs/acts.md"
            raise DataError(reason, file=file.name, row=number) from None
    if not found:
        raise UserError(f"{file} has no utterances: write JSON lines as docs/acts.md says")
    return found


def _utterance(row: Mapping[str, Any]) -> Utterance:
    context = row.get("context") or {}
    acts = tuple((str(act[0]), str(act[1]) if len(act) > 1 and act[1] is not None else None) for act in row["acts"])
    unknown = {kind for kind, _ in acts} - _KINDS
    if unknown or not acts:
        raise ValueError(f"unknown act {unknown.pop()!r}" if unknown else "no acts")
    return Utterance(
        dataset=str(row["dataset"]),
        text=str(row["text"]),
        acts=acts,
        asked=context.get("asked"),
        shown=tuple(context.get("shown") or ()),
        tags=tuple(row.get("tags") or ()),
    )


@dataclass(frozen=True)
class _OneAdapter:
    """A source of the adapter `understand`."""

    folder: Path

    def resolve(self, name: str) -> Path | None:
        return self.folder if name == ADAPTER else None


async def _measure(
    utterances: Sequence[Utterance],
    catalogues: Mapping[str, Catalogue],
    engine: Engine | None,
    timeout_s: float,
    adapter: str | None,
    progress: Progress,
) -> list[Score]:
    readers = {
        name: Understanding(catalogue, engine, timeout=timeout_s, adapter=adapter)
        for name, catalogue in catalogues.items()
    }
    ids = {name: _ids_by_title(catalogue) for name, catalogue in catalogues.items()}
    scores = []
    try:
        for done, utterance in enumerate(utterances):
            progress("messages", done, len(utterances))
            by_title = ids[utterance.dataset]
            shown = [by_title.get(title.casefold(), "") for title in utterance.shown]
            if "" in shown:
                raise UserError(
                    f"{utterance.dataset} has no item {utterance.shown[shown.index('')]!r}: correct the file"
                )
            started = time.perf_counter()
            understood = await readers[utterance.dataset].understand(utterance.text, utterance.asked, shown)
            scores.append(score(utterance, understood, time.perf_counter() - started))
        progress("messages", len(utterances), len(utterances))
    finally:
        if engine is not None:
            await engine.aclose()
    return scores


def _ids_by_title(catalogue: Catalogue) -> dict[str, str]:
    ids: dict[str, str] = {}
    for title, item in zip(catalogue.titles, catalogue.index.ids, strict=True):
        ids.setdefault(title.casefold(), str(item))
    return ids


def score(utterance: Utterance, understood: Understood, seconds: float = 0.0) -> Score:
    """How one message was understood, against its annotation."""
    wanted = Counter(set(_gold(utterance)))
    given = Counter(set(_given(understood.acts)))
    right = sum((wanted & given).values())
    return Score(
        exact=utterance.kinds == {act.kind.value for act in understood.acts},
        right=right,
        extra=sum(given.values()) - right,
        missing=sum(wanted.values()) - right,
        seconds=seconds,
        source=understood.source,
    )


def f1(scores: Iterable[Score]) -> float:
    """Micro-F1 of the linked values; 0 where there are none."""
    right, extra, missing = map(sum, zip(*((s.right, s.extra, s.missing) for s in scores), strict=True))
    return 2 * right / max(2 * right + extra + missing, 1)


def _gold(utterance: Utterance) -> Iterable[Answer]:
    for kind, value in utterance.acts:
        if kind in _ATTRIBUTES:
            yield kind, fold_attribute(value or utterance.asked or "")
        elif kind in _ITEMS:
            yield kind, (value or "").casefold()


def _given(acts: Iterable[Act]) -> Iterable[Answer]:
    for act in acts:
        if act.kind.value in _ATTRIBUTES:
            yield act.kind.value, fold_attribute(act.value or "")
        elif act.kind.value in _ITEMS:
            yield act.kind.value, (act.value or "").casefold()


def fold_attribute(name: str) -> str:
    """What is compared of an attribute: "product colour: Black" and "cable colour: black" are both "black".

    Where the value says nothing by itself (true, a number) the facet counts as well.
    """
    folded = name.casefold().strip()
    _, separator, value = folded.partition(": ")
    alone = separator and value not in _TRUE and any(ch.isalpha() for ch in value) and value not in ("false", "no", "n")
    return value if alone else folded
