"""One set of tests for both databases."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from typing import TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from pydantic import ValidationError

from llmrec.acts import Act, ActKind
from llmrec.agents.memory import Change, Event, Feedback, MemoryEntry, StateStore, Transcript
from llmrec.agents.memory.database import MIGRATIONS
from llmrec.errors import UnknownName, UserError
from llmrec.turn import Turn, TurnRequest


def like(item: str, *, user: str = "ann", owner: str = "", message: str = "m1", thread: str = "") -> MemoryEntry:
    return MemoryEntry(owner=owner, user=user, kind="like", item_id=item, message_id=message, thread=thread)


def request_and_turn(
    text: str, message: str, *, thread: str = "t", user: str | None = "ann", owner: str = ""
) -> tuple[TurnRequest, Turn]:
    request = TurnRequest(user=user, owner=owner, text=text, message_id=message)
    return request, Turn(thread=thread, message_id=message, turn=1, text=f"you said {text}")


async def save(store: StateStore, text: str, message: str, **names: str | None) -> Turn:
    return await store.save_turn(*request_and_turn(text, message, **names))  # type: ignore[arg-type]


def view(entries: list[MemoryEntry]) -> list[tuple[str, str]]:
    return [(entry.kind, entry.target) for entry in entries]


# --- Conversations ----------------------------------------------------------------------------------------------------


async def test_history_holds_the_turns_in_order(store: StateStore) -> None:
    for n in range(12):
        await save(store, f"text {n}", f"m{n}")
    history = await store.history("", "ann", "t")
    assert [request.text for request, _ in history] == [f"text {n}" for n in range(12)]
    assert history[3][1] == request_and_turn("text 3", "m3")[1]


async def test_a_repeated_message_gets_the_first_answer(store: StateStore) -> None:
    first = await save(store, "hello", "m1")
    again = await store.save_turn(TurnRequest(user="ann"), first.model_copy(update={"text": "another answer"}))
    assert again == first
    assert await store.stored_turn("", "ann", "t", "m1") == first
    assert await store.stored_turn("", "ann", None, "m1") == first
    assert await store.stored_turn("", "ann", "t", "m2") is None
    assert len(await store.history("", "ann", "t")) == 1


async def test_conversations_are_invisible_to_other_users_and_owners(store: StateStore) -> None:
    await save(store, "secret", "m1", owner="key1")
    for owner, user in (("key1", "bob"), ("key2", "ann"), ("", "ann"), ("key1", None)):
        with pytest.raises(UnknownName):
            await store.history(owner, user, "t")
        assert await store.stored_turn(owner, user, "t", "m1") is None
        assert await store.threads(owner, user) == []
        assert not await store.delete_thread(owner, user, "t")
    assert len(await store.history("key1", "ann", "t")) == 1


async def test_names_do_not_run_into_each_other(store: StateStore) -> None:
    ids = {store.checkpoint_id(*key) for key in (("a", "b", "c"), ("a", "", "bc"), ("ab", "", "c"), ("", "ab", "c"))}
    assert len(ids) == 4
    assert like("x", user="a b", owner="").id != like("x", user="b", owner="a").id


async def test_anonymous_conversations_work_but_are_not_listed(store: StateStore) -> None:
    await save(store, "hi", "m1", user=None, thread="t1")
    assert len(await store.history("", None, "t1")) == 1
    assert await store.threads("", None) == []
    assert await store.stored_turn("", None, None, "m1") is None, "another anonymous user may have chosen the same id"
    assert (await store.stored_turn("", None, "t1", "m1")) is not None


async def test_threads_newest_first_and_deletable(store: StateStore) -> None:
    await save(store, "a", "m1", thread="t1")
    await save(store, "b", "m1", thread="t2")
    await save(store, "c", "m2", thread="t1")
    assert [(t.thread, t.turns) for t in await store.threads("", "ann")] == [("t1", 2), ("t2", 1)]
    await store.save_transcript("", "ann", "h", "t1", "m2")
    assert await store.delete_thread("", "ann", "t1")
    assert [t.thread for t in await store.threads("", "ann")] == ["t2"]
    assert await store.find_transcript("", "ann", "h") is None
    with pytest.raises(UnknownName):
        await store.history("", "ann", "t1")


async def test_transcripts_lead_to_their_conversation(store: StateStore) -> None:
    assert await store.find_transcript("", "ann", "hash") is None
    await store.save_transcript("", "ann", "hash", "t1", "m1")
    await store.save_transcript("", "ann", "hash", "t2", "m9")
    assert await store.find_transcript("", "ann", "hash") == Transcript("t2", "m9")
    assert await store.find_transcript("", "bob", "hash") is None
    assert await store.find_transcript("key", "ann", "hash") is None


class State(TypedDict):
    acts: list[Act]


async def test_checkpoints_keep_typed_acts_and_go_with_their_thread(store: StateStore, state_uri: str) -> None:
    graph = StateGraph(State)
    graph.add_node("act", lambda state: {"acts": [*state["acts"], Act(kind=ActKind.ACCEPT, value="jazz")]})
    graph.add_edge(START, "act")
    graph.add_edge("act", END)

    def config(user: str) -> dict[str, dict[str, str]]:
        return {"configurable": {"thread_id": store.checkpoint_id("", user, "t")}}

    app = graph.compile(checkpointer=store.checkpointer())
    for user in ("ann", "ann", "bob"):
        before = (await app.aget_state(config(user))).values.get("acts", [])  # type: ignore[arg-type]
        await app.ainvoke({"acts": before}, config(user), durability="exit")  # type: ignore[call-overload]
    async with await StateStore.open(state_uri) as other:
        app = graph.compile(checkpointer=other.checkpointer())
        assert (await app.aget_state(config("ann"))).values["acts"] == [Act(kind=ActKind.ACCEPT, value="jazz")] * 2  # type: ignore[arg-type]
        states = [state async for state in app.aget_state_history(config("ann"))]  # type: ignore[arg-type]
        assert len(states) == 2, "one checkpoint a turn"
    await save(store, "hi", "m1")
    await store.delete_thread("", "ann", "t")
    assert not (await graph.compile(checkpointer=store.checkpointer()).aget_state(config("ann"))).values  # type: ignore[arg-type]
    assert (await graph.compile(checkpointer=store.checkpointer()).aget_state(config("bob"))).values  # type: ignore[arg-type]


async def test_writing_while_checkpoints_are_listed(store: StateStore) -> None:
    graph = StateGraph(State)
    graph.add_node("act", lambda state: state)
    graph.add_edge(START, "act")
    app = graph.compile(checkpointer=store.checkpointer())
    config = {"configurable": {"thread_id": "x"}}
    for _ in range(3):
        await app.ainvoke({"acts": []}, config, durability="exit")  # type: ignore[call-overload]
    async for _ in app.aget_state_history(config):  # type: ignore[arg-type]
        await asyncio.wait_for(store.remember([like("x")]), 5)


# --- Memory -----------------------------------------------------------------------------------------------------------


async def test_memory_is_idempotent_by_message(store: StateStore) -> None:
    entries = [like("i1"), MemoryEntry(user="ann", kind="reject", attribute="jazz", message_id="m1")]
    assert await store.remember(entries) == 2
    assert await store.remember(entries) == 0
    assert await store.memory("", "ann") == entries
    assert await store.remember([]) == 0


async def test_the_newest_statement_on_a_target_counts_and_undo_brings_the_older_back(store: StateStore) -> None:
    await store.remember([like("i1", message="m1"), like("i2", message="m1")])
    await store.remember([MemoryEntry(user="ann", kind="seen", item_id="i1", message_id="m2")])
    await store.remember([MemoryEntry(user="ann", kind="dislike", item_id="i1", message_id="m3")])
    assert view(await store.memory("", "ann")) == [("like", "i2"), ("seen", "i1"), ("dislike", "i1")]
    assert await store.revert("", "ann", "m3") == 1
    assert await store.revert("", "ann", "m3") == 0
    assert view(await store.memory("", "ann")) == [("like", "i1"), ("like", "i2"), ("seen", "i1")]


async def test_undo_in_one_thread_leaves_the_same_message_id_of_another(store: StateStore) -> None:
    await store.remember([like("i1", message="1", thread="a"), like("i2", message="1", thread="b")])
    assert await store.revert("", "ann", "1", thread="a") == 1
    assert view(await store.memory("", "ann")) == [("like", "i2")]


async def test_forget_also_removes_what_the_entry_had_replaced(store: StateStore) -> None:
    await store.remember([like("i1", message="m1")])
    await store.remember([MemoryEntry(user="ann", kind="dislike", item_id="i1", message_id="m2"), like("i2")])
    [dislike] = [entry for entry in await store.memory("", "ann") if entry.kind == "dislike"]
    assert await store.forget("", "ann", dislike.id) == dislike
    assert view(await store.memory("", "ann")) == [("like", "i2")]
    with pytest.raises(UnknownName):
        await store.forget("", "ann", dislike.id)


async def test_memory_is_isolated(store: StateStore) -> None:
    entry = like("i1", owner="key1")
    await store.remember([entry, like("i2", user="bob", owner="key1")])
    for owner, user in (("key2", "ann"), ("", "ann"), ("key1", None)):
        assert await store.memory(owner, user) == []
        assert await store.revert(owner, user, "m1") == 0
        with pytest.raises(UnknownName):
            await store.forget(owner, user, entry.id)
    with pytest.raises(UnknownName):
        await store.forget("key1", "bob", entry.id)
    assert await store.delete_all("key1", "bob") == 1
    assert (await store.export("key2", "ann"))["memory"] == []
    assert await store.memory("key1", "ann") == [entry]


async def test_export_shows_all_and_delete_removes_it(store: StateStore) -> None:
    await store.remember([like("i1", message="m1")])
    await store.remember(
        [MemoryEntry(user="ann", kind="dislike", item_id="i1", message_id="m2"), like("x", user="bob")]
    )
    await store.add_feedback(
        [Feedback(user="ann", item_id="i1", kind="like"), Feedback(user="bob", item_id="i1", kind="like")]
    )
    exported = json.loads(json.dumps(await store.export("", "ann")))
    assert [entry["kind"] for entry in exported["memory"]] == ["like", "dislike"]
    assert [f["item_id"] for f in exported["feedback"]] == ["i1"]
    assert await store.delete_all("", "ann") == 3
    empty = await store.export("", "ann")
    assert empty["memory"] == empty["feedback"] == []
    assert len((await store.export("", "bob"))["feedback"]) == 1


def test_entries_name_one_target_that_fits() -> None:
    for fields in ({"kind": "like"}, {"kind": "like", "attribute": "x"}, {"kind": "accept", "item_id": "i"}):
        with pytest.raises(ValidationError):
            MemoryEntry(user="ann", **fields)
    with pytest.raises(ValidationError):
        MemoryEntry(user="", kind="like", item_id="i")


async def test_texts_of_every_kind_survive(store: StateStore) -> None:
    for n, text in enumerate(
        ("🎧 café", "שלום עולם", "x" * 100_000, "a\x00b", "'; DROP TABLE llmrec_memory; --", "50% ? %s")
    ):
        await save(store, text, f"m{n}", thread="t")
        assert (await store.history("", "ann", "t"))[-1][0].text == text
    await store.remember([like("50% ? %s '\"")])
    assert view(await store.memory("", "ann")) == [("like", "50% ? %s '\"")]


async def test_unstorable_ids_are_the_users_mistake(store: StateStore) -> None:
    with pytest.raises(UserError):
        await store.save_transcript("", "\ud800", "hash", "t", "m")


# --- Live updates -----------------------------------------------------------------------------------------------------


async def test_items_are_merged_and_come_once_as_they_are_now(store: StateStore) -> None:
    assert await store.upsert_items([{"item_id": "a", "title": "A", "price": 3.0}, {"item_id": "b", "title": "B"}]) == 2
    assert await store.upsert_items([{"item_id": "a", "price": 5}, {"item_id": "a", "available": False}]) == 1
    first, second = await store.changes_since(0)
    assert (first.kind, first.data) == ("item", {"item_id": "b", "title": "B"})
    assert second.data == {"item_id": "a", "title": "A", "price": 5, "available": False}
    assert await store.changes_since(second.sequence) == []
    assert [change.data["item_id"] for change in await store.changes_since(first.sequence)] == ["a"]


async def test_many_items_at_once(store: StateStore) -> None:
    await store.upsert_items([{"item_id": f"i{n}", "price": n} for n in range(1200)])
    await store.upsert_items([{"item_id": f"i{n}", "year": n} for n in range(1300)])
    changes = await store.changes_since(0)
    assert [change.data["item_id"] for change in changes] == [f"i{n}" for n in range(1300)]
    assert changes[1100].data == {"item_id": "i1100", "price": 1100, "year": 1100}
    assert "price" not in changes[1250].data


async def test_item_rows_that_cannot_be_kept_are_refused_as_a_whole(store: StateStore) -> None:
    for bad in (
        {"title": "x"},
        {"item_id": 3},
        {"item_id": "x", "price": float("nan")},
        {"item_id": "x", "y": object()},
    ):
        with pytest.raises(UserError):
            await store.upsert_items([{"item_id": "fine"}, bad])
    assert await store.changes_since(0) == []


async def test_events_are_idempotent(store: StateStore) -> None:
    event = Event(user_id="ann", item_id="a", event="buy", timestamp=5)
    named = Event(user_id="ann", item_id="a", event="buy", timestamp=5, event_id="e1")
    assert await store.add_events([event, event, named]) == 2
    assert await store.add_events([event, named, event.model_copy(update={"timestamp": 6.0})]) == 1
    assert [(c.kind, c.data["timestamp"]) for c in await store.changes_since(0)] == [
        ("event", 5),
        ("event", 5),
        ("event", 6),
    ]
    assert await store.add_events([]) == 0


async def test_feedback_is_idempotent_by_message(store: StateStore) -> None:
    verdict = Feedback(user="ann", item_id="a", kind="like", thread="t", message_id="m")
    assert await store.add_feedback([verdict]) == 1
    assert await store.add_feedback([verdict]) == 0
    assert await store.add_feedback([verdict.model_copy(update={"message_id": None})]) == 1
    assert await store.add_feedback([verdict.model_copy(update={"owner": "key"})]) == 1
    assert {change.kind for change in await store.changes_since(0)} == {"feedback"}


# --- Many writers -----------------------------------------------------------------------------------------------------


async def test_many_tasks_write_at_once(store: StateStore, state_uri: str) -> None:
    seen: list[Change] = []

    async def follow(other: StateStore) -> None:
        while len(seen) < 200:
            seen.extend(await other.changes_since(seen[-1].sequence if seen else 0))
            await asyncio.sleep(0)

    async def person(n: int) -> None:
        user = f"u{n}"
        for m in range(5):
            await store.remember([like(f"i{m}", user=user, message=f"m{m}")])
            await save(store, f"{user} {m}", f"m{m}", user=user)
            await store.add_events([Event(user_id=user, item_id=f"i{m}", timestamp=m)])

    async with await StateStore.open(state_uri) as other:
        await asyncio.wait_for(asyncio.gather(follow(other), *(person(n) for n in range(40))), 60)
    for n in range(40):
        assert [entry.target for entry in await store.memory("", f"u{n}")] == [f"i{m}" for m in range(5)]
        assert [r.text for r, _ in await store.history("", f"u{n}", "t")] == [f"u{n} {m}" for m in range(5)]
    assert len({(c.data["user_id"], c.data["item_id"]) for c in seen}) == 200, "a follower misses no change"


async def test_a_message_that_arrives_many_times_at_once_is_answered_once(store: StateStore) -> None:
    request, turn = request_and_turn("hi", "m1")
    answers = [turn.model_copy(update={"text": f"answer {n}"}) for n in range(20)]
    stored = await asyncio.gather(*(store.save_turn(request, answer) for answer in answers))
    assert len({answer.text for answer in stored}) == 1
    assert sum(await asyncio.gather(*(store.remember([like("i1")]) for _ in range(20)))) == 1


def _write_from_another_process(uri: str, name: str) -> None:
    async def work() -> None:
        async with await StateStore.open(uri) as store:
            for n in range(60):
                await store.upsert_items([{"item_id": "shared", name: n}, {"item_id": f"{name}{n}"}])
                await store.remember([like(f"i{n}", user="shared", message=f"{name}{n}")])

    asyncio.run(work())


async def test_processes_write_at_once_from_the_first_moment(state_uri: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_write_from_another_process, args=(state_uri, name)) for name in ("p", "q")]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join, 120)
        assert process.exitcode == 0
    async with await StateStore.open(state_uri) as store:
        changes = await store.changes_since(0)
        assert len(changes) == 121
        [shared] = [change.data for change in changes if change.data["item_id"] == "shared"]
        assert shared == {"item_id": "shared", "p": 59, "q": 59}, "no update is lost"
        assert len((await store.export("", "shared"))["memory"]) == 120


async def test_a_cancelled_caller_leaves_a_usable_store(store: StateStore) -> None:
    for n in range(30):
        task = asyncio.create_task(store.remember([like(f"i{n}", message=f"m{n}")]))
        await asyncio.sleep(0.0005 * (n % 5))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(store.remember([like("last", message="last")]), 10)
    assert view(await store.memory("", "ann"))[-1] == ("like", "last")


async def test_an_error_inside_a_transaction_takes_all_of_it_back(store: StateStore) -> None:
    async def work(transaction) -> None:  # type: ignore[no-untyped-def]
        await transaction.execute("UPDATE llmrec_sequence SET value = 1000", ())
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        await store._database.write(work)
    await store.add_events([Event(user_id="u", item_id="i")])
    assert [change.sequence for change in await store.changes_since(0)] == [1]


async def test_reopening_migrates_once(store: StateStore, state_uri: str) -> None:
    await store.remember([like("i1")])
    async with await StateStore.open(state_uri) as other:
        assert len(await other.memory("", "ann")) == 1
        assert await other._database.read("SELECT version FROM llmrec_schema") == [(len(MIGRATIONS),)]
