"""`llmrec chat`: a conversation in the terminal, or messages from a script."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmrec.errors import LlmrecError
from llmrec.ui.cli.ask import facts
from llmrec.ui.cli.client import call, connect
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

if TYPE_CHECKING:
    import httpx

_NEW = "new"
"""The thread name that starts a conversation."""
_TITLES = re.compile(r"(?:“[^”]*”(?:, | and )?)+(?:and )?(?:\d+ more)?\.")
_LEAVE = ("", "exit", "quit", "bye")


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Ask")(chat)


def chat(
    user: Annotated[str | None, typer.Option("--user", "-u", help="Who is talking; left out: anonymous.")] = None,
    message: Annotated[
        list[str] | None, typer.Option("--message", "-m", help="Say this and end; several: one after the other.")
    ] = None,
    thread: Annotated[str, typer.Option(help="Go on with this conversation of the user.", show_default=False)] = _NEW,
    count: Annotated[int, typer.Option("--count", "-k", min=0, max=100, help="How many items to show.")] = 5,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    json: JsonOption = None,
) -> None:
    """Talk to the recommender in the terminal; an empty line or Ctrl-D ends the conversation."""
    people = message is None and sys.stdin.isatty()
    conversation = _Conversation(user, thread)
    answers = []
    with asyncio.Runner() as runner, _connection(runner, workspace) as client:
        if people:
            tell("Say what you are looking for. An empty line or Ctrl-D ends the conversation.", "dim")
        for text in message if message is not None else _lines(people):
            try:
                with stdout.status("thinking ...") if people else nullcontext():
                    answer = runner.run(conversation.say(client, text))
            except LlmrecError as error:
                if not people:
                    raise
                tell(f"error: {error}", "red")
                continue
            answers.append(answer)
            if json is None or str(json) != "-":
                _show(answer, count)
    if json is not None:
        write_json({"thread": conversation.thread, "messages": answers}, json)
    if people and answers:
        who = f" --user {user}" if user else ""
        tell(f"go on with: llmrec chat -w {workspace}{who} --thread {conversation.thread}", "dim", to=stderr)


class _Conversation:
    """Keeps the thread between messages."""

    def __init__(self, user: str | None, thread: str) -> None:
        self.user, self.thread = user, thread

    async def say(self, client: httpx.AsyncClient, text: str) -> dict[str, Any]:
        """The answer's message: `content` and the extra field `llmrec`."""
        body = {
            "model": "llmrec",
            "messages": [{"role": "user", "content": text}],
            "metadata": {"thread": self.thread},
            # Without a user the operator's key acts for nobody: anonymous.
            **({"user": self.user} if self.user else {}),
        }
        answer = await call(client, "POST", "/v1/chat/completions", json=body)
        message: dict[str, Any] = answer["choices"][0]["message"]
        self.thread = message["llmrec"]["thread"]
        return message


@contextmanager
def _connection(runner: asyncio.Runner, workspace: Path) -> Iterator[httpx.AsyncClient]:
    """The client on the runner's loop, which stands still while the person types: Ctrl-C then ends at once."""
    connection = connect(workspace)
    client = runner.run(connection.__aenter__())
    try:
        yield client
    finally:
        runner.run(connection.__aexit__(None, None, None))


def _lines(people: bool) -> Iterator[str]:
    """Messages from standard input until an empty line (a person) or its end."""
    if people:
        import readline  # noqa: F401  (gives `input` editing and a history)
    while True:
        try:
            line = input("\nyou> " if people else "").strip()
        except EOFError:
            return
        if people and line.lower() in _LEAVE:
            return
        if line:
            yield line


def _show(message: Mapping[str, Any], count: int) -> None:
    """The answer in words, its items as a list with reasons, and the question last, beside the prompt."""
    turn = message["llmrec"]
    items, question = turn["items"], turn["question"]
    said, asked, added = message["content"], "", ""
    if question and question["text"] in said:
        said, asked, added = said.partition(question["text"])
    stdout.print()
    for text in (said, added):
        if text.strip():
            tell(_without_titles(text.strip(), items) if count else text.strip())
    for number, item in enumerate(items[:count], 1):
        known = facts(item)
        tell(f"{number:3}. {item['title']}" + (f"  ({known})" if known else ""))
        if item["reason"]:
            tell(f"     {item['reason']}", "dim")
    if count and len(items) > count:
        tell(f"     and {len(items) - count} more", "dim")
    if comparison := turn["data"].get("comparison"):
        rows = [(row["name"], *row["cells"]) for row in comparison["rows"]]
        print_table(("", *comparison["titles"]), rows)
    if asked:
        _ask(question)


def _ask(question: Mapping[str, Any]) -> None:
    from rich.text import Text

    choices = question["choices"]
    answers = ("yes", "no", "don't care")
    if len(choices) > 1:
        answers = tuple(question["labels"].get(choice, choice) for choice in choices)
    hint = f"  [{' / '.join(answers)}]"
    stdout.print(Text.assemble((question["text"], "bold"), (hint, "dim")), soft_wrap=True)


def _without_titles(text: str, items: Sequence[Mapping[str, Any]]) -> str:
    """Where a text ends in a list of the items' titles, the list is left out: it follows below."""
    start = text.find(f"“{items[0]['title'][:20]}") if items else -1
    return f"{text[:start].rstrip(' :')}:" if start > 0 and _TITLES.fullmatch(text[start:]) else text
