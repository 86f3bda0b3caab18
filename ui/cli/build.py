"""`llmrec build`: from a folder of data to a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmrec.settings import Settings
from llmrec.ui.cli.console import (
    DEFAULT_WORKSPACE,
    JsonOption,
    WorkspaceOption,
    print_table,
    progress,
    stderr,
    stdout,
    write_json,
)


def register(app: typer.Typer) -> None:
    app.command()(build)


def build(
    data: Annotated[Path, typer.Argument(help="Folder with items.parquet (or .csv, .jsonl), interactions, ...")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build every step anew.")] = False,
    json: JsonOption = None,
) -> None:
    """Build or update a workspace; goes on where an interrupted build stopped."""
    from llmrec.agents.assistant import build_workspace

    with progress() as report:
        result = build_workspace(data, workspace, progress=report, settings=Settings.load(workspace), rebuild=rebuild)
    for warning in result.warnings:
        stderr.print(f"[yellow]warning:[/] {warning}", markup=True, soft_wrap=True)
    rows = [(step.name, step.status, f"{step.seconds:.1f}", f"{step.peak_mb:,.0f}") for step in result.steps]
    if json:
        write_json(result.to_json(), json)
    else:
        print_table(("step", "status", "seconds", "peak MB"), rows)
        stdout.print(f"\nnext: llmrec serve -w {workspace}", soft_wrap=True)
