"""Which policy decides a turn."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from llmrec.agents.assistant import Assistant
from llmrec.agents.assistant.steps import build_workspace
from llmrec.agents.assistant.training import train_policy
from llmrec.agents.conversation.policies import scpr
from llmrec.agents.conversation.policies.lessons import Lessons
from llmrec.agents.conversation.policies.scpr import ScprConfig
from llmrec.contracts import Message
from llmrec.errors import UnknownName, UserError
from llmrec.evals.suites.conversation import ConversationSuite, Task
from llmrec.retrieval.graph.factorisation import FactorisationConfig
from llmrec.settings import Settings
from llmrec.turn import TurnRequest
from llmrec.workspace import Workspace


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


async def test_a_policy_that_has_to_learn_is_told_so_until_it_has(
    demo_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copytree(demo_workspace, tmp_path / "ws"))
    state = f"sqlite:{tmp_path / 'state.sqlite'}"
    async with await Assistant.open(path, Settings(state=state)) as assistant:
        assert await assistant.policies() == ["planner", "abs-greedy", "max-entropy", "planner-choices"]
        with pytest.raises(UserError, match="scpr has not learnt yet: llmrec train policy scpr"):
            await assistant.turn(TurnRequest(text="hi", policy="scpr"))

    class Quick(ScprConfig):
        embeddings: FactorisationConfig = FactorisationConfig(dimensions=8, epochs=1)
        episodes: int = 20

    monkeypatch.setattr(scpr, "ScprConfig", Quick)
    lessons = Task(ConversationSuite(split="leave-one-out", candidates="unseen", lessons=50), str(path)).lessons
    train_policy(path, "scpr", lambda: lessons)
    async with await Assistant.open(path, Settings(state=state, policy="scpr")) as assistant:
        turn = await assistant.turn(TurnRequest(text="something bleak by the sea", user="user-0001"))
        assert turn.items
        assert await assistant.policies() == ["scpr", "abs-greedy", "max-entropy", "planner", "planner-choices"]
    build_workspace(demo_workspace.parent / "data", path)
    with Workspace.open(path) as workspace:
        assert workspace.has("policies/scpr") and workspace.verify() == []


def test_a_policy_that_needs_no_lessons_gets_none(demo_workspace: Path) -> None:
    with pytest.raises(UserError, match="planner needs no lessons"):
        train_policy(demo_workspace, "planner", cast(Callable[[], Lessons], None))
