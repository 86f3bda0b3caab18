"""The assistant on a small demo world, and short ways to talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from llmrec.acts import Act
from llmrec.agents.assistant import Assistant
from llmrec.settings import Settings
from llmrec.turn import Turn, TurnRequest


class Talk:
    """One conversation; `say` and `click` return the turn."""

    def __init__(self, assistant: Assistant, user: str | None = None, owner: str = "") -> None:
        self.assistant, self.user, self.owner = assistant, user, owner
        self.thread: str | None = None

    async def say(self, text: str, message_id: str | None = None) -> Turn:
        return await self._turn(text=text, message_id=message_id)

    async def click(self, kind: str, value: str | None = None, item: str | None = None, **more: Any) -> Turn:
        message_id = more.pop("message_id", None)
        return await self._turn(
            acts=[Act.model_validate({"kind": kind, "value": value, "item_id": item, **more})], message_id=message_id
        )

    async def clicks(self, *acts: Act) -> Turn:
        return await self._turn(acts=list(acts))

    async def _turn(self, **request: Any) -> Turn:
        turn = await self.assistant.turn(TurnRequest(user=self.user, owner=self.owner, thread=self.thread, **request))
        self.thread = turn.thread
        return turn


@pytest.fixture
def state_settings(tmp_path: Path) -> Settings:
    """State of its own, so that tests share one workspace."""
    return Settings(state=f"sqlite:{tmp_path / 'state.sqlite'}")


@pytest.fixture
async def assistant(demo_workspace: Path, state_settings: Settings) -> AsyncIterator[Assistant]:
    async with await Assistant.open(demo_workspace, state_settings) as assistant:
        yield assistant


@pytest.fixture
def talk(assistant: Assistant) -> Callable[..., Talk]:
    """`talk(user, owner)` begins a conversation."""
    return lambda user=None, owner="": Talk(assistant, user, owner)


@pytest.fixture
def common(assistant: Assistant) -> list[str]:
    """Attributes by number of items, the most common first."""
    carriers = assistant.catalogue.matrix_t.indptr[1:] - assistant.catalogue.matrix_t.indptr[:-1]
    return [str(name) for name in assistant.catalogue.attributes.ids[(-carriers).argsort(kind="stable")]]
