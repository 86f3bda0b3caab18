"""`llmrec serve` and `demo` as processes: addresses, conflicts, and stopping."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from llmrec.settings import Settings
from llmrec.ui.cli.serve import _bind

from .conftest import KEYS, Llmrec, Process, _no_state, serving, spawn


def test_a_second_server_is_refused(llmrec: Llmrec, served: Process, cli_workspace: Path) -> None:
    for port in (0, served.address.rpartition(":")[2]):
        outcome = llmrec("serve", "-w", cli_workspace, "--port", port)
        assert outcome.code == 1 and "Traceback" not in outcome.err
        assert f"already served by process {served.process.pid} at {served.address}" in outcome.err


def test_addresses_that_cannot_be_served(llmrec: Llmrec, demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for command in (["serve", "-w", demo_workspace], ["demo", "--folder", "here"]):
            mistake = llmrec(*command, "--port", port).mistake
            assert f"cannot serve on 127.0.0.1:{port}" in mistake and "choose another --port" in mistake
    assert not Path("here").exists(), "told before the work"
    assert "needs keys: set LLMREC_KEYS" in llmrec("serve", "-w", demo_workspace, "--host", "0.0.0.0").mistake
    assert "65535" in llmrec("serve", "-w", demo_workspace, "--port", 70000).mistake
    monkeypatch.setenv("LLMREC_KEYS", KEYS)
    assert (
        "cannot serve on no.such.host.invalid"
        in llmrec("serve", "-w", demo_workspace, "--host", "no.such.host.invalid").mistake
    )


async def test_connections_send_at_once() -> None:
    """An answer is two writes, headers and body: the second must not wait until the first is acknowledged."""
    no_delay: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        no_delay.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = _bind(Settings(port=0))
    async with await asyncio.start_server(accepted, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        assert await asyncio.wait_for(no_delay, 10)
        writer.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_the_server_at_once_also_with_an_open_page(
    number: int, demo_workspace: Path, tmp_path: Path
) -> None:
    workspace = shutil.copytree(demo_workspace, tmp_path / "ws", ignore=_no_state)
    server = serving("serve", "-w", workspace, "--port", 0)
    with httpx.Client(base_url=server.address, timeout=30) as client:
        assert "gradio_config" in client.get("/").text
        assert client.get("/v1/models", headers={"x-request-id": "find-me"}).headers["x-request-id"] == "find-me"
        while client.get("/health").json()["search"] != "ready":
            time.sleep(0.1)
        with client.stream("GET", "/gradio_api/heartbeat/a-page-that-stays-open") as page:
            assert page.status_code == 200
            code, rest = server.end(number)
    assert code == 0, rest
    logged = [json.loads(line) for line in rest.splitlines() if line]  # and nothing else: no traceback
    assert {"route": "/v1/models", "status": 200} in [{k: line[k] for k in ("route", "status")} for line in logged]
    assert any(line["request_id"] == "find-me" for line in logged)
    assert not (workspace / "server.json").exists()


def test_demo_is_one_command_that_trains_beside_its_answers(tmp_path: Path) -> None:
    demo = serving("demo", "--folder", tmp_path / "demo", "--port", 0)
    assert httpx.get(f"{demo.address}/health").json()["training"] == ""
    answer = httpx.post(
        f"{demo.address}/v1/chat/completions",
        json={"model": "llmrec", "messages": [{"role": "user", "content": "something gloomy by the sea"}]},
        timeout=60,
    )
    assert answer.json()["choices"][0]["message"]["llmrec"]["items"]
    assert httpx.get(f"{demo.address}/health").json()["items"] == 2000
    while not httpx.get(f"{demo.address}/health").json()["training"].startswith("language model"):
        time.sleep(0.1)
    [child] = _trainings(tmp_path)
    assert os.getpriority(os.PRIO_PROCESS, child) >= 10
    code, said = demo.end(signal.SIGINT)
    assert code == 0 and "Traceback" not in said, said
    assert _trainings(tmp_path) == []
    assert (tmp_path / "demo" / "workspace" / "manifest.json").exists()


def _trainings(folder: Path) -> list[int]:
    """Processes that train beside a server of a workspace in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().decode().split("\0")
            if "--in-background" in words and any(word.startswith(str(folder)) for word in words):
                found.append(int(process.name))
    return found


def test_stopping_before_it_is_ready_leaves_the_workspace_free(demo_workspace: Path, tmp_path: Path) -> None:
    workspace = shutil.copytree(demo_workspace, tmp_path / "ws", ignore=_no_state)
    process = spawn("serve", "-w", workspace, "--port", 0)
    while not (workspace / "server.json").exists():
        assert process.process.poll() is None
        time.sleep(0.02)
    code, said = process.end(signal.SIGINT)
    assert code in (0, 130) and "Traceback" not in said, said
    assert not (workspace / "server.json").exists()
