"""`llmrec chat`, `recommend` and `search`: questions to a workspace from the terminal."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from llmrec.errors import LlmrecError
from llmrec.ui.cli.client import call, connect
from llmrec.ui.cli.console import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, print_table, stdout, write_json

CountOption = Annotated[int, typer.Option("--count", "-k", min=1, max=1000, help="How many items.")]
FilterOption = Annotated[
    list[str] | None,
    typer.Option("--filter", "-f", help="A condition such as 'price<=100', 'brand!=HP', 'attribute=jazz'."),
]


def register(app: typer.Typer) -> None:
    app.command()(chat)
    app.command()(recommend)
    app.command()(search)


def recommend(
    user: Annotated[str | None, typer.Argument(help="A user id; left out: popular items.")] = None,
    history: Annotated[
        str | None, typer.Option(help="Item ids, oldest first, separated by commas: a new user.")
    ] = None,
    count: CountOption = 10,
    filters: FilterOption = None,
    recommender: Annotated[str | None, typer.Option(help="One recommender instead of the fusion of all.")] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    json: JsonOption = None,
) -> None:
    """The best items for a known, a new or an anonymous user."""
    body = {"user": user, "k": count, "filters": filters or [], "recommender": recommender}
    if history is not None:
        body["history"] = [item.strip() for item in history.split(",") if item.strip()]
    result = asyncio.run(_request(workspace, "POST", "/v1/recommendations", body))
    _show(result, result["items"], json)


def search(
    query: Annotated[str, typer.Argument(help="Words to look for.")],
    count: CountOption = 10,
    filters: FilterOption = None,
    user: Annotated[str | None, typer.Option(help="Personal order for this user.")] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    json: JsonOption = None,
) -> None:
    """Hybrid search in the catalogue."""
    body = {"query": query, "k": count, "filters": filters or [], "user": user}
    result = asyncio.run(_request(workspace, "POST", "/v1/search", body))
    _show(result, result["items"], json)


def chat(
    user: Annotated[str | None, typer.Option(help="Who is talking; left out: anonymous.")] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Talk to the recommender in the terminal; ends with an empty line or Ctrl-D."""
    asyncio.run(_chat(workspace, user))


async def _request(workspace: Path, method: str, path: str, body: dict[str, Any]) -> Any:
    async with connect(workspace) as client:
        return await call(client, method, path, json={key: value for key, value in body.items() if value is not None})


async def _chat(workspace: Path, user: str | None) -> None:
    async with connect(workspace) as client:
        thread = None
        stdout.print("Say what you are looking for. An empty line ends the conversation.", style="dim")
        while True:
            if sys.stdin.isatty():
                stdout.print("[bold]you[/]  ", end="")
            line = await asyncio.to_thread(sys.stdin.readline)
            if not line.strip():
                return
            body: dict[str, Any] = {"model": "llmrec", "messages": [{"role": "user", "content": line.strip()}]}
            # An empty thread name starts a conversation on the server's side.
            body["metadata"] = {"thread": thread or "new"}
            if user:
                body["user"] = user
            try:
                answer = await call(client, "POST", "/v1/chat/completions", json=body)
            except LlmrecError as error:
                stdout.print(Text(f"error: {error}", style="red"))
                continue
            message = answer["choices"][0]["message"]
            thread = message["llmrec"]["thread"]
            stdout.print(Text.assemble(("llmrec  ", "bold"), message["content"]), soft_wrap=True)


def _show(result: dict[str, Any], items: list[dict[str, Any]], json: Path | None) -> None:
    if json:
        write_json(result, json)
        return
    if not items:
        stdout.print("nothing found")
        return
    rows = [
        (item["item_id"], item["title"], f"{item['score']:.3f}", _facts(item), item.get("reason", "")) for item in items
    ]
    print_table(("item", "title", "score", "facts", "why"), rows)


def _facts(item: dict[str, Any]) -> str:
    facts = [item.get("brand") or "", str(item.get("year") or "")]
    if item.get("price") is not None:
        facts.append(f"{item['price']:.2f}")
    return ", ".join(fact for fact in facts if fact)
