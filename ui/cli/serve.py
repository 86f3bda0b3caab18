"""`llmrec demo` and `llmrec serve`: chat page and API on one port."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmrec.errors import UserError
from llmrec.ui.cli.console import DEFAULT_WORKSPACE, SeedOption, WorkspaceOption, progress, stdout, tell

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant
    from llmrec.settings import Settings
    from llmrec.workspace import Workspace

GRACE = 5
"""Seconds that answers in work get when the server stops."""

HostOption = Annotated[str | None, typer.Option(help="Address to bind to; anything but loopback needs API keys.")]
PortOption = Annotated[
    int | None, typer.Option(help="Port of chat page and API, 7860 by default; 0 takes a free one.", show_default=False)
]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Start")(demo)
    app.command(rich_help_panel="Start")(serve)


def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the demo's data and workspace go.")] = Path("demo"),
    host: HostOption = None,
    port: PortOption = None,
    seed: SeedOption = 0,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Train a small language model on it in the background.")
    ] = True,
) -> None:
    """Generate the demo world, a bookshop, build its workspace and serve it."""
    from llmrec.settings import Settings
    from llmrec.workspace import Workspace

    data, workspace = folder / "data", folder / "workspace"
    settings = Settings.load(workspace, {"host": host, "port": port})
    with _bind(settings) as listener:  # a wrong address is told before the work, not after it
        from llmrec.agents.assistant import build_workspace
        from llmrec.data.demo_world import generate

        with progress() as report:
            generate(data, seed=seed, progress=report)
            build_workspace(data, workspace, progress=report, settings=settings)
        asyncio.run(_serve(Workspace.open(workspace), settings, listener, *((_train_own,) if train else ())))


async def _train_own(assistant: Assistant) -> None:
    """Train the demo's own language model, unless it has one already or another one is set."""
    from llmrec.agents.assistant.own import own_model
    from llmrec.ui.cli.background import train_beside

    own = own_model(assistant.workspace)
    if assistant.settings.llm or (own is not None and not own.stale):
        return
    tell("a small language model is trained on this shop in the background (--no-train: not)", "dim")
    if await train_beside(assistant, assistant.workspace.path):
        tell("the language model is trained and in use: chat with the model 'nano' of the API", "dim")


def serve(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    host: HostOption = None,
    port: PortOption = None,
    llm: Annotated[
        str | None, typer.Option(help="Language model: transformers:MODEL, vllm:MODEL or openai:URL#MODEL.")
    ] = None,
    state: Annotated[str | None, typer.Option(help="Conversations and memory: sqlite:FILE or postgresql://...")] = None,
    vectors: Annotated[str | None, typer.Option(help="Vectors: chroma:FOLDER or chroma+http://host:port.")] = None,
    policy: Annotated[str | None, typer.Option(help="What decides: planner, max-entropy, abs-greedy, ...")] = None,
) -> None:
    """Serve the chat page and the OpenAI-compatible API of a workspace."""
    from llmrec.settings import Settings
    from llmrec.workspace import Workspace

    options = {"host": host, "port": port, "llm": llm, "state": state, "vectors": vectors, "policy": policy}
    settings = Settings.load(workspace, options)
    opened = Workspace.open(workspace)
    try:
        listener = _bind(settings)
    except UserError:
        opened.announce("").close()  # where this workspace is served already, that is the better reason
        raise
    from llmrec.ui.api import log_requests

    log_requests()
    with listener:
        asyncio.run(_serve(opened, settings, listener))


def _bind(settings: Settings) -> socket.socket:
    """A socket that holds the address; `UserError` where it cannot be had."""
    settings.check_exposure()
    # The protocol by name, or asyncio leaves Nagle's algorithm on: answers would wait 40 ms for an acknowledgement.
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise UserError(
            f"cannot serve on {settings.host}:{settings.port} ({reason}): choose another --port or --host"
        ) from None
    return listener


def _address(settings: Settings, listener: socket.socket) -> str:
    """The base URL for programs on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


async def _wake(assistant: Assistant) -> None:
    """Load the language model: at once where agents ask it, else after the first answer, which loading would slow."""
    if (language := assistant.language) is not None:
        if not language.instructed:
            await assistant.answered.wait()
        language.wake()


async def _serve(
    workspace: Workspace,
    settings: Settings,
    listener: socket.socket,
    *beside: Callable[[Assistant], Coroutine[Any, Any, None]],
) -> None:
    """Serve until a signal says stop, and do what is to be done `beside`; then answers in work are finished and all is
    closed."""
    import uvicorn
    from threadpoolctl import threadpool_limits

    from llmrec.agents.assistant import Assistant
    from llmrec.settings import ALL
    from llmrec.ui.api import create_app
    from llmrec.ui.chat import mount_chat

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Stop by a signal and go on after that, where uvicorn would raise the signal again."""
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.handle_exit, number, None)
            try:
                yield
            finally:
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.remove_signal_handler(number)

        def handle_exit(self, sig: int, frame: Any) -> None:
            super().handle_exit(sig, frame)
            stopping.set()
            logging.getLogger("uvicorn.error").disabled = True  # it would show a traceback for each answer cut off

    address = _address(settings, listener)
    stopping = asyncio.Event()
    with workspace.announce(address) as announcement:
        # Commands beside the server prove with this token that they can read the workspace.
        if settings.keys:
            settings = settings.model_copy(update={"keys": {**settings.keys, announcement.server.token: (ALL,)}})
        async with await Assistant.open(workspace, settings) as assistant:
            # Turns run beside each other, so threads inside one matrix product only get into each other's way.
            threadpool_limits(1)
            app = _Leaving(mount_chat(create_app(assistant, settings), assistant, settings), stopping)
            server = Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE))
            aside: list[asyncio.Task[None]] = []
            running = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started and not running.done():  # noqa: ASYNC110 (uvicorn offers no event)
                await asyncio.sleep(0.02)
            if server.started:
                aside = [asyncio.create_task(task(assistant)) for task in (_wake, *beside)]
                stdout.print()
                tell(f"{assistant.name} is ready: {len(assistant.catalogue):,} items", "bold")
                tell(f"  chat page  {address}/")
                tell(f"  API        {address}/v1   (documentation: {address}/docs)")
                tell("  stop       Ctrl-C\n")
            await running
            for task in aside:
                task.cancel()
            await asyncio.gather(*aside, return_exceptions=True)


class _Leaving:
    """ASGI middleware; once the server stops, it tells the page's endless streams that their client has left."""

    def __init__(self, app: Callable[..., Awaitable[None]], stopping: asyncio.Event) -> None:
        self.app, self.stopping = app, stopping

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return

        async def receive_or_leave() -> Any:
            message, stop = asyncio.ensure_future(receive()), asyncio.ensure_future(self.stopping.wait())
            try:
                await asyncio.wait((message, stop), return_when=asyncio.FIRST_COMPLETED)
                return message.result() if message.done() else {"type": "http.disconnect"}
            finally:
                message.cancel()
                stop.cancel()

        await self.app(scope, receive_or_leave, send)
