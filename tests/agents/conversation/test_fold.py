"""State is a fold over typed acts."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation.fold import Record, State, effective, fold, resolve, undone
from llmrec.filters import Filter


def act(kind: str, value: str | None = None, item: str | None = None, **more: Any) -> Act:
    return Act(kind=ActKind(kind), value=value, item_id=item, **more)


def bound(text: str, **more: Any) -> Act:
    return Act(kind=ActKind.FILTER, filter=Filter.parse(text), **more)


def record(
    *acts: Act, id: str = "m", asked: tuple[str, ...] = (), shown: tuple[str, ...] = (), listed: bool = False
) -> Record:
    return Record(id=id, acts=acts, asked=asked, shown=shown, listed=listed)


def after(*turns: Record) -> State:
    return fold(turns)


def test_the_last_answer_on_an_attribute_counts() -> None:
    state = after(record(act("accept", "jazz"), act("reject", "folk")), record(act("reject", "jazz")))
    assert state.answers == {"folk": ActKind.REJECT, "jazz": ActKind.REJECT}


def test_the_last_thing_said_of_an_item_counts() -> None:
    assert after(record(act("like_item", item="1")), record(act("reject_item", item="1"))).items == {
        "1": ActKind.REJECT_ITEM
    }


def test_a_search_replaces_the_one_before_and_can_be_withdrawn() -> None:
    assert after(record(act("search", "a lamp")), record(act("search", "a chair"))).query == "a chair"
    assert after(record(act("search", "a lamp")), record(act("search", "a lamp", remove=True))).query == ""


def test_a_bound_replaces_one_in_the_same_direction() -> None:
    state = after(record(bound("price<=100"), bound("price>=20"), bound("brand!=HP")), record(bound("price<50")))
    assert [str(f) for f in state.filters] == ["price>=20", "brand!=HP", "price<50"]
    state = after(
        record(bound("brand=HP")), record(bound("brand=Dell")), record(bound("year=1990")), record(bound("year>1980"))
    )
    assert [str(f) for f in state.filters] == ["brand=Dell", "year>1980"]


def test_removing_withdraws_what_was_said() -> None:
    said = record(act("accept", "jazz"), act("like_item", item="1"), bound("price<=100"))
    gone = record(
        act("accept", "jazz", remove=True), act("like_item", item="1", remove=True), bound("price<=100", remove=True)
    )
    state = after(said, gone)
    assert (state.answers, state.items, state.filters) == ({}, {}, ())


def test_removing_what_has_been_changed_since_removes_nothing() -> None:
    state = after(
        record(act("accept", "jazz")), record(act("reject", "jazz")), record(act("accept", "jazz", remove=True))
    )
    assert state.answers == {"jazz": ActKind.REJECT}


def test_undo_takes_back_one_turn_each_time() -> None:
    turns = [record(act("accept", name), id=name) for name in ("a", "b", "c")]
    undo = record(act("undo"))
    assert list(after(*turns, undo).answers) == ["a", "b"]
    assert list(after(*turns, undo, undo).answers) == ["a"]
    assert after(*turns, undo, undo, undo, undo).answers == {}
    assert undone([*turns, undo]) == turns[1]
    assert undone([*turns, undo, undo, undo]) is None


def test_undo_brings_back_what_a_turn_had_replaced() -> None:
    state = after(record(act("accept", "jazz")), record(act("reject", "jazz"), bound("price<9")), record(act("undo")))
    assert state.answers == {"jazz": ActKind.ACCEPT} and state.filters == ()


def test_undo_passes_over_turns_that_only_asked_for_information() -> None:
    state = after(record(act("accept", "jazz")), record(act("why")), record(act("small_talk")), record(act("undo")))
    assert state.answers == {}


def test_undo_with_something_new_in_one_message() -> None:
    state = after(record(act("accept", "jazz")), record(act("undo"), act("accept", "folk")))
    assert list(state.answers) == ["folk"]
    assert (
        fold([record(act("accept", "jazz")), record(act("undo"), act("accept", "folk")), record(act("undo"))]).answers
        == {}
    )


def test_reset_starts_over_and_can_be_undone() -> None:
    turns = [record(act("accept", "jazz"), act("reject_item", item="1")), record(act("reset"))]
    assert after(*turns).answers == {} and after(*turns).items == {}
    assert list(after(*turns, record(act("accept", "folk"))).answers) == ["folk"]
    assert list(after(*turns, record(act("undo"))).answers) == ["jazz"]


def test_more_goes_on_until_something_new_is_said() -> None:
    first = record(act("results"), shown=("1", "2"), listed=True)
    second = record(act("results"), shown=("3", "4"), listed=True)
    assert after(first, second).listed == ("1", "2", "3", "4")
    assert after(first, second, record(act("accept", "jazz"))).listed == ()
    assert after(first, record(act("why"), shown=("1", "2"))).listed == ("1", "2")


def test_questions_in_a_row_are_counted() -> None:
    state = after(record(asked=("a",)), record(act("accept", "a"), asked=("b",)), record(act("why"), asked=("b",)))
    assert state.questions == 2
    assert after(record(asked=("a",)), record(act("results"), shown=("1",), listed=True)).questions == 0


def test_a_question_that_was_passed_over_is_remembered() -> None:
    state = after(record(asked=("a", "b")), record(act("accept", "a"), act("search", "lamp")))
    assert state.passed == ("b",)


def test_bare_answers_mean_what_was_asked_and_shown() -> None:
    state = after(record(asked=("jazz", "folk"), shown=("1", "2")))
    assert [a.value for a in resolve([act("reject")], state)] == ["jazz", "folk"]
    assert [a.item_id for a in resolve([act("reject_item")], state)] == ["1", "2"]
    assert resolve([act("like_item")], state) == ()  # which of the two?
    assert resolve([act("accept")], State()) == ()
    one = after(record(shown=("1",)))
    assert [a.item_id for a in resolve([act("seen")], one)] == ["1"]


ACTS = st.one_of(
    st.builds(act, st.sampled_from(["accept", "reject", "dont_care"]), st.sampled_from("abc")),
    st.builds(act, st.sampled_from(["like_item", "reject_item", "seen"]), st.none(), st.sampled_from("123")),
    st.builds(act, st.sampled_from(["results", "why", "undo", "reset", "search"]), st.sampled_from(["x", "y"])),
)


@given(st.lists(st.lists(ACTS, min_size=1, max_size=3), max_size=8))
def test_a_turn_and_its_undo_leave_what_was_there(turns: list[list[Act]]) -> None:
    log = [record(*acts, id=str(n)) for n, acts in enumerate(turns)]
    before = fold(log)
    with_turn = [*log, record(act("accept", "new"), id="new")]
    undone_again = fold([*with_turn, record(act("undo"), id="undo")])
    assert (undone_again.answers, undone_again.items, undone_again.query) == (
        before.answers,
        before.items,
        before.query,
    )
    assert effective([*with_turn, record(act("undo"))]) == effective(log)


def test_records_survive_json() -> None:
    one = record(act("accept", "jazz"), bound("price<=100"), asked=("folk",), shown=("1",), listed=True)
    assert Record.model_validate(one.model_dump(mode="json", exclude_defaults=True)) == one
