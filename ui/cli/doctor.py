"""`llmrec doctor`: what works here, what does not, and what to do about it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from llmrec.ui.cli.console import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, print_table, write_json

if TYPE_CHECKING:
    from llmrec.agents.assistant.language import Language
    from llmrec.settings import Settings
    from llmrec.workspace import Server

EXTRAS = {"postgres": "psycopg", "otel": "opentelemetry.sdk", "vllm": "vllm", "train": "trl", "ray": "ray"}

Status = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Check:
    """One finding: `fault` makes the command fail, `note` does not."""

    what: str
    status: Status
    detail: str


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Measure and check")(doctor)


def doctor(workspace: WorkspaceOption = DEFAULT_WORKSPACE, json: JsonOption = None) -> None:
    """Check the installation, the plugins, the workspace and the language model."""
    checks = [*_installation(), *_plugins(), *_workspace(workspace), _language(workspace)]
    if json:
        write_json([check.__dict__ for check in checks], json)
    else:
        print_table(("check", "status", "detail"), [(check.what, check.status, check.detail) for check in checks])
    if any(check.status == "fault" for check in checks):
        raise typer.Exit(1)


def _attempt(what: str, check: Callable[[], str]) -> Check:
    try:
        return Check(what, "ok", check())
    except Exception as error:  # a doctor reports every fault and goes on
        return Check(what, "fault", f"{type(error).__name__}: {error}".splitlines()[0])


def _installation() -> Iterator[Check]:
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in ("torch", "transformers", "langgraph", "chromadb", "gradio", "polars", "implicit"):
        yield _attempt(package, lambda package=package: importlib.metadata.version(package))  # type: ignore[misc]
    yield _attempt("embeddings", _embed)
    for extra, module in EXTRAS.items():
        if importlib.util.find_spec(module.split(".")[0]) is None:
            yield Check(f"extra {extra}", "note", f"not installed: pip install 'llmrec[{extra}]'")
        else:
            yield Check(f"extra {extra}", "ok", "installed")


def _embed() -> str:
    from llmrec.language.embeddings import open_embedder
    from llmrec.settings import Settings

    embedder = open_embedder(Settings.load(None).embeddings)
    return f"{embedder.name}, {embedder.embed(['a test']).shape[1]} dimensions"


def _plugins() -> Iterator[Check]:
    from llmrec import plugins

    for broken in plugins.broken():
        yield Check(f"plugin {broken.name}", "fault", str(broken))
    for group in plugins.GROUPS:
        yield Check(group, "ok", ", ".join(plugins.names(group)) or "none")


def _workspace(folder: Path) -> Iterator[Check]:
    from llmrec.settings import Settings
    from llmrec.workspace import Workspace

    if not folder.exists():
        yield Check("workspace", "note", f"{folder} does not exist: llmrec build DATA -w {folder}")
        return
    try:
        workspace = Workspace.open(folder)
    except Exception as error:
        yield Check("workspace", "fault", str(error))
        return
    problems = workspace.verify()
    for problem in problems:
        yield Check("workspace", "fault", str(problem))
    if not problems:
        yield Check("workspace", "ok", f"{folder}: {len(workspace.names)} artefacts, all whole")
    server = workspace.server()
    yield Check("server", "ok" if server else "note", server.address if server else f"none: llmrec serve -w {folder}")
    yield _attempt("settings", lambda: f"{len(Settings.load(folder).keys)} API keys set")


def _language(folder: Path) -> Check:
    """What the running server says of its language model; without one, whether the model answers a word."""
    from llmrec.errors import EngineTimeout
    from llmrec.settings import Settings
    from llmrec.workspace.server import find_server

    what = "language model"
    try:
        settings = Settings.load(folder)
        server = find_server(folder)
        if server is not None:
            told = _served(server)
        else:
            language = _opened(settings, folder)
            told = asyncio.run(_ask(language)) if language is not None else None
    except EngineTimeout as error:
        return Check(what, "note", f"{error}: where it only has to be loaded, llmrec serve waits for it")
    except Exception as error:  # a doctor reports every fault and goes on
        return Check(what, "fault", f"{error}".splitlines()[0])
    if told is None:
        return Check(what, "note", "none: rules and templates do its part; see the setting llm")
    name, state = told
    status: Status = "fault" if state.startswith("failing") else "ok" if state == "ready" else "note"
    return Check(what, status, f"{name or 'without a name yet'}: {state}")


def _served(server: Server) -> tuple[str, str] | None:
    """Name and state of the server's language model."""
    import httpx

    headers = {"Authorization": f"Bearer {server.token}"}
    model = httpx.get(f"{server.address}/health", headers=headers, trust_env=False).json().get("language_model")
    return (model["name"], model["state"]) if model else None


def _opened(settings: Settings, folder: Path) -> Language | None:
    """The language model that the folder would be served with."""
    from llmrec.agents.assistant.language import Language
    from llmrec.workspace import Workspace

    if settings.llm or not folder.exists():
        return Language.open(settings.llm, folder, settings.llm_timeout)
    with Workspace.open(folder) as workspace:
        return Language.of(workspace, settings)


async def _ask(language: Language) -> tuple[str, str]:
    """Its name and state, after one word."""
    try:
        await language.greet()
        return language.name, language.state
    finally:
        await language.aclose()
