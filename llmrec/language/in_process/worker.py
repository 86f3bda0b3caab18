"""The one thread in which a model computes: what waits and is of one kind runs as one batch.

A thread of its own, not the bounded pool (`llmrec.pool`): an answer takes seconds, and a few of them would keep every
turn from the pool's threads. One thread, because PyTorch spreads each operation over the cores itself.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
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

KEPT_ADAPTERS = 64
"""Adapters that stay loaded, and that jobs of one batch may have."""
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
        self._running: Chats | None = None

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
            for chat in [*self._chats(), *(chat for _, chat in self._waiting)]:
                chat.send(closed)
            self._model = self._adapters = self._running = None
            self._waiting = deque()

    def _compute(self) -> None:
        import torch

        # `llmrec serve` lets other computations have one thread each; this one may have all cores.
        torch.get_num_threads()  # a thread takes over the global number at its first call, so it must come first
        torch.set_num_threads(_cores())
        with torch.inference_mode():
            while not self._closed:
                if not (self._chats() or self._waiting):
                    self._wake.wait()
                self._wake.clear()
                self._take(self._drain())
                if self._waiting:
                    self._admit(*self._load())
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
        groups: defaultdict[Hashable, list[_Ready]] = defaultdict(list)
        for job in jobs:
            try:
                folder, given = self._folder(job.adapter), job.prepare(model)
            except Exception as error:
                self._end([job], self._mapped(error))
                continue
            if job.run is None:
                self._waiting.append((folder, given))
                job.result.set_result(None)
            else:
                groups[job.kind].append(_Ready(job, folder, given))
        for group in groups.values():
            for part in _with_few_adapters(group):
                self._run(model, adapters, part)

    def _run(self, model: LanguageModel, adapters: Adapters, group: list[_Ready]) -> None:
        """One batch of jobs of one kind."""
        in_use = {chat.slot for chat in self._chats()}
        for ready in list(group):
            try:
                ready.slot = adapters.slot(ready.folder, in_use)
                in_use.add(ready.slot)
            except Exception as error:
                group.remove(ready)
                self._end([ready.job], self._mapped(error))
        if not group:
            return
        run = group[0].job.run
        assert run is not None
        try:
            results = run(model, [ready.given for ready in group], [ready.slot for ready in group])
        except Exception as error:
            self._end([ready.job for ready in group], self._mapped(error))
            return
        for ready, result in zip(group, results, strict=True):
            ready.job.result.set_result(result)

    def _admit(self, model: LanguageModel, adapters: Adapters) -> None:
        """Begin chats that wait, as far as there is room."""
        from llmrec.language.in_process.chats import Chats

        new: list[Chat] = []
        in_use = {chat.slot for chat in self._chats()}
        while self._waiting and len(self._chats()) + len(new) < CHATS:
            folder, chat = self._waiting.popleft()
            if chat.left:
                continue
            try:
                chat.slot = adapters.slot(folder, in_use)
            except Exception as error:
                chat.send(self._mapped(error))
            else:
                in_use.add(chat.slot)
                new.append(chat)
        if new:
            self._running = self._running or Chats(model)
            self._with_chats(partial(self._running.join, new), new)

    def _step(self) -> None:
        """One more token for every chat."""
        if self._running is not None:
            self._with_chats(self._running.step)

    def _with_chats(self, act: Callable[[], None], new: Sequence[Chat] = ()) -> None:
        """Do something to all chats; if it fails, they all end."""
        affected = [*self._chats(), *new]
        try:
            act()
        except Exception as error:
            for chat in affected:
                chat.send(self._mapped(error))
            self._running = None
        if not self._chats():
            self._running = None

    def _chats(self) -> list[Chat]:
        """That are being answered."""
        return self._running.chats if self._running is not None else []

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


@dataclass
class _Ready:
    """A job whose input is there."""

    job: Job
    folder: Path | None
    given: Any
    slot: int = 0


def _with_few_adapters(group: Sequence[_Ready]) -> Iterator[list[_Ready]]:
    """Parts in which there are no more adapters than are kept."""
    part: list[_Ready] = []
    folders: set[Path | None] = set()
    for ready in group:
        if len(folders | {ready.folder}) > KEPT_ADAPTERS:
            yield part
            part, folders = [], set()
        part.append(ready)
        folders.add(ready.folder)
    yield part


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
