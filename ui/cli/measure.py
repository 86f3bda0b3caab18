"""`llmrec eval` and `llmrec bench`: figures, in the terminal, as JSON and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmrec.contracts import Config
from llmrec.ui.cli.console import JsonOption, print_table, progress, stdout, write_json

REST = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

HtmlOption = Annotated[Path | None, typer.Option("--html", help="Write a report with plots to this file.")]
HelpOption = Annotated[bool, typer.Option("--help", "-h", help="Show the options of this suite or benchmark.")]


def register(app: typer.Typer) -> None:
    app.command("eval", context_settings=REST)(evaluate)
    app.command("bench", context_settings=REST)(bench)


def evaluate(
    context: typer.Context,
    suite: Annotated[str | None, typer.Argument(help="topn, search, understanding, ...")] = None,
    source: Annotated[str | None, typer.Argument(help="A data folder or a workspace.")] = None,
    json: JsonOption = None,
    html: HtmlOption = None,
    show_help: HelpOption = False,
) -> None:
    """Measure quality: `llmrec eval SUITE SOURCE [OPTIONS]`; `llmrec eval SUITE --help` lists the suite's options."""
    from llmrec import plugins
    from llmrec.errors import UserError
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
    """Measure speed and memory: `llmrec bench NAME [SOURCE] [OPTIONS]`; `llmrec bench NAME --help` lists options."""
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


def _run(kind: type[Config], source: str, words: list[str], json: Path | None, html: Path | None) -> None:
    from llmrec.evals import runner
    from llmrec.evals.report import write_html

    options = runner.parse_options(kind, words)
    with progress() as report:
        result = runner.run(kind, source, options, report)
    if html:
        write_html(result, html)
    if json:
        write_json(result.to_json(), json)
    if json is None or str(json) != "-":
        header, *rows = result.cells()
        print_table(header, rows, title=f"{result.suite}: {result.dataset}" if result.dataset else result.suite)
        for row in result.rows:
            if row.protocol:
                stdout.print(f"{row.name}: {row.protocol}", style="dim", markup=False, highlight=False)


def _usage(usage: str, what: str, names: list[str]) -> None:
    stdout.print(
        f"usage: llmrec {usage} [OPTIONS] [--json FILE] [--html FILE]\n{what}: {', '.join(names)}", markup=False
    )


def _options(usage: str, kind: type[Config]) -> None:
    from llmrec.evals import runner

    stdout.print(f"usage: llmrec {usage} [OPTIONS] [--json FILE] [--html FILE]\n\n{kind.__doc__ or ''}\n", markup=False)
    rows = [
        (runner.option(name), "" if field.is_required() else field.default, field.description or "")
        for name, field in kind.model_fields.items()
    ]
    print_table(("option", "default", "meaning"), rows)
