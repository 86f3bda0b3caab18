"""One bounded thread pool for all numerical work, so that nothing blocks the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SIZE = max(2, min(8, os.cpu_count() or 2))
"""Threads. NumPy, SciPy and PyTorch release the interpreter's lock; more threads than cores would only queue inside."""


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(SIZE, thread_name_prefix="llmrec")


async def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of `function(*args, **kwargs)`, computed in the pool; its exceptions are raised here.

    Context variables are carried over. A cancelled caller stops waiting; a function that has begun runs to its end.
    """
    call = partial(contextvars.copy_context().run, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_executor(), call)
