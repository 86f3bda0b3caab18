"""Threads, memory, repeated messages, undo across turns, transcripts of stateless clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmrec.acts import Act, ActKind
from llmrec.agents.assistant import Assistant
from llmrec.contracts import Message
from llmrec.errors import StateError, UnknownName, UserError
from llmrec.turn import Turn, TurnRequest

Begin = Callable[..., Any]


def wants(turn: Turn) -> list[str]:
    return [entry.act.value for entry in turn.preferences if entry.act.kind == ActKind.ACCEPT]


async def kinds(assistant: Assistant, user: str, owner: str = "") -> list[tuple[str, str]]:
    return [(entry.kind, entry.target) for entry in await assistant.memory(owner, user)]


# --- Threads ----------------------------------------------------------------------------------------------------------


async def test_threads_do_not_see_each_other(talk: Begin, common: list[str]) -> None:
    one, other = talk("anna"), talk("anna")
    await one.click("accept", value=common[1])
    assert wants(await other.click("accept", value=common[2])) == [common[2]]
    assert wants(await one.click("results")) == [common[1]]


async def test_users_and_owners_with_the_same_thread_name_have_their_own(
    assistant: Assistant, common: list[str]
) -> None:
    mine = await assistant.turn(TurnRequest(user="anna", acts=[Act(kind=ActKind.ACCEPT, value=common[1])]))
    for who in ({"user": "ben"}, {"user": None}, {"user": "anna", "owner": "another key"}):
        with pytest.raises(UnknownName, match="no conversation"):
            await assistant.turn(TurnRequest(thread=mine.thread, text="hi", **who))
        with pytest.raises(UnknownName, match="no conversation"):
            await assistant.history(who.get("owner", ""), who["user"], mine.thread)
    assert len(await assistant.history("", "anna", mine.thread)) == 1


async def test_an_unknown_thread_is_not_begun(assistant: Assistant) -> None:
    with pytest.raises(UnknownName, match="start one without a thread"):
        await assistant.turn(TurnRequest(thread="made up", text="hi"))


async def test_history_has_every_turn_with_its_request(talk: Begin, assistant: Assistant, common: list[str]) -> None:
    conversation = talk("anna")
    turns = [
        await conversation.say("hi"),
        await conversation.click("accept", value=common[1]),
        await conversation.click("undo"),
    ]
    history = await assistant.history("", "anna", conversation.thread)
    assert [turn for _, turn in history] == turns
    assert [request.text for request, _ in history] == ["hi", "", ""]
    assert [turn.turn for turn in turns] == [1, 2, 3]


async def test_a_conversation_survives_a_restart(
    demo_workspace: Path, state_settings: Any, common: list[str], talk: Begin
) -> None:
    conversation = talk("anna")
    before = await conversation.click("accept", value=common[1])
    async with await Assistant.open(demo_workspace, state_settings) as again:
        after = await again.turn(TurnRequest(user="anna", thread=conversation.thread, acts=[Act(kind=ActKind.WHY)]))
    assert wants(after) == [common[1]] and after.question == before.question


async def test_conversations_at_once_stay_apart(assistant: Assistant, talk: Begin, common: list[str]) -> None:
    async def walk(name: str) -> None:
        conversation = talk(name)
        for _ in range(4):
            await asyncio.sleep(0)
            turn = await conversation.click("accept", value=name)
            assert wants(turn) == [name]

    await asyncio.gather(*(walk(name) for name in common[:20]))


async def test_turns_of_one_thread_wait_for_each_other(assistant: Assistant, talk: Begin, common: list[str]) -> None:
    conversation = talk("anna")
    await conversation.say("hi")
    requests = [
        TurnRequest(user="anna", thread=conversation.thread, acts=[Act(kind=ActKind.ACCEPT, value=name)])
        for name in common[:6]
    ]
    turns = await asyncio.gather(*map(assistant.turn, requests))
    assert sorted(turn.turn for turn in turns) == [2, 3, 4, 5, 6, 7]
    assert sorted(wants(await conversation.click("why"))) == sorted(common[:6])


# --- Repeated and broken-off messages ---------------------------------------------------------------------------------


async def test_a_message_sent_twice_counts_once(talk: Begin, assistant: Assistant, common: list[str]) -> None:
    conversation = talk("anna")
    await conversation.say("hi")
    first = await conversation.click("like_item", item="book-0003", message_id="m1")
    await conversation.click("accept", value=common[1], message_id="m2")
    assert await conversation.click("like_item", item="book-0003", message_id="m1") == first
    assert len(await assistant.history("", "anna", conversation.thread)) == 3
    assert await kinds(assistant, "anna") == [("like", "book-0003")]


async def test_message_ids_of_other_conversations_do_not_matter(talk: Begin, common: list[str]) -> None:
    one, other = talk("anna"), talk("ben")
    await one.click("accept", value=common[1], message_id="m1")
    assert wants(await other.click("accept", value=common[2], message_id="m1")) == [common[2]]


async def test_a_client_that_leaves_in_the_middle_can_ask_again(
    assistant: Assistant, talk: Begin, common: list[str]
) -> None:
    conversation = talk("anna")
    await conversation.say("hi")
    request = TurnRequest(
        user="anna", thread=conversation.thread, acts=[Act(kind=ActKind.LIKE_ITEM, item_id="book-0003")], message_id="m"
    )
    for steps in range(1, 7):
        events = assistant.stream(request)
        for _ in range(steps):
            await anext(events)
        await events.aclose()
    turn = await assistant.turn(request)
    assert turn.turn == 2
    assert [entry.act.item_id for entry in turn.preferences if entry.source == "conversation"] == ["book-0003"]
    assert await kinds(assistant, "anna") == [("like", "book-0003")]
    assert wants(await conversation.click("accept", value=common[1])) == [common[1]]


async def test_a_turn_whose_answer_could_not_be_stored_is_answered_anew(
    assistant: Assistant, talk: Begin, common: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = talk("anna")
    await conversation.say("hi")

    async def full(*_: Any) -> Turn:
        raise StateError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(assistant._store, "save_turn", full)
        with pytest.raises(StateError, match="full"):
            await conversation.click("accept", value=common[1], message_id="m1")
    turn = await conversation.click("accept", value=common[1], message_id="m1")
    assert turn.turn == 2 and wants(turn) == [common[1]]


# --- Memory -----------------------------------------------------------------------------------------------------------


async def test_likes_dislikes_and_seen_are_remembered_across_conversations(talk: Begin, assistant: Assistant) -> None:
    first = talk("anna")
    await first.click("like_item", item="book-0001")
    await first.click("reject_item", item="book-0002")
    await first.click("seen", item="book-0003")
    assert await kinds(assistant, "anna") == [("like", "book-0001"), ("dislike", "book-0002"), ("seen", "book-0003")]
    second = talk("anna")
    turn = await second.say("hi")
    assert [entry.source for entry in turn.preferences] == ["memory"] * 3
    shown: set[str] = set()
    for _ in range(30):
        shown |= {item.item_id for item in (await second.click("results")).items}
    assert len(shown) > 150
    assert not shown & {"book-0001", "book-0002", "book-0003"}


async def test_what_is_remembered_moves_recommendations(talk: Begin, assistant: Assistant) -> None:
    before = [item.item_id for item in (await talk("anna").click("results")).items]
    await assistant.remember("", "anna", "like", item_id="book-0001")
    turn = await talk("anna").click("results")
    assert [item.item_id for item in turn.items] != before
    assert any(node.id == "book-0001" for item in turn.items for node in item.path)


async def test_memory_belongs_to_owner_and_user(talk: Begin, assistant: Assistant) -> None:
    await talk("anna").click("like_item", item="book-0001")
    assert (await talk("ben").say("hi")).preferences == []
    assert (await talk("anna", "another key").say("hi")).preferences == []
    assert await kinds(assistant, "anna", "another key") == []


async def test_anonymous_people_leave_nothing(talk: Begin, assistant: Assistant) -> None:
    conversation = talk()
    await conversation.click("like_item", item="book-0001")
    assert (await talk().say("hi")).preferences == []
    assert "anonymous" in (await conversation.click("memory", value="show")).text


async def test_memory_can_be_shown_exported_and_deleted(talk: Begin, assistant: Assistant) -> None:
    conversation = talk("anna")
    await conversation.click("like_item", item="book-0001")
    title = assistant.item("book-0001")["title"]
    shown = await conversation.click("memory", value="show")
    assert f"you like “{title}”" in shown.text
    assert [entry["label"] for entry in shown.data["memory"]] == [title]
    exported = await conversation.click("memory", value="export")
    assert [entry["item_id"] for entry in exported.data["export"]["memory"]] == ["book-0001"]
    deleted = await talk("anna").click("memory", value="delete")
    assert "forgotten" in deleted.text
    assert deleted.preferences == []
    assert await kinds(assistant, "anna") == []
    assert "nothing about you yet" in (await talk("anna").click("memory", value="show")).text


async def test_undo_takes_back_what_a_message_left_in_memory(talk: Begin, assistant: Assistant) -> None:
    await assistant.remember("", "anna", "dislike", item_id="book-0001")
    conversation = talk("anna")
    await conversation.click("like_item", item="book-0001")
    assert await kinds(assistant, "anna") == [("like", "book-0001")]
    turn = await conversation.click("undo")
    assert await kinds(assistant, "anna") == [("dislike", "book-0001")]
    assert [entry.source for entry in turn.preferences] == ["memory"]


async def test_withdrawing_a_preference_forgets_it(talk: Begin, assistant: Assistant) -> None:
    conversation = talk("anna")
    said = await conversation.click("like_item", item="book-0001")
    await conversation.clicks(said.preferences[0].act.model_copy(update={"remove": True}))
    assert await kinds(assistant, "anna") == []
    await assistant.remember("", "anna", "reject", value=str(assistant.catalogue.attributes.ids[0]))
    remembered = (await talk("anna").say("hi")).preferences[0]
    assert remembered.source == "memory"
    turn = await talk("anna").clicks(remembered.act.model_copy(update={"remove": True}))
    assert turn.preferences == [] and await kinds(assistant, "anna") == []


async def test_a_question_about_what_is_remembered_is_not_lost_on_reset(talk: Begin, assistant: Assistant) -> None:
    conversation = talk("anna")
    await conversation.click("like_item", item="book-0001")
    turn = await conversation.click("reset")
    assert [(entry.act.item_id, entry.source) for entry in turn.preferences] == [("book-0001", "memory")]


# --- Transcripts ------------------------------------------------------------------------------------------------------


async def exchange(assistant: Assistant, talked: list[Message], text: str, **who: Any) -> Turn:
    talked.append(Message("user", text))
    turn = await assistant.turn_from_transcript(talked, **who)
    talked.append(Message("assistant", turn.text))
    return turn


async def test_a_stateless_client_goes_on_in_its_conversation(assistant: Assistant, common: list[str]) -> None:
    talked: list[Message] = [Message("system", "be brief")]
    first = await exchange(assistant, talked, "hello")
    second = await exchange(assistant, talked, "no")
    assert second.thread == first.thread and second.turn == 2
    assert [(act.kind, act.value) for act in second.acts] == [(ActKind.REJECT, first.question.choices[0])]
    third = await exchange(assistant, talked, "undo")
    assert third.turn == 3 and third.question == first.question


async def test_white_space_of_a_transcript_does_not_count(assistant: Assistant) -> None:
    talked: list[Message] = []
    first = await exchange(assistant, talked, "hello")
    sent = [
        Message("user", " hello\n"),
        Message("assistant", first.text.replace(" ", "  ") + "\n"),
        Message("user", "no"),
    ]
    assert (await assistant.turn_from_transcript(sent)).thread == first.thread


async def test_equal_openings_of_two_clients_do_not_mix(assistant: Assistant) -> None:
    one: list[Message] = []
    other: list[Message] = []
    first = await exchange(assistant, one, "hello")
    assert (await exchange(assistant, other, "hello")).text == first.text
    await exchange(assistant, one, "yes")
    said_no = await exchange(assistant, other, "no")
    both = [await exchange(assistant, one, "why?"), await exchange(assistant, other, "why?")]
    assert wants(both[0]) == [first.question.choices[0]] and wants(both[1]) == []
    assert wants(said_no) == []


async def test_going_back_in_a_transcript_takes_another_way(assistant: Assistant) -> None:
    talked: list[Message] = []
    first = await exchange(assistant, talked, "hello")
    await exchange(assistant, talked, "yes")
    await exchange(assistant, talked, "no")
    edited = [*talked[:2], Message("user", "no")]
    turn = await assistant.turn_from_transcript(edited)
    assert turn.turn == 2 and turn.thread != first.thread
    assert wants(turn) == []
    assert wants(await exchange(assistant, talked, "why?")) == [first.question.choices[0]]


async def test_a_transcript_that_was_not_said_here_is_replayed_without_side_effects(
    assistant: Assistant, demo_workspace: Path, state_settings: Any, tmp_path: Path
) -> None:
    talked: list[Message] = []
    title = assistant.item("book-0001")["title"]
    await exchange(assistant, talked, "hello", user="anna")
    await exchange(assistant, talked, "yes", user="anna")
    original = await exchange(assistant, talked, f"I have already read {title}", user="anna")
    assert ActKind.SEEN in {act.kind for act in original.acts}
    elsewhere = state_settings.model_copy(update={"state": f"sqlite:{tmp_path / 'other.sqlite'}"})
    async with await Assistant.open(demo_workspace, elsewhere) as other:
        turn = await other.turn_from_transcript([*talked, Message("user", "why?")], user="anna")
        assert [p.act for p in turn.preferences] == [p.act for p in original.preferences]
        assert turn.turn == 4
        assert await kinds(other, "anna") == []
        assert len(await other.history("", "anna", turn.thread)) == 1


async def test_transcripts_belong_to_owner_and_user(assistant: Assistant) -> None:
    talked: list[Message] = []
    first = await exchange(assistant, talked, "hello", user="anna")
    turn = await assistant.turn_from_transcript([*talked, Message("user", "no")], user="ben")
    assert turn.thread != first.thread and turn.turn == 2


async def test_the_last_message_must_be_the_persons(assistant: Assistant) -> None:
    for messages in ([], [Message("user", "hi"), Message("assistant", "hello")], [Message("system", "hi")]):
        with pytest.raises(UserError, match="last message"):
            await assistant.turn_from_transcript(messages)
