"""`eval topn`: top-N recommendation by full ranking of all items."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, field_validator

from llmrec import plugins
from llmrec.contracts import Config, Progress, Recommender, Row, no_progress
from llmrec.data.dataset import Dataset
from llmrec.data.splits import FitOn, Method, Split, split
from llmrec.errors import UserError
from llmrec.evals import metrics, published
from llmrec.evals.source import read_source

DEPTH = 20
"""Length of the lists that are asked for."""

Settings = dict[str, dict[str, Any]]


def read_json(value: Any) -> Any:
    """The value of an option that is JSON on the command line."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error})") from None


class TopN(Config):
    """Fits each recommender and ranks all items for every user with something to predict; seen items left out.

    A list is made from the user's whole history before the predicted part, whatever was fitted on. Predicted are
    positive events on items that the user has not met before.
    """

    name: ClassVar[str] = "topn"

    recommenders: tuple[str, ...] = ("popularity", "item-to-item", "ials", "ease")
    """Names of the entry-point group llmrec.recommenders."""
    split: Method = "leave-one-out"
    """leave-one-out, temporal, random-by-user or given."""
    fit_on: FitOn = "train+valid"
    """train or train+valid; what is predicted on valid is fitted on train."""
    target: Literal["test", "valid"] = "test"
    """What to predict: test, or valid to choose settings by."""
    settings: Settings = Field(default_factory=dict)
    """JSON, settings by recommender: '{"ease": {"regularization": 200}}'."""
    samples: int = Field(1000, gt=0)
    """Bootstrap samples of users behind each 95% interval."""
    seed: int = 0
    """Of the random split and of the intervals."""

    _json = field_validator("settings", mode="before")(read_json)

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """A row for each recommender, and the published ones where they are comparable."""
        task = Task.of(split(read_source(source), self.split, seed=self.seed), self.target, self.fit_on)
        rows = []
        for done, name in enumerate(self.recommenders):
            progress(name, done, len(self.recommenders))
            model = recommender(name, self.settings.get(name, {}))
            rows.append(self.row(name, model, task, progress))
        if self.split == "leave-one-out" and self.target == "test":
            rows += published.next_item(task.fit.name)
        return rows

    def row(self, name: str, model: Recommender, task: Task, progress: Progress = no_progress) -> Row:
        """Fit, rank and measure one recommender; `seconds` is the time to fit."""
        started = time.perf_counter()
        model.fit(task.fit, progress)
        seconds = time.perf_counter() - started
        lists = model.recommend(task.histories, DEPTH).items
        hits = metrics.find_hits(lists, task.targets)
        wanted = np.array([len(items) for items in task.targets])
        per_user = {
            metrics.at(metrics.HR, 10): metrics.hit_rate(hits, 10),
            metrics.at(metrics.NDCG, 10): metrics.ndcg(hits, wanted, 10),
            metrics.at(metrics.RECALL, 20): metrics.recall(hits, wanted, 20),
            metrics.at(metrics.MRR, 10): metrics.reciprocal_rank(hits, 10),
        }
        items = len(task.fit.item_index)
        return Row(
            name,
            "floor" if name == "popularity" else "ours",
            metrics={
                **{key: float(values.mean()) for key, values in per_user.items()},
                metrics.at(metrics.COVERAGE, 10): metrics.coverage(lists, items, 10),
                metrics.at(metrics.NOVELTY, 10): metrics.novelty(lists, task.chosen, len(task.fit.user_index), 10),
                metrics.at(metrics.GINI, 10): metrics.gini(lists, items, 10),
            },
            protocol=f"{task.protocol}; settings {_settings(model)}",
            fit_on=task.fit_on,
            intervals={key: metrics.interval(values, self.seed, self.samples) for key, values in per_user.items()},
            seconds=seconds,
        )


class Task:
    """What to fit on and what to predict for whom."""

    def __init__(
        self,
        fit: Dataset,
        fit_on: FitOn,
        histories: Sequence[Sequence[str]],
        targets: Sequence[Sequence[str]],
        protocol: str,
    ) -> None:
        self.fit, self.fit_on, self.protocol = fit, fit_on, protocol
        self.histories = histories
        """The items that each user's list is made from, oldest first."""
        self.targets = targets
        """The items to predict for the same users."""

    @classmethod
    def of(cls, parts: Split, target: Literal["test", "valid"], fit_on: FitOn) -> Task:
        """Test items are predicted from train and valid, valid items from train."""
        known: FitOn = "train+valid" if target == "test" else "train"
        if target == "valid":
            fit_on = "train"
        targets = parts.targets(target, known)
        if not targets:
            raise UserError(f"the {parts.method} split of {parts.dataset.name} leaves nothing to predict in {target}")
        histories = parts.fit(known).histories
        protocol = (
            f"{parts.method} split, {target} items of {len(targets)} users, full ranking of all items, seen masked, "
            f"lists made from {known}, ties in catalogue order"
        )
        people = [histories.get(user, []) for user in targets]
        return cls(parts.fit(fit_on), fit_on, people, list(targets.values()), protocol)

    @property
    def chosen(self) -> Mapping[str, int]:
        """How many users have chosen each item in what is fitted on."""
        counts: NDArray[np.float32] = np.asarray(self.fit.matrix().sum(axis=0)).ravel()
        return dict(zip(self.fit.item_index, counts.astype(int).tolist(), strict=True))


def recommender(name: str, settings: Mapping[str, Any]) -> Recommender:
    """A new recommender of the entry-point group; `UserError` for settings that it does not take."""
    kind = plugins.load("llmrec.recommenders", name)
    try:
        return kind(kind.config_type(**settings))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{name} cannot take the setting {place}: {first['msg']}") from None


def _settings(model: Recommender) -> str:
    return json.dumps(model.config.model_dump(mode="json"), separators=(",", ":"))
