"""`llmrec events`, `items` and `memory`: change a live system, and what it remembers."""

from __future__ import annotations

import asyncio
import json as jsonlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from llmrec.ui.cli.client import call, connect, request
from llmrec.ui.cli.console import (
    DEFAULT_WORKSPACE,
    JsonOption,
    WorkspaceOption,
    print_table,
    stderr,
    tell,
    write_json,
)

_BATCH_BYTES = 500_000
"""Of a request: well under the API's limit."""
_BATCH_ROWS = 5000

events = typer.Typer(help="Append events; they count at the next turn.", no_args_is_help=True)
items = typer.Typer(help="Add or change items; no rebuild needed.", no_args_is_help=True)
memory = typer.Typer(help="What is remembered of a user.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help="Parquet, CSV or JSON lines.")]
UserOption = Annotated[str, typer.Option("--user", "-u", help="The user.")]


def register(app: typer.Typer) -> None:
    for name, group in (("events", events), ("items", items), ("memory", memory)):
        app.add_typer(group, name=name, rich_help_panel="Change")


@events.command("add")
def events_add(file: FileArgument, workspace: WorkspaceOption = DEFAULT_WORKSPACE, json: JsonOption = None) -> None:
    """Append the interactions in a file; those that are known already count once."""
    rows, answers = _send(workspace, file, "interactions", "events")
    added = sum(answer["added"] for answer in answers)
    unknown = sum(answer["unknown_items"] for answer in answers)
    if unknown:
        tell(f"warning: {unknown} events are on items that the catalogue does not have", "yellow", to=stderr)
    if json is not None:
        write_json({"rows": rows, "added": added, "unknown_items": unknown}, json)
    else:
        tell(f"{added} events added" + (f", {rows - added} were known already" if added < rows else ""))


@items.command("upsert")
def items_upsert(file: FileArgument, workspace: WorkspaceOption = DEFAULT_WORKSPACE, json: JsonOption = None) -> None:
    """Add the items in a file, or change those that exist: only the columns that the file has."""
    _, answers = _send(workspace, file, "items", "items")
    upserted = sum(answer["upserted"] for answer in answers)
    if json is not None:
        write_json({"upserted": upserted}, json)
    else:
        tell(f"{upserted} items added or changed")


@memory.command("show")
def memory_show(user: UserOption, workspace: WorkspaceOption = DEFAULT_WORKSPACE, json: JsonOption = None) -> None:
    """List what is remembered."""
    result = asyncio.run(request(workspace, "GET", "/v1/memory", params={"user": user}))
    if json is not None:
        write_json(result, json)
    elif not result["entries"]:
        tell(f"nothing is remembered of {user!r}")
    else:
        rows = [(entry["id"], entry["kind"], entry["label"]) for entry in result["entries"]]
        print_table(("entry", "kind", "what"), rows)


@memory.command("export")
def memory_export(
    user: UserOption, workspace: WorkspaceOption = DEFAULT_WORKSPACE, json: JsonOption = Path("-")
) -> None:
    """Write everything that is remembered as JSON, by default to standard output."""
    write_json(asyncio.run(request(workspace, "GET", "/v1/memory/export", params={"user": user})), json or Path("-"))


@memory.command("delete")
def memory_delete(
    user: UserOption,
    entry: Annotated[str | None, typer.Option(help="One entry; left out: everything.")] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Forget one entry or everything."""
    path = "/v1/memory" if entry is None else f"/v1/memory/{quote(entry, safe='')}"
    asyncio.run(request(workspace, "DELETE", path, params={"user": user}))
    tell(f"forgotten: {'everything' if entry is None else entry} of {user!r}")


def _send(workspace: Path, file: Path, table: str, name: str) -> tuple[int, list[Any]]:
    """Validate the whole file, then send it in batches to the route of this name: its number of rows, the answers."""
    from llmrec.data.read import read_rows

    rows = read_rows(file, table)

    async def send() -> list[Any]:
        async with connect(workspace) as client:
            return [await call(client, "POST", f"/v1/{name}", json={name: batch}) for batch in _batches(rows)]

    return len(rows), asyncio.run(send())


def _batches(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        length = len(jsonlib.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if batch and (size + length > _BATCH_BYTES or len(batch) == _BATCH_ROWS):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += length
    if batch:
        yield batch
