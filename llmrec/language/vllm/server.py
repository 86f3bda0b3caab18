"""A vLLM server that llmrec starts: on a free port of loopback, with a random key, started again after a crash."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from llmrec.errors import EngineError, EngineUnavailable
from llmrec.language.endpoint import Endpoint
from llmrec.language.vllm import keeper
from llmrec.language.vllm.run_folder import RunFolder

log = logging.getLogger(__name__)

Launch = Callable[[int, str, RunFolder], tuple[Sequence[str], Mapping[str, str]]]
"""From port, key and files to the server's command line and environment."""

STARTING = 900.0
"""Seconds that a server may take until it answers."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
"""Seconds before a server that ended is started again: twice as long each time."""
_HEALTHY = 60.0
"""Seconds of service after which earlier crashes are forgotten."""
_POLL = 0.2
_TELL = 10.0


class Server:
    """Supervises one server. Starts it when it is first asked for, and again, with back-off, after it ended."""

    def __init__(self, launch: Launch, folder: Callable[[], RunFolder], timeout: float, model: str) -> None:
        """`folder` makes the folder for its files; `timeout` and `model` are for the `Endpoint`."""
        self._launch, self._make_folder = launch, folder
        self._timeout, self._model = timeout, model
        self._endpoint: Endpoint | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._problem = ""
        self.files: RunFolder | None = None
        """None before the first start."""
        self.pid: int | None = None
        """Of the process that keeps the server; None while there is none."""
        self.key = ""
        """What the running server takes as its key."""

    async def endpoint(self) -> Endpoint:
        """The client of the running server; waits while one is being started.

        Raises `EngineUnavailable` where the server has just failed: it is started again after a while.
        """
        while self._endpoint is None:
            if self._problem:
                raise EngineUnavailable(self._problem)
            if self._supervisor is None:
                self._supervisor = asyncio.create_task(self._supervise())
            await self._changed.wait()
        return self._endpoint

    async def aclose(self) -> None:
        """End the server and remove its files, but for the log. Calls from now on raise `EngineUnavailable`."""
        self._problem = "the vLLM server has been stopped: open the engine again"
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        if self.files is not None:
            await asyncio.to_thread(self.files.close)
        self._notify()

    async def _supervise(self) -> None:
        wait = FIRST_WAIT
        try:
            self.files = await asyncio.to_thread(self._make_folder)
        except EngineError as error:
            self._problem = str(error)
            self._notify()
            return
        while True:
            self._ready = float("inf")
            try:
                reason = await self._serve(self.files)
            except OSError as error:  # the command cannot be run
                reason = f"cannot be started ({error.strerror})"
            if time.monotonic() - self._ready > _HEALTHY:
                wait = FIRST_WAIT
            self._problem = (
                f"the vLLM server {reason}: it is started again in {wait:.0f} s "
                f"({self.files.log}: {self.files.last_words()})"
            )
            log.warning("%s", self._problem)
            self._notify()
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
            self._problem = ""

    async def _serve(self, files: RunFolder) -> str:
        """Start a server and wait until it ends; says how it did."""
        port, self.key = _free_port(), secrets.token_hex(16)
        command, environment = self._launch(port, self.key, files)
        log.info("starting a vLLM server; its log is %s", files.log)
        process = await asyncio.to_thread(_spawn, command, environment, files)
        self.pid = process.pid
        endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", self.key, self._timeout, model=self._model)
        try:
            if not await self._answers(process, port, endpoint, files):
                return "took too long to start" if process.poll() is None else "did not start"
            self._endpoint, self._ready = endpoint, time.monotonic()
            self._notify()
            while process.poll() is None:  # noqa: ASYNC110  (no thread, which would keep the event loop from closing)
                await asyncio.sleep(_POLL)
            return "ended"
        finally:
            self._endpoint, self.pid = None, None
            await asyncio.shield(asyncio.to_thread(_end, process))
            await endpoint.aclose()

    async def _answers(self, process: subprocess.Popen[bytes], port: int, endpoint: Endpoint, files: RunFolder) -> bool:
        """Wait until the server takes requests; False where it ends, or takes too long."""
        begun = told = time.monotonic()
        while process.poll() is None and (now := time.monotonic()) < begun + STARTING:
            if await asyncio.to_thread(_listens, port):
                with suppress(EngineError, TimeoutError):
                    async with asyncio.timeout(5):
                        await endpoint.models()
                    log.info("the vLLM server is ready after %.0f s", now - begun)
                    return process.poll() is None
            if now > told + _TELL:
                told = now
                log.info("the vLLM server is starting, %.0f s: %s", now - begun, files.last_words())
            await asyncio.sleep(_POLL)
        return False

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _free_port() -> int:
    """A port that nobody has now. Should another process take it meanwhile, the server ends, and the next start asks
    for another one."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _spawn(command: Sequence[str], environment: Mapping[str, str], files: RunFolder) -> subprocess.Popen[bytes]:
    with files.log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", keeper.__file__, *command],
            stdin=subprocess.PIPE,  # its end tells the keeper that this process has ended
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=files.path,
            start_new_session=True,  # a Ctrl-C in the terminal is for llmrec
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Tell the keeper to end the server; it knows how."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(keeper.PATIENCE + 5)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
