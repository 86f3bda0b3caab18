"""How commands reach a workspace: through the running server where there is one, else the same API in process.

Either way a command speaks the HTTP API, so there is one way to do each thing and a command can run while `serve` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from llmrec.errors import LlmrecError, UserError
from llmrec.settings import Settings
from llmrec.workspace import Workspace


@asynccontextmanager
async def connect(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the workspace's API."""
    workspace = Workspace.open(folder)
    server = workspace.server()
    if server is not None:
        headers = {"Authorization": f"Bearer {server.token}"}
        async with httpx.AsyncClient(base_url=server.address, headers=headers, timeout=120) as client:
            await _ready(client)
            yield client
        return
    from llmrec.agents.assistant import Assistant
    from llmrec.ui.api import create_app

    settings = Settings.load(folder).model_copy(update={"keys": {}})  # whoever can read the folder is its operator
    async with await Assistant.open(workspace, settings) as assistant:
        transport = httpx.ASGITransport(app=create_app(assistant, settings), client=("127.0.0.1", 0))
        async with httpx.AsyncClient(base_url="http://127.0.0.1", transport=transport, timeout=None) as client:
            yield client


async def _ready(client: httpx.AsyncClient) -> None:
    """Wait for a server that has announced itself and is still loading its models."""
    for _ in range(300):
        try:
            await client.get("/health")
            return
        except httpx.TransportError:
            await asyncio.sleep(0.1)
    raise LlmrecError(f"the server at {client.base_url} does not answer; stop it, or wait until it is ready")


async def call(client: httpx.AsyncClient, method: str, path: str, **arguments: Any) -> Any:
    """One request; the API's error becomes the command's."""
    try:
        response = await client.request(method, path, **arguments)
    except httpx.HTTPError as error:
        raise LlmrecError(
            f"the server at {client.base_url} did not answer ({type(error).__name__}); is it still running?"
        ) from error
    if response.is_success:
        return response.json()
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = f"the server answered {response.status_code}"
    raise UserError(message) if response.status_code < 500 else LlmrecError(message)
