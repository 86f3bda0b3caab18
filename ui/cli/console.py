"""What every command prints with: progress on long work, tables, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from llmrec.errors import UserError

if TYPE_CHECKING:
    from llmrec.contracts import Progress as ProgressCallback


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # as `print` does; Rich would end the process here


stdout = _Console(width=None if sys.stdout.isatty() else 200)  # what is piped into a file is not cut to 80 columns
stderr = _Console(stderr=True)

DEFAULT_WORKSPACE = Path("workspace")


def tell(text: str, style: str | None = None, *, to: Console = stdout) -> None:
    """Print text as it is: it is data, never markup, and a terminal wraps it itself."""
    to.print(text, style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator[ProgressCallback]:
    """A progress display on standard error; plain lines where that is no terminal."""
    if not stderr.is_terminal:
        shown: set[str] = set()

        def line(what: str, done: int, total: int) -> None:
            if what not in shown and done < total:
                shown.add(what)
                print(f"{what} ...", file=sys.stderr, flush=True)

        yield line
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TimeElapsedColumn(),
        BarColumn(20),
        TaskProgressColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=stderr, transient=True) as display:
        task = display.add_task("starting", total=1)

        def bar(what: str, done: int, total: int) -> None:
            display.update(task, description=what, completed=done, total=max(total, 1))

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
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    stdout.print(table)


def _writable(target: Path | None) -> Path | None:
    """Fail before the work, not after it."""
    if target is None or str(target) == "-":
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        new = not target.exists()
        target.open("a").close()
        if new:
            target.unlink()
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}; choose another file") from None
    return target


WorkspaceOption = Annotated[
    Path, typer.Option("--workspace", "-w", help="The workspace folder.", envvar="LLMREC_WORKSPACE")
]
JsonOption = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="FILE", callback=_writable, help="Write the result as JSON ('-': to standard output)."
    ),
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", callback=_writable, help="Write a report with plots.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
