"""Every act, end to end: through LangGraph, with state in SQLite, on a small demo world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmrec.acts import Act, ActKind
from llmrec.agents.assistant import Assistant
from llmrec.filters import Filter
from llmrec.turn import Turn, TurnRequest

Begin = Callable[..., Any]


def labels(turn: Turn, source: str = "conversation") -> list[str]:
    return [entry.label for entry in turn.preferences if entry.source == source]


def ids(turn: Turn) -> list[str]:
    return [item.item_id for item in turn.items]


async def test_the_first_turn_greets_asks_and_shows(talk: Begin, assistant: Assistant) -> None:
    turn = await talk().say("hello")
    assert turn.text.startswith("Hello!")
    assert turn.question is not None and turn.question.text in turn.text
    assert len(turn.items) == 3
    assert turn.candidates_left == len(assistant.catalogue)
    assert [stage.name for stage in turn.trace] == ["understand", "believe", "decide", "act", "say"]
    assert turn.turn == 1 and turn.preferences == []


async def test_a_question_explains_itself_and_is_worded_for_people(talk: Begin, assistant: Assistant) -> None:
    question = (await talk().say("hi")).question
    assert question.text.endswith("?")
    assert question.why
    assert question.labels.keys() == set(question.choices)
    assert [node.kind for node in question.path] == ["user", "attribute"]


async def test_accept_and_reject_change_what_is_shown(talk: Begin, common: list[str], assistant: Assistant) -> None:
    wanted, unwanted = common[3], common[5]
    conversation = talk()
    turn = await conversation.clicks(Act(kind="accept", value=wanted), Act(kind="reject", value=unwanted))
    assert labels(turn) == [assistant.catalogue.label(wanted), assistant.catalogue.label(unwanted)]
    shown = await conversation.click("results")
    assert all(wanted in item.attributes and unwanted not in item.attributes for item in shown.items)
    assert shown.items[0].path[-1].id == shown.items[0].item_id
    assert wanted in [node.id for node in shown.items[0].path]
    assert turn.candidates_left == sum(
        wanted in assistant.item(name)["attributes"] and unwanted not in assistant.item(name)["attributes"]
        for name in assistant.catalogue.index
    )


async def test_yes_no_and_never_mind_answer_the_question(talk: Begin) -> None:
    for word, kind in (("yes", ActKind.ACCEPT), ("no", ActKind.REJECT), ("I don't care", ActKind.DONT_CARE)):
        conversation = talk()
        asked = (await conversation.say("hi")).question.choices[0]
        turn = await conversation.say(word)
        assert [(act.kind, act.value) for act in turn.acts] == [(kind, asked)]
        assert turn.question is None or turn.question.choices[0] != asked


async def test_dont_care_is_no_evidence_but_ends_the_question(talk: Begin) -> None:
    conversation = talk()
    first = await conversation.say("hi")
    turn = await conversation.click("dont_care")
    assert turn.candidates_left == first.candidates_left
    assert turn.question is None or turn.question.choices != first.question.choices
    assert turn.preferences[0].act.kind == ActKind.DONT_CARE


async def test_questions_in_a_row_are_bounded(talk: Begin) -> None:
    conversation = talk()
    turn = await conversation.say("hi")
    questions = 0
    while turn.question is not None:
        questions += 1
        assert questions <= 3
        turn = await conversation.click("dont_care")
    assert len(turn.items) == 10


async def test_like_item_moves_towards_similar_items(talk: Begin, assistant: Assistant) -> None:
    [like, *_] = await assistant.similar("book-0001", 3)
    conversation = talk()
    turn = await conversation.click("like_item", item="book-0001")
    results = await conversation.click("results")
    assert "book-0001" not in ids(results)
    assert like.item_id in ids(results)
    assert "Noted: you like" in turn.text
    assert any(node.id == "book-0001" for item in results.items for node in item.path)


async def test_more_like_lists_similar_items_with_their_paths(talk: Begin, assistant: Assistant) -> None:
    turn = await talk().click("more_like", item="book-0002")
    similar = {item.item_id for item in await assistant.similar("book-0002", 30)}
    assert len(turn.items) == 10 and len(similar & set(ids(turn))) >= 6
    assert "book-0002" not in ids(turn)
    assert assistant.item("book-0002")["title"] in turn.text
    assert all(item.path[1].id == "book-0002" for item in turn.items if len(item.path) > 2)


async def test_a_rejected_item_never_comes_back(talk: Begin) -> None:
    conversation = talk()
    shown = await conversation.click("results")
    rejected = ids(shown)[0]
    await conversation.click("reject_item", item=rejected)
    for _ in range(25):
        assert rejected not in ids(await conversation.click("results"))


async def test_seen_is_neither_liked_nor_disliked(talk: Begin) -> None:
    plain, conversation = talk(), talk()
    shown = ids(await plain.click("results"))
    await conversation.click("seen", item=shown[0])
    after = ids(await conversation.click("results"))
    assert after[:9] == shown[1:]


async def test_none_of_these_rejects_all_that_is_shown(talk: Begin) -> None:
    conversation = talk()
    shown = await conversation.click("results")
    turn = await conversation.click("reject_item")
    assert [act.item_id for act in turn.acts] == ids(shown)


async def test_search_lists_what_is_found_and_says_so(talk: Begin, assistant: Assistant) -> None:
    title = assistant.item("book-0010")["title"]
    turn = await talk().click("search", value=title)
    assert ids(turn)[0] == "book-0010"
    assert title in turn.text
    assert turn.items[0].path[-2].kind == "query"
    assert labels(turn) == [title]


async def test_a_filter_is_a_hard_bound(talk: Begin, assistant: Assistant) -> None:
    prices = sorted(price for price in assistant.catalogue.prices.tolist() if price == price)
    bound = Filter(field="price", operator="<=", value=prices[len(prices) // 4])
    conversation = talk()
    turn = await conversation.click("filter", filter=bound.model_dump())
    assert turn.candidates_left == sum(price <= bound.value for price in prices)
    results = await conversation.click("results")
    assert results.items and all(item.price <= bound.value + 0.01 for item in results.items)
    assert turn.text.startswith("Noted: price at most")


async def test_filters_that_leave_nothing_are_relaxed_and_that_is_said(talk: Begin) -> None:
    conversation = talk()
    await conversation.click("filter", filter={"field": "year", "operator": ">=", "value": 1900})
    turn = await conversation.click("filter", filter={"field": "price", "operator": "<", "value": 0.01})
    assert "price below 0.01" in turn.text and "left that out" in turn.text
    assert turn.items
    assert "year" not in turn.text.split("left that out")[0].split("fits with")[1]


async def test_results_go_on_where_the_list_ended(talk: Begin) -> None:
    conversation = talk()
    first, second = await conversation.click("results"), await conversation.click("results")
    assert len(first.items) == len(second.items) == 10
    assert not set(ids(first)) & set(ids(second))


async def test_after_the_last_result_the_list_begins_again(
    talk: Begin, common: list[str], assistant: Assistant
) -> None:
    rare = common[-1]
    conversation = talk()
    await conversation.click("filter", filter={"field": "attribute", "operator": "=", "value": rare})
    shown = await conversation.click("results")
    while "beginning again" not in shown.text:
        assert shown.items
        shown = await conversation.click("results")
    assert shown.items


async def test_compare_makes_a_table_of_facts(talk: Begin, assistant: Assistant) -> None:
    conversation = talk()
    shown = await conversation.click("results")
    turn = await conversation.clicks(*(Act(kind="compare", item_id=name) for name in ids(shown)[:3]))
    table = turn.data["comparison"]
    assert table["titles"] == [assistant.item(name)["title"] for name in ids(shown)[:3]]
    rows = {row["name"]: row for row in table["rows"]}
    assert rows["price"]["cells"] == [f"{item.price:.2f}" for item in shown.items[:3]]
    assert all(row["same"] == (len(set(row["cells"])) == 1) for row in table["rows"])
    assert [row["same"] for row in table["rows"]] == sorted(row["same"] for row in table["rows"])


async def test_compare_without_names_means_what_is_shown(talk: Begin) -> None:
    conversation = talk()
    shown = await conversation.click("results")
    assert ids(await conversation.click("compare")) == ids(shown)[:4]
    assert "name them" in (await talk().click("compare")).text


async def test_explain_tells_the_path(talk: Begin, common: list[str]) -> None:
    conversation = talk()
    await conversation.click("accept", value=common[2])
    shown = await conversation.click("results")
    turn = await conversation.click("explain", item=ids(shown)[1])
    assert ids(turn) == [ids(shown)[1]]
    assert turn.items[0].reason in turn.text and common[2] in turn.items[0].reason


async def test_why_explains_the_question_and_keeps_it(talk: Begin) -> None:
    conversation = talk()
    asked = await conversation.say("hi")
    turn = await conversation.click("why")
    assert turn.question.choices == asked.question.choices
    assert turn.question.why in turn.text
    assert turn.candidates_left == asked.candidates_left
    assert (await talk().click("why")).text.startswith("I have not asked")


async def test_information_does_not_change_what_the_second_one_means(talk: Begin) -> None:
    conversation = talk()
    shown = await conversation.click("results")
    await conversation.click("small_talk")
    await conversation.click("explain", item=ids(shown)[4])
    turn = await conversation.click("reject_item")
    assert [act.item_id for act in turn.acts] == ids(shown)


async def test_undo_takes_back_one_turn_each_time(talk: Begin, common: list[str]) -> None:
    conversation = talk()
    first = await conversation.click("accept", value=common[2])
    await conversation.click("accept", value=common[4])
    turn = await conversation.click("undo")
    assert turn.text.startswith(f"Taken back: {common[4]}")
    assert labels(turn) == labels(first)
    assert turn.candidates_left == first.candidates_left
    assert (turn.question, ids(turn)) == (first.question, ids(first))
    assert labels(await conversation.click("undo")) == []
    assert "nothing to take back" in (await conversation.click("undo")).text


async def test_undo_of_more_results_shows_the_list_before(talk: Begin) -> None:
    conversation = talk()
    first = await conversation.click("results")
    await conversation.click("results")
    assert ids(await conversation.click("undo")) == ids(first)


async def test_undo_after_information_shows_the_answer_before_it(talk: Begin, common: list[str]) -> None:
    conversation = talk()
    first = await conversation.click("results")
    await conversation.click("explain")
    await conversation.click("accept", value=common[2])
    await conversation.click("small_talk")
    assert ids(await conversation.click("undo")) == ids(first)


async def test_who_asks_for_something_rare_gets_it_whatever_they_liked(
    talk: Begin, common: list[str], assistant: Assistant
) -> None:
    rare = common[-1]
    for user in assistant.users(5):
        conversation = talk(user)
        turn = await conversation.click("accept", value=rare)
        shown = turn if turn.question is None else await conversation.click("results")
        having = [rare in item.attributes for item in shown.items]
        assert having == sorted(having, reverse=True)
        unseen = [i for i in assistant.catalogue.index if i not in assistant._live.world.seen(user)]
        assert any(having) == any(rare in assistant.item(i)["attributes"] for i in unseen)


async def test_reset_starts_over(talk: Begin, common: list[str]) -> None:
    conversation = talk()
    first = await conversation.say("hi")
    await conversation.click("accept", value=common[2])
    turn = await conversation.click("reset")
    assert turn.text.startswith("We start over.")
    assert turn.preferences == [] and turn.candidates_left == first.candidates_left
    assert turn.question == first.question


async def test_a_preference_can_be_withdrawn(talk: Begin, common: list[str]) -> None:
    conversation = talk()
    await conversation.click("accept", value=common[2])
    turn = await conversation.click("filter", filter={"field": "year", "operator": ">=", "value": 1990})
    for entry in turn.preferences:
        turn = await conversation.clicks(entry.act.model_copy(update={"remove": True}))
    assert turn.preferences == []


async def test_contradictory_answers_are_recovered_from(talk: Begin, common: list[str]) -> None:
    conversation = talk()
    for kind in ("accept", "reject", "accept"):
        await conversation.click(kind, value=common[2])
    shown = await conversation.click("results")
    assert all(common[2] in item.attributes for item in shown.items)
    await conversation.click("reject", value=common[2])
    shown = await conversation.click("results")
    assert not any(common[2] in item.attributes for item in shown.items)


async def test_somebody_who_rejects_everything_is_answered_to_the_end(talk: Begin, assistant: Assistant) -> None:
    conversation = talk("picky")
    turn = await conversation.say("hi")
    rejected: set[str] = set()
    for _ in range(60):
        if turn.question is not None:
            turn = await conversation.click("reject")
        elif turn.items:
            assert not rejected & set(ids(turn))
            rejected |= set(ids(turn))
            turn = await conversation.click("reject_item")
        else:
            break
    assert not turn.items and turn.candidates_left == 0
    assert "start over" in turn.text
    assert len(rejected) == len(assistant.catalogue)
    undone = await conversation.click("undo")
    assert undone.items


async def test_clicks_and_text_count_together(talk: Begin, common: list[str], assistant: Assistant) -> None:
    turn = await assistant.turn(TurnRequest(text="show me results", acts=[Act(kind=ActKind.ACCEPT, value=common[2])]))
    assert {act.kind for act in turn.acts} == {ActKind.ACCEPT, ActKind.RESULTS}
    assert len(turn.items) == 10


async def test_items_that_do_not_exist_are_named_not_followed(talk: Begin, common: list[str]) -> None:
    conversation = talk()
    turn = await conversation.clicks(
        Act(kind="like_item", item_id="gone", value="The Vanished Book"), Act(kind="accept", value="no such attribute")
    )
    assert turn.acts == [] and turn.preferences == []
    assert "“The Vanished Book” and “no such attribute” are not in the catalogue." in turn.text
    assert (await conversation.click("results")).items


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "🎉🎉",
        "אני מחפש ספר טוב",
        "\u202egnirts",
        "x" * 10_000,
        "\x00",
        "murder " * 1500,
        "<script>alert(1)</script>",
    ],
    ids=["empty", "blank", "emoji", "right-to-left", "override", "long", "nul", "long words", "html"],
)
async def test_any_text_is_answered(talk: Begin, text: str) -> None:
    conversation = talk()
    assert (await conversation.say(text)).text
    assert (await conversation.click("results")).items


async def test_equal_conversations_get_equal_answers(talk: Begin, common: list[str]) -> None:
    async def walk() -> list[dict[str, Any]]:
        conversation = talk("someone new")
        turns = [
            await conversation.say("hi"),
            await conversation.click("accept"),
            await conversation.say("something with a ghost"),
            await conversation.click("reject", value=common[1]),
            await conversation.click("results"),
        ]
        return [turn.model_dump(exclude={"thread", "message_id", "trace"}) for turn in turns]

    assert await walk() == await walk()


async def test_a_stream_tells_stages_then_text_then_the_turn(assistant: Assistant) -> None:
    events = [event async for event in assistant.stream(TurnRequest(text="hi"))]
    assert [event.stage.name for event in events if event.stage] == ["understand", "believe", "decide", "act", "say"]
    assert events[-1].kind == "turn" and events[-1].turn is not None
    assert "".join(event.text for event in events if event.kind == "text") == events[-1].turn.text
    assert [stage.name for stage in events[-1].turn.trace] == [e.stage.name for e in events if e.stage]


async def test_a_known_person_gets_something_new_from_a_real_path(talk: Begin, assistant: Assistant) -> None:
    user = assistant.users(1)[0]
    history = set(assistant._live.world.seen(user))
    turn = await talk(user).click("results")
    assert not history & set(ids(turn))
    for item in turn.items:
        assert item.path[-1].id == item.item_id
        for before, node in zip(item.path[1:], item.path[2:], strict=False):
            if before.kind == "item" and node.kind == "attribute":
                assert node.id in assistant.item(before.id)["attributes"]
                assert node.id in item.attributes
                assert before.id in history
    assert any(item.reason.startswith(("Like “", "Readers who like")) for item in turn.items)
