"""Whether the language model is worth asking now: one that is down must not cost every turn its whole timeout."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from llmrec.errors import EngineRefused, EngineTimeout, EngineUnavailable, LlmrecError, NotSupported

T = TypeVar("T")

FIRST_REST, LONGEST_REST = 5.0, 60.0
"""Seconds that a language model is left alone after its first failure, and at most; doubled with each failure."""


class Breaker:
    """Asks one language model for all conversations, and leaves it alone for a while after it failed.

    A failure is a server that is out of reach or too slow; one that answers nonsense costs no timeout.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._failed_at = self._rests_until = -math.inf
        self._reason = ""
        self._answered = self._starting = False

    @property
    def state(self) -> str:
        """`not asked yet`, `starting`, `ready`, or `failing: ` and why the last call did."""
        if self._starting:
            return "starting"
        if self._reason:
            return f"failing: {self._reason}"
        return "ready" if self._answered else "not asked yet"

    async def ask(self, call: Callable[[], Awaitable[T]], seconds: float) -> T:
        """What `call` returns, within so many seconds, else `EngineTimeout`; its errors are raised.

        `EngineUnavailable`, at once and without calling, while the model rests or starts. After a rest one caller
        tries again while the others are still refused.
        """
        if self._starting:
            raise EngineUnavailable("the language model is still starting")
        if self._failures and self._clock() < self._rests_until:
            left = math.ceil(self._rests_until - self._clock())
            raise EngineUnavailable(f"the language model is left alone for {left} s more, because {self._reason}")
        return await self._call(call, seconds)

    async def start(self, call: Callable[[], Awaitable[T]], seconds: float) -> T:
        """The same for a first call that may take long; until it ends, `ask` refuses."""
        self._starting = True
        try:
            return await self._call(call, seconds)
        finally:
            self._starting = False

    async def _call(self, call: Callable[[], Awaitable[T]], seconds: float) -> T:
        begun = self._clock()
        if self._failures:
            self._rest()
        try:
            async with asyncio.timeout(seconds):
                result = await call()
        except TimeoutError:
            self._reason = f"the language model took more than {seconds:g} s"
            self._failed(begun)
            raise EngineTimeout(self._reason) from None
        except (EngineTimeout, EngineUnavailable) as error:
            self._reason = str(error)
            self._failed(begun)
            raise
        except LlmrecError as error:
            of_the_call = isinstance(error, NotSupported) or (isinstance(error, EngineRefused) and error.mistake)
            self._reason, self._failures = "" if of_the_call else str(error), 0
            self._answered = True
            raise
        self._reason, self._failures, self._answered = "", 0, True
        return result

    def _failed(self, begun: float) -> None:
        if begun <= self._failed_at:  # of the same outage, which has been counted
            return
        self._failures += 1
        self._failed_at = self._clock()
        self._rest()

    def _rest(self) -> None:
        self._rests_until = self._clock() + min(LONGEST_REST, FIRST_REST * 2 ** (self._failures - 1))
