"""`llmrec demo` and `llmrec serve`: chat page and API on one port."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec.errors import UserError
from llmrec.settings import ALL, Settings
from llmrec.ui.cli.console import DEFAULT_WORKSPACE, SeedOption, WorkspaceOption, progress, stdout
from llmrec.workspace import Workspace

HostOption = Annotated[str | None, typer.Option(help="Address to bind to; anything but loopback needs API keys.")]
PortOption = Annotated[int | None, typer.Option(help="Port of chat page and API.")]


def register(app: typer.Typer) -> None:
    app.command()(demo)
    app.command()(serve)


def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the demo's data and workspace go.")] = Path("demo"),
    host: HostOption = None,
    port: PortOption = None,
    seed: SeedOption = 0,
) -> None:
    """Generate the demo world, build its workspace and serve it: everything from one command."""
    from llmrec.agents.assistant import build_workspace
    from llmrec.data.demo_world import generate

    settings = Settings.load(None, _given(host=host, port=port))
    _check_address(settings)
    data, workspace = folder / "data", folder / "workspace"
    with progress() as report:
        generate(data, seed=seed, progress=report)
        build_workspace(data, workspace, progress=report, settings=settings)
    _run(workspace, Settings.load(workspace, _given(host=host, port=port)))


def serve(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    host: HostOption = None,
    port: PortOption = None,
    llm: Annotated[str | None, typer.Option(help="Language model, e.g. openai:http://host:8000/v1#model.")] = None,
    state: Annotated[str | None, typer.Option(help="Conversations and memory: sqlite:FILE or postgresql://...")] = None,
    vectors: Annotated[str | None, typer.Option(help="Vectors: chroma:FOLDER or chroma+http://host:port.")] = None,
) -> None:
    """Serve the chat page and the OpenAI-compatible API of a workspace."""
    settings = Settings.load(workspace, _given(host=host, port=port, llm=llm, state=state, vectors=vectors))
    _check_address(settings)
    _run(workspace, settings)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _check_address(settings: Settings) -> None:
    """Fail before the work, not after it."""
    settings.check_exposure()
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise UserError(
                f"cannot serve on {settings.host}:{settings.port}: {error.strerror}; choose another --port"
            ) from error


def _run(folder: Path, settings: Settings) -> None:
    asyncio.run(_serve(Workspace.open(folder), settings))


async def _serve(workspace: Workspace, settings: Settings) -> None:
    import uvicorn

    from llmrec.agents.assistant import Assistant
    from llmrec.ui.api import create_app
    from llmrec.ui.chat import mount_chat

    address = f"http://{f'[{settings.host}]' if ':' in settings.host else settings.host}:{settings.port}"
    with workspace.announce(address) as announcement:
        # Commands beside the server prove with this token that they can read the workspace.
        if settings.keys:
            settings = settings.model_copy(update={"keys": {**settings.keys, announcement.server.token: (ALL,)}})
        async with await Assistant.open(workspace, settings) as assistant:
            app = mount_chat(create_app(assistant, settings), assistant, settings)
            config = uvicorn.Config(
                app, host=settings.host, port=settings.port, log_level="warning", access_log=False,
                timeout_graceful_shutdown=5,
            )  # fmt: skip
            running = uvicorn.Server(config)
            task = asyncio.create_task(running.serve())
            while not running.started and not task.done():  # noqa: ASYNC110 (uvicorn offers no event)
                await asyncio.sleep(0.02)
            if running.started:
                stdout.print(f"\n[bold]{assistant.name}[/] is ready ({len(assistant.catalogue):,} items)")
                stdout.print(f"  chat page  {address}/")
                stdout.print(f"  API        {address}/v1   (documentation: {address}/docs)")
                stdout.print("  stop       Ctrl-C\n")
            await task
