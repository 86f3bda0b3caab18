"""What every command prints with: progress on long work, tables, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from llmrec.contracts import Progress as ProgressCallback
from llmrec.errors import UserError

stdout = Console(width=None if sys.stdout.isatty() else 200)  # what is piped into a file is not cut to 80 columns
stderr = Console(stderr=True)

WorkspaceOption = Annotated[
    Path, typer.Option("--workspace", "-w", help="The workspace folder.", envvar="LLMREC_WORKSPACE")
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Write the result as JSON to this file ('-' for standard output).")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
DEFAULT_WORKSPACE = Path("workspace")


@contextmanager
def progress() -> Iterator[ProgressCallback]:
    """A progress display on standard error; plain lines where that is no terminal."""
    if not stderr.is_terminal:
        shown: set[str] = set()

        def line(what: str, done: int, total: int) -> None:
            if what not in shown:
                shown.add(what)
                print(f"{what} ...", file=sys.stderr, flush=True)

        yield line
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr) as display:
        tasks: dict[str, Any] = {}

        def bar(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = display.add_task(what, total=max(total, 1))
            display.update(tasks[what], completed=done, total=max(total, 1))

        yield bar


def write_json(value: Any, target: Path) -> None:
    """Write to a file, or to standard output for `-`."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    if str(target) == "-":
        print(text)
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}; choose another --json file") from error


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """A plain table; cells are data, never markup."""
    from rich.text import Text

    table = Table(title=title, box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    stdout.print(table)
