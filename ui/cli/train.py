"""`llmrec train`: models of a workspace's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmrec.errors import UserError
from llmrec.ui.cli import background
from llmrec.ui.cli.console import (
    DEFAULT_WORKSPACE,
    JsonOption,
    SeedOption,
    WorkspaceOption,
    progress,
    stderr,
    tell,
    write_json,
)

if TYPE_CHECKING:
    from llmrec.agents.assistant.training import Recipe
    from llmrec.contracts import Progress
    from llmrec.language.training.recipe import Report

_LESSONS = 10_000
"""People whom a policy practises with, at most."""

train = typer.Typer(help="Train models of a workspace's own.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(train, name="train", rich_help_panel="Change")


@train.callback()
def _group() -> None:
    """Train models of a workspace's own."""


@train.command()
def language(
    source: Annotated[Path, typer.Argument(help="A workspace, or a folder of data.")] = DEFAULT_WORKSPACE,
    preset: Annotated[
        str | None, typer.Option(help="Size of a model from scratch: nano, micro or mini.", show_default="nano")
    ] = None,
    base: Annotated[str | None, typer.Option(help="Continue this model instead: a folder or a hub name.")] = None,
    lora: Annotated[
        bool, typer.Option("--lora", metavar="", help="Train an adapter, for --base or the workspace's own model.")
    ] = False,
    tokens: Annotated[int | None, typer.Option(min=1, help="How much to read.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="How long to train, instead of --tokens.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0.0, help="The highest, with --base or --lora.")] = None,
    seed: SeedOption = 0,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="The workspace that gets it; by default the source.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Write it here, not into a workspace.")
    ] = None,
    json: JsonOption = None,
    in_background: Annotated[bool, typer.Option("--in-background", hidden=True)] = False,
) -> None:
    """Train a language model on a catalogue, its reviews and histories; goes on where it was interrupted.

    In a workspace it is what `llmrec serve` uses where no other model is set; a running server switches to it.
    """
    if in_background:
        background.yield_to_others()
    recipe = _recipe(preset, base, lora, tokens, minutes, learning_rate, seed)
    try:
        with background.to_parent() if in_background else progress() as shown:
            report = _train(recipe, source, workspace, output, shown)
    except KeyboardInterrupt:
        tell("interrupted: the same command goes on where this one stopped", to=stderr)
        raise
    _tell(report, json)


@train.command()
def understanding(
    base: Annotated[str, typer.Argument(help="The model to adapt: a folder or a hub name.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the adapter goes.")],
    seed: SeedOption = 0,
    json: JsonOption = None,
) -> None:
    """Train an adapter that reads what people type; `llmrec eval understanding` sets it beside the rules."""
    from llmrec.agents.conversation.understanding.teach import train_adapter

    with progress() as shown:
        report = train_adapter(base, output, seed=seed, progress=shown)
    _tell(report, json)


@train.command()
def policy(
    name: Annotated[str, typer.Argument(help="The policy, such as scpr.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    seed: SeedOption = 0,
) -> None:
    """Let a policy that has to learn practise on the workspace's own data; `llmrec serve --policy` can use it then.

    It talks to simulated people who want the last item but one of a user's history.
    """
    from llmrec.agents.assistant.training import train_policy
    from llmrec.evals.suites.conversation import ConversationSuite, Task

    options = ConversationSuite(split="leave-one-out", candidates="unseen", lessons=_LESSONS, seed=seed)
    with progress() as shown:
        folder = train_policy(workspace, name, lambda: Task(options, str(workspace)).lessons, shown)
    tell(f"{name} has learnt: {folder}", "bold")


def _tell(report: Report, json: Path | None) -> None:
    if json is not None:
        write_json(report.to_json(), json)
        return
    losses = f"loss {report.loss or float('nan'):.2f}"
    if report.validation_loss is not None:
        losses += f", on what it has not seen {report.validation_loss:.2f}"
    tell(f"{report.kind}: {report.folder}", "bold")
    tell(f"  {report.trained:,} of {report.parameters:,} parameters trained on {report.tokens:,} tokens")
    tell(f"  {report.seconds:.0f} s, {report.tokens_per_second:,.0f} tokens a second; {losses}")


def _recipe(
    preset: str | None,
    base: str | None,
    lora: bool,
    tokens: int | None,
    minutes: float | None,
    learning_rate: float | None,
    seed: int,
) -> Recipe:
    from llmrec.agents.assistant.training import Recipe
    from llmrec.language.training.base import LoraSettings

    if tokens is not None and minutes is not None:
        raise UserError("both --tokens and --minutes are given: keep one")
    if preset is not None and (base is not None or lora):
        raise UserError("--preset is for a model from scratch: leave it out, or leave out --base and --lora")
    if learning_rate is not None and base is None and not lora:
        raise UserError("--learning-rate is for a model that exists, a preset has its own: give a --base too")
    return Recipe(preset or "nano", base, LoraSettings() if lora else None, tokens, minutes, learning_rate, seed)


def _train(recipe: Recipe, source: Path, workspace: Path | None, output: Path | None, progress: Progress) -> Report:
    from llmrec.agents.assistant.training import is_workspace, read_texts, train_for_workspace, with_base
    from llmrec.workspace import Workspace

    if output is not None and workspace is not None:
        raise UserError("both --output and --workspace are given: keep one")
    if output is not None:
        if recipe.lora is not None and recipe.base is None and is_workspace(source):
            with Workspace.open(source) as opened:
                recipe = with_base(recipe, opened)
        return recipe.train(read_texts(source), output, progress)
    if is_workspace(source) or not source.exists():
        return train_for_workspace(workspace or source, recipe, source if workspace else None, progress)
    if workspace is None:
        raise UserError(f"say where the model goes: --output FOLDER, or --workspace FOLDER built from {source}")
    return train_for_workspace(workspace, recipe, source, progress)
