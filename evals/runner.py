"""Finds a suite or benchmark by name, gives it its options and runs it: what `llmrec eval` and `llmrec bench` call.

A suite is a `Config` whose fields are its options, with `name` and `run(source, progress) -> rows`. Third parties
register theirs under the entry-point group `llmrec.suites`.
"""

from __future__ import annotations

import difflib
import importlib
import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, cast, get_args, get_origin

from pydantic import ValidationError

from llmrec import plugins
from llmrec.contracts import Config, Progress, Suite, no_progress
from llmrec.errors import UnknownName, UserError
from llmrec.evals.source import source_name
from llmrec.evals.table import Result

BENCHMARKS: Mapping[str, str] = {
    "chat": "llmrec.evals.bench.chat:ChatBench",
    "retrieval": "llmrec.evals.bench.retrieval:RetrievalBench",
    "build": "llmrec.evals.bench.build:BuildBench",
    "beams": "llmrec.evals.bench.beams:BeamsBench",
    "adapters": "llmrec.evals.bench.adapters:AdaptersBench",
    "plain": "llmrec.evals.bench.plain:PlainBench",
    "training": "llmrec.evals.bench.training:TrainingBench",
    "decisions": "llmrec.evals.bench.decisions:DecisionsBench",
    "filtered-search": "llmrec.evals.bench.filtered_search:FilteredSearch",
}


def suite(name: str) -> type[Config]:
    """The suite's class, by entry point."""
    return cast(type[Config], plugins.load("llmrec.suites", name))


def benchmark(name: str) -> type[Config]:
    """The benchmark's class."""
    if name not in BENCHMARKS:
        near = difflib.get_close_matches(name, BENCHMARKS, 1)
        raise UnknownName(
            f"there is no benchmark {name!r}: "
            + (f"did you mean {near[0]}?" if near else f"known are {', '.join(BENCHMARKS)}")
        )
    module, _, attribute = BENCHMARKS[name].partition(":")
    return cast(type[Config], getattr(importlib.import_module(module), attribute))


def run(kind: type[Config], source: str, options: Mapping[str, Any], progress: Progress = no_progress) -> Result:
    """Run a suite or benchmark on a data folder or workspace (or what else the suite reads)."""
    chosen = cast(Suite, _configure(kind, options))
    rows = chosen.run(source, progress)
    return Result(suite=chosen.name, dataset=source_name(source), rows=rows)


def parse_options(kind: type[Config], words: Sequence[str]) -> dict[str, Any]:
    """`--fit-on train --pairs 100 --flag` as the fields of `kind`; lists are separated by commas."""
    options: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise UserError(f"unexpected argument {word!r}: options are written --name value")
        name, equals, value = word[2:].partition("=")
        field = name.replace("-", "_")
        if field not in kind.model_fields:
            known = [option(other) for other in kind.model_fields]
            near = difflib.get_close_matches(f"--{name}", known, 1)
            raise UserError(
                f"there is no option --{name}: "
                + (f"did you mean {near[0]}?" if near else f"known are {', '.join(known) or 'none'}")
            )
        if not equals:
            if kind.model_fields[field].annotation is bool and (not rest or rest[0].startswith("--")):
                value = "true"
            elif not rest:
                raise UserError(f"the option --{name} needs a value")
            else:
                value = rest.pop(0)
        options[field] = value.split(",") if _is_sequence(kind.model_fields[field].annotation) else value
    return options


def option(field: str) -> str:
    """The command-line spelling of a field."""
    return "--" + field.replace("_", "-")


def _is_sequence(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return any(_is_sequence(part) for part in get_args(annotation))
    return origin in (tuple, list)


def _configure(kind: type[Config], options: Mapping[str, Any]) -> Config:
    try:
        return kind(**options)
    except ValidationError as error:
        first = error.errors()[0]
        name = option(str(first["loc"][0])) if first["loc"] else "the options"
        reason = first["msg"].removeprefix("Value error, ")
        if reason.startswith("Input should"):
            reason = f"{reason.removeprefix('Input ')}, not {first['input']!r}"
        raise UserError(f"{name}: {reason}") from None
