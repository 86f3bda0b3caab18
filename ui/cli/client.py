"""How commands reach a workspace: through the running server where there is one, else the same API in process.

Either way a command speaks the HTTP API, so there is one way to do each thing and a command can run while `serve` does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrec.errors import LlmrecError, UserError

if TYPE_CHECKING:
    import httpx

    from llmrec.workspace import Workspace

_LOADING_SECONDS = 120
"""How long to wait for a server that has announced itself and is still loading."""


@asynccontextmanager
async def connect(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the workspace's API."""
    import httpx

    from llmrec.settings import Settings
    from llmrec.workspace import Workspace

    workspace = Workspace.open(folder)
    server = workspace.server()
    if server is not None:
        workspace.close()
        headers = {"Authorization": f"Bearer {server.token}"}
        async with httpx.AsyncClient(base_url=server.address, headers=headers, timeout=120, trust_env=False) as client:
            await _ready(client, workspace)
            yield client
        return
    from llmrec.agents.assistant import Assistant
    from llmrec.ui.api import create_app

    # Whoever can read the folder is its operator, and nobody else can connect.
    settings = Settings.load(folder).model_copy(update={"keys": {}, "host": "127.0.0.1"})
    async with await Assistant.open(workspace, settings) as assistant:
        transport = httpx.ASGITransport(app=create_app(assistant, settings), client=("127.0.0.1", 0))
        async with httpx.AsyncClient(base_url="http://127.0.0.1", transport=transport, timeout=None) as client:
            # Until search is open, what is like an item is judged by less: no two runs should differ.
            while (await client.get("/health")).json()["search"] == "opening":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            yield client


async def _ready(client: httpx.AsyncClient, workspace: Workspace) -> None:
    import httpx

    give_up = time.monotonic() + _LOADING_SECONDS
    while True:
        try:
            await client.get("/health")
            return
        except httpx.ConnectError:
            if workspace.server() is None:
                raise LlmrecError("the server has just been stopped: run the command again") from None
            if time.monotonic() > give_up:
                raise LlmrecError(
                    f"the server at {client.base_url} does not answer: stop it, or wait until it is ready"
                ) from None
            await asyncio.sleep(0.1)


async def call(client: httpx.AsyncClient, method: str, path: str, **arguments: Any) -> Any:
    """One request; waits where there were too many; the API's error becomes the command's."""
    import httpx

    try:
        response = await client.request(method, path, **arguments)
        while response.status_code == 429:
            await asyncio.sleep(float(response.headers["retry-after"]))
            response = await client.request(method, path, **arguments)
    except httpx.HTTPError as error:
        raise LlmrecError(
            f"the server at {client.base_url} did not answer ({type(error).__name__}): is it still running?"
        ) from None
    if response.is_success:
        return response.json()
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = f"the server answered {response.status_code}"
    raise UserError(message) if response.status_code < 500 else LlmrecError(message)


async def request(folder: Path, method: str, path: str, **arguments: Any) -> Any:
    """`call` for commands that have one."""
    async with connect(folder) as client:
        return await call(client, method, path, **arguments)
