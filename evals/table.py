"""One result of a suite or benchmark: the JSON shape that every command writes, and its environment."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from llmrec.contracts import Row


@dataclass(frozen=True)
class Result:
    """What `llmrec eval` and `llmrec bench` print, save and draw."""

    suite: str
    dataset: str
    rows: Sequence[Row]

    def to_json(self) -> dict[str, Any]:
        """`{"suite", "dataset", "rows": [...], "environment"}`; numbers are plain, absent ones (NaN) are null."""
        return {
            "suite": self.suite,
            "dataset": self.dataset,
            "rows": [
                {
                    "name": row.name,
                    "kind": row.kind,
                    "protocol": row.protocol,
                    "fit_on": row.fit_on,
                    "metrics": {key: _number(value) for key, value in row.metrics.items()},
                    "intervals": {key: [_number(low), _number(high)] for key, (low, high) in row.intervals.items()},
                    "seconds": row.seconds,
                    **({"curves": {title: list(line) for title, line in row.curves.items()}} if row.curves else {}),
                }
                for row in self.rows
            ],
            "environment": environment(),
        }

    def metrics(self) -> list[str]:
        """The metric keys of all rows, in the order of their first appearance."""
        return list(dict.fromkeys(key for row in self.rows for key in row.metrics))

    def protocols(self) -> list[tuple[str, list[str]]]:
        """Each protocol with the names of its rows, in the order of their first appearance."""
        names: dict[str, list[str]] = {}
        for row in self.rows:
            if row.protocol:
                names.setdefault(row.protocol, []).append(row.name)
        return list(names.items())

    def cells(self) -> list[list[str]]:
        """Header and rows as text, for tables; a column that says nothing is left out."""
        keys = self.metrics()
        header = ["name", "kind", "fit on", *keys, "seconds"]
        body = [
            [row.name, row.kind, row.fit_on]
            + [_cell(row.metrics[key]) if key in row.metrics else "" for key in keys]
            + ["" if row.seconds is None else f"{row.seconds:.1f}"]
            for row in self.rows
        ]
        kept = [i for i in range(len(header)) if i == 0 or any(line[i] for line in body)]
        return [[line[i] for i in kept] for line in (header, *body)]


def environment() -> dict[str, Any]:
    """What a figure depends on: versions and cores."""
    packages = ("llmrec", "torch", "numpy", "scipy", "implicit", "chromadb", "transformers")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        **{package: version(package) for package in packages},
    }


def _number(value: float) -> float | int | None:
    plain = value.item() if isinstance(value, np.generic) else value
    return None if plain != plain else plain


def _cell(value: float) -> str:
    if value != value:
        return "-"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
