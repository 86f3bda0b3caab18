"""The one thread in which a model computes: what waits and is of one kind runs as one batch.

A thread of its own, not the bounded pool (`llmrec.pool`): an answer takes seconds, and a few of them would keep every
turn from the pool's threads. One thread, because a model has one active adapter at a time and PyTorch spreads each
operation over the cores itself.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrec.contracts import AdapterSource
from llmrec.errors import EngineError, EngineUnavailable, LlmrecError, UnknownAdapter
from llmrec.language.in_process.jobs import Chat, Job
from llmrec.language.in_process.target import Target

if TYPE_CHECKING:
    from llmrec.language.in_process.adapters import Adapters
    from llmrec.language.in_process.chats import Chats
    from llmrec.language.in_process.model import LanguageModel

log = logging.getLogger(__name__)

KEPT_ADAPTERS = 16
"""Adapters that stay loaded."""
CHATS = 64
"""Chats that are answered at the same time; more wait."""
_PATIENCE = 10.0
"""Seconds that closing waits for what is being computed."""


class Worker:
    """Loads the model at the first job and computes until it is closed."""

    def __init__(self, target: Target, adapters: AdapterSource | None) -> None:
        self._target, self._source = target, adapters
        self._jobs: deque[Job] = deque()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._model: LanguageModel | None = None
        self._adapters: Adapters | None = None
        self._waiting: deque[tuple[Path | None, Chat]] = deque()
        self._running: dict[Path | None, Chats] = {}

    def submit(self, job: Job) -> None:
        """Take a job, from an event loop. Jobs of one turn of the loop, as `asyncio.gather` makes them, run together.

        Raises `EngineError` where the worker is closed.
        """
        with self._lock:
            if self._closed:
                raise EngineError(f"the engine of {self._target.model} is closed: open another")
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="llmrec-language-model", daemon=True)
                self._thread.start()
                _started.add(self)
        asyncio.get_running_loop().call_soon(self._wake.set)

    def close(self) -> None:
        """Ask the thread to end; what still waits fails."""
        with self._lock:
            self._closed = True
        self._wake.set()

    def join(self) -> None:
        """Wait for the end of the thread, but not for ever."""
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._compute()
        finally:
            self.close()  # also where something went wrong that nothing here foresees
            closed = EngineError(f"the engine of {self._target.model} was closed")
            self._end(self._drain(), closed)
            running = [chat for chats in self._running.values() for chat in chats.chats]
            for chat in [*running, *(chat for _, chat in self._waiting)]:
                chat.send(closed)
            self._model = self._adapters = None
            self._running, self._waiting = {}, deque()

    def _compute(self) -> None:
        import torch

        # `llmrec serve` lets other computations have one thread each; this one may have all cores.
        torch.get_num_threads()  # a thread takes over the global number at its first call, so it must come first
        torch.set_num_threads(_cores())
        with torch.inference_mode():
            while not self._closed:
                if not (self._running or self._waiting):
                    self._wake.wait()
                self._wake.clear()
                self._take(self._drain())
                self._admit()
                self._step()

    def _drain(self) -> list[Job]:
        jobs = []
        while self._jobs:
            job = self._jobs.popleft()
            if job.result.set_running_or_notify_cancel():
                jobs.append(job)
        return jobs

    def _take(self, jobs: list[Job]) -> None:
        """Run jobs, those of one kind together; chats only get in line."""
        if not jobs:
            return
        try:
            model, adapters = self._load()
        except Exception as error:
            self._end(jobs, self._mapped(error))
            return
        groups: defaultdict[tuple[Hashable, Path | None], list[tuple[Job, Any]]] = defaultdict(list)
        for job in jobs:
            try:
                kind, given = (job.kind, self._folder(job.adapter)), job.prepare(model)
            except Exception as error:
                self._end([job], self._mapped(error))
            else:
                groups[kind].append((job, given))
        for (_, folder), group in groups.items():
            run = group[0][0].run
            if run is None:
                for job, chat in group:
                    self._waiting.append((folder, chat))
                    job.result.set_result(None)
                continue
            try:
                adapters.use(folder, self._in_use())
                results = run(model, [given for _, given in group])
            except Exception as error:
                self._end([job for job, _ in group], self._mapped(error))
                continue
            for (job, _), result in zip(group, results, strict=True):
                job.result.set_result(result)

    def _admit(self) -> None:
        """Begin chats that wait, as far as there is room."""
        from llmrec.language.in_process.chats import Chats

        room = CHATS - sum(len(chats.chats) for chats in self._running.values())
        new: defaultdict[Path | None, list[Chat]] = defaultdict(list)
        while self._waiting and room > 0:
            folder, chat = self._waiting.popleft()
            if not chat.left:
                new[folder].append(chat)
                room -= 1
        for folder, chats in new.items():
            self._with_chats(folder, partial(Chats.join, chats=chats), chats)

    def _step(self) -> None:
        """One more token for every chat."""
        from llmrec.language.in_process.chats import Chats

        for folder in list(self._running):
            self._with_chats(folder, Chats.step, self._running[folder].chats)

    def _with_chats(self, folder: Path | None, act: Callable[[Chats], None], chats: Sequence[Chat]) -> None:
        """Do something to the chats of one adapter; if it fails, they all end."""
        from llmrec.language.in_process.chats import Chats

        assert self._model is not None and self._adapters is not None
        running = self._running.setdefault(folder, Chats(self._model))
        affected = {id(chat): chat for chat in (*running.chats, *chats)}
        try:
            self._adapters.use(folder, self._in_use())
            act(running)
        except Exception as error:
            for chat in affected.values():
                chat.send(self._mapped(error))
            running.chats.clear()
        if not running.chats:
            del self._running[folder]

    def _load(self) -> tuple[LanguageModel, Adapters]:
        if self._model is None or self._adapters is None:
            import torch

            from llmrec.language.in_process.adapters import Adapters
            from llmrec.language.in_process.loading import load

            with torch.inference_mode(False):
                self._model = load(self._target)
            self._adapters = Adapters(self._model, KEPT_ADAPTERS)
        return self._model, self._adapters

    def _folder(self, adapter: str | None) -> Path | None:
        """Where an adapter is now; a new version of it is another folder."""
        if adapter is None or self._source is None:
            return None
        try:
            folder = self._source.resolve(adapter)
        except Exception as error:
            raise UnknownAdapter(f"the adapter {adapter!r} cannot be had: {error}") from None
        if folder is None:
            raise UnknownAdapter(f"there is no adapter {adapter!r}: llmrec adapters list shows those of the workspace")
        return folder

    def _in_use(self) -> set[Path]:
        return {folder for folder in self._running if folder is not None}

    def _end(self, jobs: Sequence[Job], error: EngineError) -> None:
        for job in jobs:
            job.result.set_exception(error)

    def _mapped(self, error: Exception) -> EngineError:
        """What callers may see: nothing but the `EngineError` family."""
        if isinstance(error, EngineError):
            return error
        if isinstance(error, LlmrecError):
            return EngineError(str(error))
        import torch

        if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
            return EngineUnavailable(f"there is not enough memory for {self._target.model}")
        log.error("the language model %s failed", self._target.model, exc_info=error)
        return EngineError(f"the language model {self._target.model} failed ({type(error).__name__})")


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_started: weakref.WeakSet[Worker] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """A thread inside PyTorch must not meet the end of the interpreter."""
    workers = list(_started)
    for worker in workers:
        worker.close()
    for worker in workers:
        worker.join()
