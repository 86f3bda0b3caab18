"""`llmrec recommend` and `search`: questions to a workspace from the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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
    stdout,
    tell,
    write_json,
)

CountOption = Annotated[int, typer.Option("--count", "-k", min=1, max=1000, help="How many items.")]
FilterOption = Annotated[
    list[str] | None,
    typer.Option("--filter", "-f", help="A condition such as 'price<=100', 'brand!=HP', 'attribute=jazz'."),
]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Ask")(recommend)
    app.command(rich_help_panel="Ask")(search)


def recommend(
    user: Annotated[str | None, typer.Argument(help="A user id; left out: popular items.")] = None,
    history: Annotated[
        str | None, typer.Option(help="Item ids, oldest first, separated by commas: a new user.")
    ] = None,
    similar_to: Annotated[str | None, typer.Option(help="An item id: what is like it.")] = None,
    count: CountOption = 10,
    filters: FilterOption = None,
    recommender: Annotated[str | None, typer.Option(help="One recommender instead of their blend.")] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    json: JsonOption = None,
) -> None:
    """The best items for a known, a new or an anonymous user, or like an item."""
    items = None if history is None else [item.strip() for item in history.split(",") if item.strip()]
    body = {
        "user": user,
        "history": items,
        "similar_to": similar_to,
        "k": count,
        "filters": filters or [],
        "recommender": recommender,
    }
    result = asyncio.run(_recommend(workspace, body))
    if user and not result.get("known", True):
        tell(f"nothing is known of {user!r} yet: this is what people like in general", "dim", to=stderr)
    _show(result, json)


def search(
    query: Annotated[str, typer.Argument(help="Words to look for.")],
    count: CountOption = 10,
    filters: FilterOption = None,
    user: Annotated[str | None, typer.Option("--user", "-u", help="Personal order for this user.")] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    json: JsonOption = None,
) -> None:
    """Hybrid search in the catalogue, by words and by meaning."""
    body = _given(query=query, k=count, filters=filters or [], user=user)
    _show(asyncio.run(request(workspace, "POST", "/v1/search", json=body)), json)


async def _recommend(workspace: Path, body: Mapping[str, Any]) -> Any:
    async with connect(workspace) as client:
        for item_id in body["history"] or ():  # the API passes over items that it does not know; a person has mistyped
            await call(client, "GET", f"/v1/items/{quote(item_id, safe='')}")
        return await call(client, "POST", "/v1/recommendations", json=_given(**body))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _show(result: Mapping[str, Any], json: Path | None) -> None:
    items = result["items"]
    if json is not None:
        write_json(result, json)
    elif not items:
        stdout.print("nothing found")
    else:
        rows = [(item["item_id"], item["title"], f"{item['score']:.3f}", facts(item), item["reason"]) for item in items]
        if len({item["reason"] for item in items}) == 1:
            print_table(("item", "title", "score", "facts"), [row[:-1] for row in rows])
            tell(items[0]["reason"], "dim")
        else:
            print_table(("item", "title", "score", "facts", "why"), rows)


def facts(item: Mapping[str, Any]) -> str:
    """Brand, year and price of an item on one line."""
    known = [item.get("brand") or "", str(item.get("year") or "")]
    if item.get("price") is not None:
        known.append(f"{item['price']:,.2f}")
    return ", ".join(fact for fact in known if fact)
