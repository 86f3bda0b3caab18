"""Stands between llmrec and a server that it starts, so that the server never outlives llmrec.

    python -I keeper.py COMMAND ...

It runs the command in a process group of its own and ends the whole group when its standard input closes or its parent
is gone (llmrec has ended, however it did), when it is asked to (SIGTERM), or when the command ends: vLLM's engine and
worker processes stay behind where its API process is killed. The standard library alone, because the keeper is there
as long as the server is.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

PATIENCE = 10.0
"""Seconds that the server has to end by itself."""
_PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> int:
    """Run the command until it or llmrec ends; its exit status."""
    parent = os.getppid()
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_end_with_the_keeper)
    while child.poll() is None and not asked and os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], 0.5)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            break
    if child.poll() is None:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


def _end_with_the_keeper() -> None:
    """In the child: a SIGTERM when the keeper dies. The keeper has one thread, so its death is what is meant."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
