"""The language model of a workspace: the engine that the settings name, its adapters, and how it is doing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from llmrec.adapters import AdapterSources, AdapterStore
from llmrec.agents.assistant.own import own_model
from llmrec.agents.conversation.understanding.breaker import Breaker
from llmrec.contracts import Engine, Message
from llmrec.errors import LlmrecError
from llmrec.language.engines import open_engine
from llmrec.language.training.facts import follows_instructions
from llmrec.settings import Settings
from llmrec.workspace import Workspace

logger = logging.getLogger("llmrec.assistant")

FOLDER = Path("state") / "language"
"""Where the engine of a workspace keeps logs and other files of its process; no build touches it."""
STARTING = 600.0
"""Seconds that a model may take to be loaded, or its server to come up."""
_HELLO = (Message("user", "Hello"),)


class Language:
    """One engine for all turns and requests. Agents ask it through `breaker`; plain chat goes straight to it."""

    def __init__(
        self, engine: Engine, adapters: AdapterSources, timeout: float, name: str = "", instructed: bool = True
    ) -> None:
        """`timeout`: seconds for one answer; `name`: what the model is called, where the engine does not know;
        `instructed`: whether agents may ask it by instructions."""
        self.engine, self.adapters, self.instructed = engine, adapters, instructed
        self._name = name
        self.breaker = Breaker()
        self._timeout = timeout
        self._waking: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, workspace: Workspace, settings: Settings) -> Self | None:
        """The language model of the settings, else the workspace's own; see `open`."""
        if not settings.llm and (own := own_model(workspace)) is not None:
            return cls.open(own.uri, workspace.path, settings.llm_timeout, own.name)
        return cls.open(settings.llm, workspace.path, settings.llm_timeout)

    @classmethod
    def open(cls, uri: str, workspace: Path, timeout: float, name: str = "") -> Self | None:
        """The language model behind a URI with the adapters of the workspace in this folder; None for "" and "none".

        Cheap: what takes long happens at the first call. Raises `UserError` for a URI that cannot be read,
        `MissingExtra` where the engine is not installed.
        """
        adapters = AdapterSources(AdapterStore(workspace / "adapters"))
        engine = open_engine(uri, timeout=timeout, adapters=adapters, folder=workspace / FOLDER)
        if engine is None:
            return None
        return cls(engine, adapters, timeout, name, follows_instructions(uri.partition(":")[2].partition("?")[0]))

    @property
    def name(self) -> str:
        """What the base model is called, a folder by its last part; "" while only its server knows."""
        name = self._name or self.engine.name
        return Path(name).name if Path(name).is_absolute() else name

    async def learn_name(self) -> str:
        """The same once its server has been asked, "" where it does not answer."""
        if not self.name and self.engine.capabilities.chat:
            with suppress(LlmrecError):
                await self.greet()
        return self.name

    @property
    def state(self) -> str:
        """See `Breaker.state`."""
        return self.breaker.state

    async def stored_adapters(self) -> list[str]:
        """Names of the adapters in the workspace's store; none where the engine serves none. Plugins do not tell what
        they have."""
        if not self.engine.capabilities.adapters:
            return []
        return [adapter.name for adapter in await asyncio.to_thread(self.adapters.store.list)]

    async def has_adapter(self, name: str) -> bool:
        """Whether a source has this adapter and the engine serves any. The sources are asked each time, so what was
        added a moment ago counts. `UserError` where it is there and no good."""
        return self.engine.capabilities.adapters and await asyncio.to_thread(self.adapters.resolve, name) is not None

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None,
        temperature: float,
        schema: Mapping[str, Any] | None,
        adapter: str | None,
    ) -> AsyncGenerator[str]:
        """Plain chat; see `Engine.chat`. `max_tokens` None is the engine's default."""
        limit = {} if max_tokens is None else {"max_tokens": max_tokens}
        deltas = self.engine.chat(messages, temperature=temperature, schema=schema, adapter=adapter, **limit)
        try:
            async for delta in deltas:
                yield delta
        finally:
            if isinstance(deltas, AsyncGenerator):
                await deltas.aclose()

    def wake(self) -> None:
        """Load or start the model in the background; turns are answered without it until then."""
        if self._waking is None and self.engine.capabilities.chat:
            self._waking = asyncio.create_task(self._wake())

    async def _wake(self) -> None:
        try:
            await self.breaker.start(lambda: self._hello(STARTING), STARTING)
        except LlmrecError as error:
            logger.warning("the language model does not answer, turns go on without it: %s", error)

    async def greet(self) -> None:
        """Ask for one word, as agents ask; raises what they would catch."""
        await self.breaker.ask(lambda: self._hello(self._timeout), self._timeout)

    async def _hello(self, seconds: float) -> None:
        async for _ in self.engine.chat(_HELLO, max_tokens=1, timeout=seconds):
            pass

    async def aclose(self) -> None:
        """Stop waking it, and close the engine."""
        if self._waking is not None:
            self._waking.cancel()
            await asyncio.wait([self._waking])
        await self.engine.aclose()
