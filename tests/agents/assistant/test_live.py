"""A live system changes: items, events and rebuilds count at the next turn."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmrec.acts import Act, ActKind
from llmrec.agents.assistant import Assistant, build_workspace
from llmrec.errors import DataError, UserError
from llmrec.settings import Settings
from llmrec.turn import TurnRequest

Begin = Callable[..., Any]
ROW = {
    "item_id": "new/1",
    "title": "The Zeppelin Gardener",
    "description": "A gardener of zeppelins crosses the Sargasso sea.",
    "price": 12.5,
    "attributes": ["zeppelins", "mystery"],
}


async def found(assistant: Assistant, query: str) -> list[str]:
    return [item.item_id for item in await assistant.search(query, 3)]


async def test_a_new_item_is_there_at_the_next_turn(assistant: Assistant, talk: Begin) -> None:
    conversation = talk()
    await conversation.say("hi")
    assert await assistant.upsert_items([ROW]) == 1
    assert assistant.item("new/1")["price"] == 12.5
    assert (await found(assistant, "zeppelin gardener"))[0] == "new/1"
    turn = await conversation.click("accept", value="zeppelins")
    assert "new/1" in [item.item_id for item in turn.items]
    said = await talk().say("do you have The Zeppelin Gardener?")
    assert "new/1" in {*(act.item_id for act in said.acts), *(item.item_id for item in said.items)}


async def test_a_new_item_is_reached_by_content(assistant: Assistant) -> None:
    twin = assistant.item("book-0001")
    row = {name: twin[name] for name in ("description", "attributes", "brand", "price", "year")}
    await assistant.upsert_items([{**row, "item_id": "twin", "title": "A Twin"}])
    await assistant.search("warm", 1)
    assert "twin" in [item.item_id for item in await assistant.similar("book-0001", 5)]
    [items] = await assistant.recommend([["book-0001"]], 20)
    assert "twin" in [item.item_id for item in items]


async def test_prices_and_availability_change_at_the_next_turn(assistant: Assistant, talk: Begin) -> None:
    conversation = talk()
    shown = [item.item_id for item in (await conversation.click("results")).items]
    await assistant.upsert_items([{"item_id": shown[0], "available": False}, {"item_id": shown[1], "price": 999.0}])
    turn = await conversation.click("reset")
    turn = await conversation.click("results")
    assert shown[0] not in [item.item_id for item in turn.items]
    assert next(item.price for item in turn.items if item.item_id == shown[1]) == 999.0
    assert shown[0] not in await found(assistant, assistant.item(shown[0])["title"])


async def test_an_item_that_vanishes_between_turns_is_passed_over(assistant: Assistant, talk: Begin) -> None:
    conversation = talk("anna")
    shown = [item.item_id for item in (await conversation.click("results")).items]
    await conversation.click("like_item", item=shown[0])
    await assistant.upsert_items([{"item_id": shown[0], "available": False}])
    turn = await conversation.click("results")
    assert turn.items and shown[0] not in [item.item_id for item in turn.items]


@pytest.mark.parametrize(
    "row", [{}, {"item_id": ""}, {"item_id": "x", "price": "cheap"}, {"item_id": "x", "colour": "red"}]
)
async def test_wrong_items_change_nothing(assistant: Assistant, row: Any) -> None:
    with pytest.raises((DataError, UserError)):
        await assistant.upsert_items([ROW, row])
    assert "new/1" not in assistant.catalogue.index
    assert "x" not in assistant.catalogue.index


async def test_events_reach_history_and_prior_at_once(assistant: Assistant, talk: Begin) -> None:
    [before] = await assistant.recommend(["fresh"], 10)
    bought = [item.item_id for item in before[:2]]
    events = [{"user_id": "fresh", "item_id": name, "event": "buy", "timestamp": 1} for name in bought]
    assert await assistant.add_events(events) == 2
    assert await assistant.add_events(events) == 0  # the same events
    [after] = await assistant.recommend(["fresh"], 10)
    assert not set(bought) & {item.item_id for item in after}
    turn = await talk("fresh").click("results")
    assert any(node.id in bought for item in turn.items for node in item.path)
    assert "fresh" in assistant.users(1000)


async def test_a_bad_rating_is_seen_but_no_like(assistant: Assistant) -> None:
    await assistant.add_events([{"user_id": "fresh", "item_id": "book-0001", "rating": 1.0}])
    world = assistant._live.world
    assert world.history("fresh") == [] and world.seen("fresh") == {"book-0001"}


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"user_id": "a"},
        {"item_id": "b"},
        {"user_id": 1, "item_id": "b"},
        {"user_id": "a", "item_id": "b", "rating": "good"},
    ],
)
async def test_wrong_events_are_refused_with_a_sentence(assistant: Assistant, row: Any) -> None:
    with pytest.raises(UserError, match="event 1"):
        await assistant.add_events([row])


async def test_events_of_unknown_items_do_no_harm(assistant: Assistant, talk: Begin) -> None:
    await assistant.add_events([{"user_id": "fresh", "item_id": "not there yet"}])
    assert (await talk("fresh").click("results")).items


async def test_changes_of_another_process_are_seen(
    assistant: Assistant, demo_workspace: Path, state_settings: Settings, talk: Begin
) -> None:
    async with await Assistant.open(demo_workspace, state_settings) as other:
        await other.upsert_items([ROW])
        await other.add_events([{"user_id": "fresh", "item_id": "new/1"}])
    await talk("fresh").say("hi")
    assert assistant.item("new/1")["title"] == ROW["title"]
    assert assistant._live.world.history("fresh") == ["new/1"]
    assert (await found(assistant, "zeppelin gardener"))[0] == "new/1"


async def test_changes_survive_a_restart(assistant: Assistant, demo_workspace: Path, state_settings: Settings) -> None:
    await assistant.upsert_items([ROW])
    await assistant.add_events([{"user_id": "fresh", "item_id": "new/1"}])
    async with await Assistant.open(demo_workspace, state_settings) as again:
        assert again.item("new/1")["price"] == 12.5
        assert (await found(again, "zeppelin gardener"))[0] == "new/1"
        assert again._live.world.history("fresh") == ["new/1"]


async def test_a_rebuild_is_a_switch(demo_workspace: Path, tmp_path: Path, state_settings: Settings) -> None:
    workspace, data = tmp_path / "workspace", tmp_path / "data"
    shutil.copytree(demo_workspace, workspace)
    shutil.copytree(demo_workspace.parent / "data", data)
    async with await Assistant.open(workspace, state_settings) as assistant:
        first = await assistant.turn(TurnRequest(user="anna", acts=[Act(kind=ActKind.LIKE_ITEM, item_id="book-0001")]))
        await assistant.add_events([{"user_id": "fresh", "item_id": "book-0002"}])
        await asyncio.to_thread(_without_books, data)
        await asyncio.to_thread(build_workspace, data, workspace, settings=Settings())
        old = len(assistant.catalogue)
        for _ in range(600):
            turn = await assistant.turn(TurnRequest(user="anna", thread=first.thread, acts=[Act(kind=ActKind.RESULTS)]))
            assert turn.items
            if len(assistant.catalogue) != old:
                break
            await asyncio.sleep(0.05)
        assert len(assistant.catalogue) == old - 20
        assert "book-0001" not in assistant.catalogue.index
        turn = await assistant.turn(TurnRequest(user="anna", thread=first.thread, acts=[Act(kind=ActKind.EXPLAIN)]))
        assert turn.turn > 2 and turn.items
        assert [item.item_id for item in await assistant.search("sea", 5)]
        assert assistant._live.world.history("fresh") == ["book-0002"]


def _without_books(data: Path) -> None:
    """Books 1 and the last 19 leave the shop."""
    import polars as pl

    items = pl.read_parquet(data / "items.parquet")
    items[1:-19].write_parquet(data / "items.parquet")
