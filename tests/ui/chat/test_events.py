"""The page's events, without a browser: what comes back, and who may ask for it."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Any

import pytest

from llmrec.settings import Settings
from llmrec.ui.api.access import Principal
from llmrec.ui.chat.events import Desk
from llmrec.ui.chat.render import Renderer

EVERYBODY = Principal("", ("*",))


@pytest.fixture
def desk(library: Any) -> Desk:
    return Desk(library, Renderer(library), Settings())


async def _all(desk: Desk, principal: Principal = EVERYBODY, **event: Any) -> list[dict[str, Any]]:
    return [pieces async for pieces in desk.answer({"id": uuid.uuid4().hex, "op": "turn", **event}, principal)]


async def _last(desk: Desk, principal: Principal = EVERYBODY, **event: Any) -> dict[str, Any]:
    return (await _all(desk, principal, **event))[-1]


async def test_a_turn_shows_its_stages_then_the_answer(desk: Desk, library: Any) -> None:
    library.pause = 0.08
    pieces = await _all(desk, text="a mystery at sea", id="e1")
    assert [piece["phase"] for piece in pieces][-1] == "done"
    working = [piece for piece in pieces if piece["phase"] == "working"]
    assert len(working) >= 3
    assert any("Weighing" in piece["agent"] for piece in working)
    assert all(piece["for"] == "e1" for piece in pieces)
    assert pieces[-1]["thread"] in library.threads
    assert "a mystery at sea" in pieces[-1]["person"]


async def test_opening_goes_on_or_starts_cleanly(desk: Desk) -> None:
    thread = (await _last(desk, text="a cosy evening"))["thread"]
    again = await _last(desk, op="open", thread=thread)
    assert again["thread"] == thread and "a cosy evening" in again["log"]
    for gone in ("nobody's", None):
        fresh = await _last(desk, op="open", thread=gone)
        assert fresh["thread"] is None and "a cosy evening" not in fresh["log"] and "22" in fresh["summary"]


async def test_nobody_reads_the_conversation_of_another(desk: Desk) -> None:
    thread = (await _last(desk, text="my secret", user="ada"))["thread"]
    other = await _last(desk, op="open", thread=thread, user="grace")
    assert other["thread"] is None and "my secret" not in other["log"]
    failed = await _last(desk, text="and now?", thread=thread, user="grace")
    assert failed["phase"] == "failed" and "my secret" not in str(failed)


async def test_a_key_acts_for_its_own_users_only(desk: Desk, library: Any) -> None:
    bound = Principal("o1", ("ada", "grace"))
    failed = await _last(desk, bound, text="hello", user="linus")
    assert failed["phase"] == "failed" and not library.requests
    people = (await _last(desk, bound, op="people"))["sheet"]
    assert "ada" in people and "linus" not in people and "<input" not in people
    everybody = (await _last(desk, op="people"))["sheet"]
    assert "linus" in everybody and "<input" in everybody
    await _last(desk, bound, text="hello", user="ada")
    assert (library.requests[-1].owner, library.requests[-1].user) == ("", "ada")
    await _last(desk, bound, text="hello", user="")
    assert (library.requests[-1].owner, library.requests[-1].user) == ("o1", None), "anonymous, so the key's"
    assert (await _last(desk, Principal("o2", ("ada",)), op="open"))["user"] == "ada", "the key's only user"


async def test_undo_and_start_over_draw_the_conversation_anew(desk: Desk) -> None:
    thread = (await _last(desk, text="about nature"))["thread"]
    await _last(desk, text="something cosy", thread=thread)
    undone = await _last(desk, acts=[{"kind": "undo"}], thread=thread)
    assert "about nature" in undone["log"] and "something cosy" not in undone["log"]
    reset = await _last(desk, acts=[{"kind": "reset"}], thread=thread)
    assert "about nature" not in reset["log"]


async def test_a_conversation_keeps_its_policy_and_a_new_one_has_the_server_s(desk: Desk, library: Any) -> None:
    def checked(opened: dict[str, Any]) -> list[str]:
        return re.findall(r'value="([^"]*)" checked', opened["policies"])

    fresh = await _last(desk, op="open", user="ada", policy="abs-greedy")
    assert checked(fresh) == [""] and fresh["policies"].count("<input") == 3
    assert "I plan ahead" in fresh["policies"] and "of-others" in fresh["policies"]
    thread = (await _last(desk, text="hello", user="ada", policy="abs-greedy"))["thread"]
    assert library.requests[-1].policy == "abs-greedy"
    assert checked(await _last(desk, op="open", thread=thread, user="ada", policy="abs-greedy")) == ["abs-greedy"]
    assert checked(await _last(desk, op="open", thread=thread, user="ada", policy="forgotten")) == [""]
    assert checked(await _last(desk, op="open", thread=thread, user="grace", policy="abs-greedy")) == [""]
    await _last(desk, text="hello", user="ada")
    assert library.requests[-1].policy == ""


async def test_memory_is_shown_forgotten_exported_and_deleted(desk: Desk, library: Any) -> None:
    for item in ("b1", "b2"):
        await _last(desk, acts=[{"kind": "like_item", "item_id": item}], user="ada")
    shown = (await _last(desk, op="memory", user="ada"))["sheet"]
    assert "A Quiet Inventory of Stars" in shown and "Lanterns over Marrow Street" in shown
    opened = await _last(desk, op="open", user="ada")
    assert "A Quiet Inventory of Stars" in opened["side"], "what is remembered is gone by from the start"
    entry = library.entries[0].id
    assert "A Quiet" not in (await _last(desk, op="forget", entry=entry, user="ada"))["sheet"]
    assert "b2" in (await _last(desk, op="export", user="ada"))["download"]["text"]
    assert "Nothing is remembered" in (await _last(desk, op="delete", user="ada"))["sheet"]
    assert "anonymous" in (await _last(desk, op="memory", user=""))["sheet"]


@pytest.mark.parametrize(
    ("event", "words", "retry"),
    [
        ({"text": "locked"}, "database is locked", True),
        ({"text": "bug"}, "Something went wrong", True),
        ({"text": "  "}, "message is empty", False),
        ({"text": "x" * 20_001}, "cannot be read", False),
        ({"acts": [{"kind": "nonsense"}]}, "cannot be read", False),
        ({"op": "rm -rf"}, "cannot be read", False),
    ],
)
async def test_failures_are_a_sentence(desk: Desk, event: dict[str, Any], words: str, retry: bool) -> None:
    failed = await _last(desk, **event)
    assert failed["phase"] == "failed" and words in failed["agent"]
    assert ("data-retry" in failed["agent"]) is retry
    assert "secret" not in str(failed) and "Traceback" not in str(failed)


async def test_what_is_no_event_is_refused(desk: Desk) -> None:
    for raw in (None, [], "x", {"id": ["list"]}):
        pieces = [piece async for piece in desk.answer(raw, EVERYBODY)]
        assert pieces[-1]["phase"] == "failed"


async def test_long_strange_and_right_to_left_messages(desk: Desk) -> None:
    for text in ("long " * 2_000, "🦜🎷🏔️", "مرحبا بالعالم", "a\u202eb\x00c"):
        assert (await _last(desk, text=text))["phase"] == "done"


async def test_a_browser_that_leaves_stops_the_turn(desk: Desk, library: Any) -> None:
    library.pause = 30
    task = asyncio.ensure_future(_all(desk, text="slow"))
    await asyncio.sleep(0.05)
    assert library.requests
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not library.threads


async def test_too_many_events_are_refused(library: Any) -> None:
    slow = Settings.model_validate({"limits": {"requests_per_minute": 3}})
    desk = Desk(library, Renderer(library), slow)
    phases = [(await _last(desk, text=f"hello {at}"))["phase"] for at in range(5)]
    assert phases == ["done"] * 3 + ["failed"] * 2
    assert (await _last(desk, Principal("other", ("*",)), text="hello"))["phase"] == "done"
