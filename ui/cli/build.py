"""`llmrec build`: from a folder of data to a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmrec.ui.cli.console import (
    DEFAULT_WORKSPACE,
    JsonOption,
    WorkspaceOption,
    print_table,
    progress,
    stderr,
    tell,
    write_json,
)


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Start")(build)


def build(
    data: Annotated[Path, typer.Argument(help="Folder with items.parquet (or .csv, .jsonl), interactions, ...")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    rebuild: Annotated[bool, typer.Option("--rebuild", metavar="", help="Build every step anew.")] = False,
    json: JsonOption = None,
) -> None:
    """Build or update a workspace; goes on where an interrupted build stopped."""
    from llmrec.agents.assistant import build_workspace
    from llmrec.settings import Settings

    try:
        with progress() as report:
            result = build_workspace(
                data, workspace, progress=report, settings=Settings.load(workspace), rebuild=rebuild
            )
    except KeyboardInterrupt:
        tell("interrupted: the same command goes on where this one stopped", to=stderr)
        raise
    for warning in result.warnings:
        tell(f"warning: {warning}", "yellow", to=stderr)
    if json is not None:
        write_json(result.to_json(), json)
        return
    rows = [(step.name, step.status, f"{step.seconds:.1f}", f"{step.peak_mb:,.0f}") for step in result.steps]
    print_table(("step", "status", "seconds", "peak MB"), rows)
    tell(f"\nnext: llmrec serve -w {workspace}")
