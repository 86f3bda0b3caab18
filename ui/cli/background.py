"""Training beside a server: a child process that yields to everybody, and ends when its parent does.

The child reads its standard input, on which nothing ever comes: its end is the end of the parent, however it died.
What it has to tell comes on standard output, a JSON line each.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant
    from llmrec.contracts import Progress

logger = logging.getLogger("llmrec.training")

_NICE = 10
_QUIET = 60.0
"""Seconds to wait for a first answer before training begins without one."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"), "1")


# --- The child --------------------------------------------------------------------------------------------------------


def yield_to_others() -> None:
    """Take only what others leave, and end when standard input does."""
    os.nice(_NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # not by `sys.stdin`, whose lock the end of this process would wait for
        pass
    os._exit(1)  # nothing is lost: what training writes is whole at every moment


@contextmanager
def to_parent() -> Iterator[Progress]:
    """Progress as JSON lines."""

    def line(what: str, done: int, total: int) -> None:
        print(json.dumps({"what": what, "done": done, "total": total}), flush=True)

    yield line


# --- The parent -------------------------------------------------------------------------------------------------------


async def train_beside(assistant: Assistant, workspace: Path) -> bool:
    """Train the workspace's own model after the first answer, and switch to it; whether that went well.

    Cancelled, it ends the child, and the next time goes on where this one stopped. Never raises for a training that
    fails.
    """
    with suppress(TimeoutError):
        await asyncio.wait_for(assistant.answered.wait(), _QUIET)
    command = ("-m", "llmrec.ui.cli.main", "train", "language", str(workspace), "--in-background")
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **_ONE_THREAD},
            start_new_session=True,  # Ctrl-C is for the server, which ends the child
        )
    except OSError as error:
        logger.warning("the language model cannot be trained (%s): the demo goes on without it", error)
        return False
    said = ""
    try:
        assert child.stdout is not None
        async for line in child.stdout:
            said = line.decode(errors="replace").strip() or said
            assistant.training = _shown(said) or assistant.training
        code = await child.wait()
    finally:
        assistant.training = ""
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    if code:
        logger.warning("training the language model failed, the demo goes on without it: %s", said)
        return False
    assistant.keep_up()
    return True


def _shown(line: str) -> str:
    """A line of the child as a person reads it in `/health`; "" for one that is no progress."""
    try:
        told = json.loads(line)
        return f"language model: {told['what']}, {100 * told['done'] // max(told['total'], 1)}%"
    except (ValueError, KeyError, TypeError):
        return ""
