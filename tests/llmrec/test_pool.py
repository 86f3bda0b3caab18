"""The pool: bounded, off the event loop, transparent for results, errors, context and cancellation."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest

from llmrec import pool


async def test_results_and_errors_come_back() -> None:
    assert await pool.run(divmod, 7, 2) == (3, 1)
    assert await pool.run(sorted, [1, 2], reverse=True) == [2, 1]
    with pytest.raises(ZeroDivisionError):
        await pool.run(divmod, 1, 0)


async def test_the_loop_goes_on_meanwhile() -> None:
    loop, started, finish = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def wait() -> str:
        loop.call_soon_threadsafe(started.set)
        return "done" if finish.wait(10) else "never"

    task = asyncio.create_task(pool.run(wait))
    await started.wait()
    finish.set()
    assert await task == "done"


async def test_no_more_threads_than_its_size() -> None:
    lock, running, most, names = threading.Lock(), 0, 0, set()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            names.add(threading.current_thread().name)
        time.sleep(0.005)
        with lock:
            running -= 1

    await asyncio.gather(*(pool.run(work) for _ in range(40)))
    assert 1 < most <= pool.SIZE
    assert all(name.startswith("llmrec") for name in names)


async def test_context_is_carried_over() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    variable.set("request 7")
    assert await pool.run(variable.get) == "request 7"


async def test_a_cancelled_caller_leaves_the_pool_usable() -> None:
    finish = threading.Event()
    tasks = [asyncio.create_task(pool.run(finish.wait, 10)) for _ in range(2 * pool.SIZE)]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    assert all(isinstance(r, asyncio.CancelledError) for r in await asyncio.gather(*tasks, return_exceptions=True))
    finish.set()
    assert await pool.run(int, "3") == 3
