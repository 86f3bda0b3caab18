"""`llmrec eval` and `llmrec bench`: figures, in the terminal, as JSON and as a page."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmrec.errors import UserError
from llmrec.ui.cli.console import HtmlOption, JsonOption, print_table, progress, tell, write_json

if TYPE_CHECKING:
    from llmrec.contracts import Config

REST = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

HelpOption = Annotated[
    bool, typer.Option("--help", "-h", metavar="", help="Show the options of this suite or benchmark.")
]


def register(app: typer.Typer) -> None:
    app.command("eval", context_settings=REST, rich_help_panel="Measure and check")(evaluate)
    app.command("bench", context_settings=REST, rich_help_panel="Measure and check")(bench)


def evaluate(
    context: typer.Context,
    suite: Annotated[str | None, typer.Argument(help="topn, search, understanding, ...")] = None,
    source: Annotated[str | None, typer.Argument(help="A data folder or a workspace.")] = None,
    json: JsonOption = None,
    html: HtmlOption = None,
    show_help: HelpOption = False,
) -> None:
    """Measure quality: `eval SUITE SOURCE [OPTIONS]`; `eval SUITE --help` shows a suite's options."""
    from llmrec import plugins
    from llmrec.evals import runner

    if suite is None:
        _usage("eval SUITE SOURCE", "suites", plugins.names("llmrec.suites"))
        return
    kind = runner.suite(suite)
    if show_help:
        _options(f"eval {suite} SOURCE", kind)
        return
    if source is None or source.startswith("--"):
        raise UserError(f"say what to measure: llmrec eval {suite} SOURCE, a data folder or a workspace")
    _run(kind, source, context.args, json, html)


def bench(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="chat, retrieval, build, ...")] = None,
    source: Annotated[str, typer.Argument(help="A data folder or a workspace, where the benchmark needs one.")] = "",
    json: JsonOption = None,
    html: HtmlOption = None,
    show_help: HelpOption = False,
) -> None:
    """Measure speed and memory: `bench NAME [SOURCE] [OPTIONS]`; `bench NAME --help` shows a benchmark's options."""
    from llmrec.evals import runner

    if name is None:
        _usage("bench NAME [SOURCE]", "benchmarks", list(runner.BENCHMARKS))
        return
    kind = runner.benchmark(name)
    if show_help:
        _options(f"bench {name} [SOURCE]", kind)
        return
    words = list(context.args)
    if source.startswith("--"):  # no source was given, and the parser took the first option for it
        words, source = [source, *words], ""
    _run(kind, source, words, json, html)


def _run(kind: type[Config], source: str, words: Sequence[str], json: Path | None, html: Path | None) -> None:
    from llmrec.evals import runner
    from llmrec.evals.report import write_html

    options = runner.parse_options(kind, words)
    with progress() as report:
        result = runner.run(kind, source, options, report)
    if html is not None:
        write_html(result, html)
    if json is not None:
        write_json(result.to_json(), json)
    if json is None or str(json) != "-":
        header, *rows = result.cells()
        print_table(header, rows, title=f"{result.suite}: {result.dataset}" if result.dataset else result.suite)
        for protocol, names in result.protocols():
            tell(f"{', '.join(names)}: {protocol}", "dim")


def _usage(usage: str, what: str, names: Sequence[str]) -> None:
    tell(f"usage: llmrec {usage} [OPTIONS] [--json FILE] [--html FILE]\n{what}: {', '.join(names)}")


def _options(usage: str, kind: type[Config]) -> None:

    tell(f"usage: llmrec {usage} [OPTIONS] [--json FILE] [--html FILE]\n\n{inspect.getdoc(kind) or ''}\n")
    print_table(("option", "default", "meaning"), list(_described(kind)))


def _described(kind: type[Config]) -> Iterator[tuple[str, str, str]]:
    from llmrec.evals import runner

    for name, field in kind.model_fields.items():
        default: Any = "" if field.is_required() else field.get_default(call_default_factory=True)
        if isinstance(default, tuple | list):
            default = ",".join(map(str, default))
        yield runner.option(name), "" if default in (None, {}) else str(default), field.description or ""
