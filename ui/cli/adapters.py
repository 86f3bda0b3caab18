"""`llmrec adapters`: the language model's named adapters in a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmrec.ui.cli.console import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, print_table, stdout, write_json

if TYPE_CHECKING:
    from llmrec.adapters import AdapterStore

adapters = typer.Typer(help="Named adapters of the language model.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Such as search or user:42.")]


def register(app: typer.Typer) -> None:
    app.add_typer(adapters, name="adapters", rich_help_panel="Change")


@adapters.command("list")
def adapters_list(workspace: WorkspaceOption = DEFAULT_WORKSPACE, json: JsonOption = None) -> None:
    """List the stored adapters."""
    with _store(workspace) as store:
        found = store.list()
    if json:
        write_json([adapter.model_dump(mode="json", exclude={"format"}) for adapter in found], json)
        return
    rows = [
        (a.name, a.version[:8], a.base, a.rank, ", ".join(a.target_modules), f"{a.size / 1e6:.2f}", f"{a.added:%F %R}")
        for a in found
    ]
    print_table(("name", "version", "base", "rank", "modules", "MB", "added (UTC)"), rows)


@adapters.command("add")
def adapters_add(
    name: NameArgument,
    folder: Annotated[Path, typer.Argument(help="What PEFT's save_pretrained wrote: config and safetensors.")],
    base: Annotated[str | None, typer.Option(help="Refuse it unless it was trained on this model.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of the adapter of this name.")] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Check an adapter and copy it into the workspace."""
    with _store(workspace) as store:
        adapter = store.add(name, folder, base, replace=replace)
    stdout.print(f"added {name}: rank {adapter.rank}, trained on {adapter.base}", markup=False, soft_wrap=True)


@adapters.command("remove")
def adapters_remove(name: NameArgument, workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Delete an adapter with all its versions."""
    with _store(workspace) as store:
        store.remove(name)
    stdout.print(f"removed {name}", markup=False, soft_wrap=True)


@contextmanager
def _store(folder: Path) -> Iterator[AdapterStore]:
    from llmrec.adapters import AdapterStore
    from llmrec.workspace import Workspace

    with Workspace.open(folder) as workspace:
        yield AdapterStore(workspace.path / "adapters")
