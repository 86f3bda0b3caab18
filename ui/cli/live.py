"""`llmrec events`, `items` and `memory`: change a live system, and what it remembers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec.data import columns as c
from llmrec.ui.cli.client import call, connect
from llmrec.ui.cli.console import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, print_table, stdout, write_json

BATCH = 1000  # rows a request, well under the API's limit on body size

events = typer.Typer(help="Append events; they count at the next turn.", no_args_is_help=True)
items = typer.Typer(help="Add or change items; no rebuild needed.", no_args_is_help=True)
memory = typer.Typer(help="What is remembered of a user.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help="Parquet, CSV or JSON lines.")]
UserOption = Annotated[str, typer.Option("--user", "-u", help="The user.")]


def register(app: typer.Typer) -> None:
    app.add_typer(events, name="events")
    app.add_typer(items, name="items")
    app.add_typer(memory, name="memory")


@events.command("add")
def events_add(file: FileArgument, workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Append the interactions in a file."""
    stdout.print(f"{asyncio.run(_send(workspace, file, c.INTERACTIONS_FILE, 'events'))} events added")


@items.command("upsert")
def items_upsert(file: FileArgument, workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Add the items in a file, or change those that exist."""
    stdout.print(f"{asyncio.run(_send(workspace, file, c.ITEMS_FILE, 'items'))} items upserted")


@memory.command("show")
def memory_show(user: UserOption, workspace: WorkspaceOption = DEFAULT_WORKSPACE, json: JsonOption = None) -> None:
    """List what is remembered."""
    result = asyncio.run(_memory(workspace, "GET", "/v1/memory", user))
    if json:
        write_json(result, json)
    else:
        entries = result["entries"]
        rows = [(entry["id"], entry["kind"], entry.get("label") or entry.get("item_id") or "") for entry in entries]
        print_table(("entry", "kind", "what"), rows)


@memory.command("export")
def memory_export(
    user: UserOption, workspace: WorkspaceOption = DEFAULT_WORKSPACE, json: JsonOption = Path("-")
) -> None:
    """Write everything remembered as JSON."""
    write_json(asyncio.run(_memory(workspace, "GET", "/v1/memory/export", user)), json or Path("-"))


@memory.command("delete")
def memory_delete(
    user: UserOption,
    entry: Annotated[str | None, typer.Option(help="One entry; left out: everything.")] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Forget one entry or everything."""
    path = f"/v1/memory/{entry}" if entry else "/v1/memory"
    asyncio.run(_memory(workspace, "DELETE", path, user))
    stdout.print("deleted")


async def _send(workspace: Path, file: Path, table: str, name: str) -> int:
    """Validate the whole file first, then send it in batches to the route of the same name."""
    from llmrec.data.read import read_rows

    rows = read_rows(file, table)
    async with connect(workspace) as client:
        for start in range(0, len(rows), BATCH):
            await call(client, "POST", f"/v1/{name}", json={name: rows[start : start + BATCH]})
    return len(rows)


async def _memory(workspace: Path, method: str, path: str, user: str) -> Any:
    async with connect(workspace) as client:
        return await call(client, method, path, params={"user": user})
