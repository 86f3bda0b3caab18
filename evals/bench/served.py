"""What benchmarks over HTTP share: a workspace, and servers in processes of their own that talk to nobody else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from llmrec.contracts import Progress
from llmrec.errors import LlmrecError
from llmrec.settings import Settings

_START_SECONDS = 180


@contextmanager
def a_workspace(source: str, progress: Progress) -> Iterator[Path]:
    """`source` where it is a workspace; else one that is built from it and removed afterwards."""
    folder = Path(source)
    if source and (folder / "manifest.json").exists():
        yield folder
        return
    from llmrec.agents.assistant import build_workspace
    from llmrec.data.demo_world import generate

    with tempfile.TemporaryDirectory(prefix="llmrec-bench-") as temporary:
        if not source:
            folder = Path(temporary) / "data"
            generate(folder, progress=progress)
        workspace = Path(temporary) / "workspace"
        build_workspace(folder, workspace, progress=progress, settings=Settings.load())
        yield workspace


@contextmanager
def llmrec_served(workspace: Path, *options: str, **variables: str) -> Iterator[tuple[str, int]]:
    """`llmrec serve` on a free port, for as long as the block lasts, with more options and environment variables; gives
    its address and process id."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="llmrec-bench-") as folder:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LLMREC_KEYS")}
        environment |= {"LLMREC_LIMITS__REQUESTS_PER_MINUTE": "1000000", **variables}
        command = [sys.executable, "-m", "llmrec.ui.cli.main", "serve", "--workspace", str(workspace)]
        command += ["--port", str(port), "--state", f"sqlite:{folder}/state.sqlite", *options]
        address = f"http://127.0.0.1:{port}"
        with running(command, environment, Path(folder) / "server.log", f"{address}/health") as pid:
            yield address, pid


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: Path, ready: str, key: str = "none"
) -> Iterator[int]:
    """A server's process until the block ends; begins when it answers at the address `ready`."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=dict(environment))
    try:
        _wait_until_ready(ready, key, process, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_until_ready(address: str, key: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise LlmrecError(f"the server did not start: {' '.join(lines[-3:]) or 'it said nothing'}")
        with suppress(httpx.TransportError):
            if httpx.get(address, headers={"authorization": f"Bearer {key}"}, timeout=5).is_success:
                return
        time.sleep(0.2)
    raise LlmrecError(f"the server did not answer within {_START_SECONDS} s at {address}: try it by hand")
