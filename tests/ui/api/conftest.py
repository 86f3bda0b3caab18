"""A real server on a free port, and an assistant whose faults can be scripted."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from llmrec.errors import StateError, UnknownName
from llmrec.settings import Settings
from llmrec.turn import Stage, Turn, TurnEvent, TurnRequest
from llmrec.ui.api import create_app


@dataclass
class Faulty:
    """Stands where the assistant stands and does what the text of the message says."""

    language: Any = None
    started: int = 0
    cancelled: int = 0
    running: int = 0
    requests: list[TurnRequest] = field(default_factory=list)

    async def stream(self, request: TurnRequest) -> AsyncIterator[TurnEvent]:
        self.requests.append(request)
        self.started += 1
        self.running += 1
        try:
            if request.text == "locked":
                raise StateError("conversations cannot be written: the database is locked")
            if request.text == "bug":
                raise ZeroDivisionError(f"secret {request.text}")
            if request.thread == "nobody's":
                raise UnknownName("there is no such thread")
            yield TurnEvent(kind="stage", stage=Stage(name="understand", milliseconds=2))
            if request.text == "slow":
                await asyncio.sleep(60)
            yield TurnEvent(kind="text", text="Hello ")
            if request.text == "drip":
                for _ in range(600):
                    await asyncio.sleep(0.05)
                    yield TurnEvent(kind="text", text="drip ")
            if request.text == "broken":
                raise StateError("conversations cannot be written: the database is locked")
            if request.text == "broken bug":
                raise ZeroDivisionError("secret")
            yield TurnEvent(kind="text", text="there.")
            yield TurnEvent(kind="turn", turn=_turn(request))
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def turn(self, request: TurnRequest) -> Turn:
        async for event in self.stream(request):
            if event.turn is not None:
                return event.turn
        raise AssertionError

    def health(self) -> dict[str, Any]:
        return {"ready": True, "name": "scripted"}

    def keep_up(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        async def other(*_: Any, **__: Any) -> None:
            raise AssertionError(f"{name} was called")

        return other

    def item(self, item_id: str) -> dict[str, Any]:
        return {"item_id": item_id, "price": float("nan")}


def _turn(request: TurnRequest) -> Turn:
    trace = [Stage(name="understand", milliseconds=2), Stage(name="say", milliseconds=1)]
    return Turn(thread=request.thread or "t1", message_id="m1", turn=1, text="Hello there.", trace=trace)


class Server:
    """uvicorn in a thread, as `llmrec serve` runs it; `opening` makes the application inside the thread's loop."""

    state: Path
    """The file of conversations and memory, where there is one."""

    def __init__(self, opening: AbstractAsyncContextManager[Any]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(opening),), daemon=True)
        self._thread.start()
        wait_until(lambda: self._server is not None and self._server.started, 60)

    async def _serve(self, opening: AbstractAsyncContextManager[Any]) -> None:
        async with opening as app:
            config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
            self._server = uvicorn.Server(config)
            await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(10)


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def make_settings(**changes: Any) -> Settings:
    limits = {"requests_per_minute": 100_000} | changes.pop("limits", {})
    return Settings.model_validate({"limits": limits, **changes})


@pytest.fixture(scope="module")
def _faulty_servers() -> Iterator[tuple[Faulty, dict[str, Server]]]:
    servers: dict[str, Server] = {}
    yield Faulty(), servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def faulty(_faulty_servers: tuple[Faulty, dict[str, Server]]) -> Faulty:
    """The scripted assistant, as new."""
    assistant = _faulty_servers[0]
    assistant.__dict__.clear()
    assistant.__init__()  # type: ignore[misc]
    return assistant


@pytest.fixture
def serve_faulty(faulty: Faulty, _faulty_servers: tuple[Faulty, dict[str, Server]]) -> Callable[..., Server]:
    """`serve_faulty(keys=..., limits=...)`: a server around the scripted assistant; one without limits is shared."""
    servers = _faulty_servers[1]

    def start(**changes: Any) -> Server:
        name = f"limited {len(servers)}" if "limits" in changes else repr(changes)
        if name not in servers:
            app = create_app(faulty, make_settings(**changes))  # type: ignore[arg-type]
            servers[name] = Server(nullcontext(app))
        return servers[name]

    return start


@pytest.fixture
def serve_language(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`serve_language(engine, **settings)`: a server whose scripted assistant has this language model, or the one of a
    URI; adapters are looked up in `<tmp_path>/adapters`."""
    servers = []

    def start(engine: Any, **changes: Any) -> Server:
        from llmrec.adapters import AdapterSources, AdapterStore
        from llmrec.agents.assistant.language import Language

        settings = make_settings(**changes)
        assistant = Faulty()
        if isinstance(engine, str):
            assistant.language = Language.open(engine, tmp_path, settings.llm_timeout)
        else:
            assistant.language = Language(engine, AdapterSources(AdapterStore(tmp_path / "adapters")), 5.0)
        servers.append(Server(opened(assistant, settings)))
        return servers[-1]

    @asynccontextmanager
    async def opened(assistant: Faulty, settings: Settings) -> AsyncIterator[Any]:
        yield create_app(assistant, settings)  # type: ignore[arg-type]
        await assistant.language.aclose()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., None]:
    return wait_until


# --- The real assistant -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _open(workspace: Path, settings: Settings) -> AsyncIterator[Any]:
    from llmrec.agents.assistant import Assistant

    async with await Assistant.open(workspace, settings) as assistant:
        yield create_app(assistant, settings)


@pytest.fixture(scope="session")
def server(demo_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real assistant without keys."""
    state = tmp_path_factory.mktemp("state") / "state.sqlite"
    server = Server(_open(demo_workspace, make_settings(state=f"sqlite:{state}")))
    server.state = state
    yield server
    server.stop()


@pytest.fixture(scope="session")
def key_server(demo_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real assistant with keys: `sk-anna` and `sk-ben` for one user each, `sk-all` and `sk-shop` for all."""
    state = f"sqlite:{tmp_path_factory.mktemp('state') / 'state.sqlite'}"
    keys = {"sk-anna": ["anna"], "sk-ben": ["ben"], "sk-all": ["*"], "sk-shop": ["*"]}
    server = Server(_open(demo_workspace, make_settings(keys=keys, state=state)))
    yield server
    server.stop()
