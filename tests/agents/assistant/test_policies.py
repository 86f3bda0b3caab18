"""Which policy decides a turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec.agents.assistant import Assistant
from llmrec.contracts import Message
from llmrec.errors import UnknownName
from llmrec.settings import Settings
from llmrec.turn import TurnRequest


async def test_a_turn_is_decided_by_the_policy_that_it_names(assistant: Assistant) -> None:
    asking = await assistant.turn(TurnRequest(text="hi"))
    listing = await assistant.turn(TurnRequest(text="hi", policy="abs-greedy"))
    assert asking.question is not None and listing.question is None and len(listing.items) == 10
    told = await assistant.turn_from_transcript([Message("user", "hi")], policy="abs-greedy")
    assert [item.item_id for item in told.items] == [item.item_id for item in listing.items]


async def test_a_policy_of_an_unknown_name_is_told(assistant: Assistant) -> None:
    with pytest.raises(UnknownName, match="did you mean planner"):
        await assistant.turn(TurnRequest(text="hi", policy="plannner"))


async def test_the_setting_decides_where_a_turn_names_none(demo_workspace: Path, tmp_path: Path) -> None:
    state = f"sqlite:{tmp_path / 'state.sqlite'}"
    async with await Assistant.open(demo_workspace, Settings(state=state, policy="abs-greedy")) as assistant:
        assert (await assistant.turn(TurnRequest(text="hi"))).question is None
        assert (await assistant.turn(TurnRequest(text="hi", policy="planner"))).question is not None
    with pytest.raises(UnknownName, match="no-such-policy"):
        await Assistant.open(demo_workspace, Settings(state=state, policy="no-such-policy"))
