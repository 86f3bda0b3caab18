from __future__ import annotations

import pytest

from llmrec.agents.conversation.understanding.normalise import tokenise
from llmrec.agents.conversation.understanding.references import find_references

SHOWN = ["Acme Quietkeys keyboard Black", "Zenit Roll mouse Silver", "Acme Nomad notebook"]


def places(text: str, titles: list[str] = SHOWN) -> list[tuple[int, ...]]:
    return [reference.shown for reference in find_references(tokenise(text), titles)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the second one", [(1,)]),
        ("not the 3rd", [(2,)]),
        ("the last", [(2,)]),
        ("the middle one please", [(1,)]),
        ("number 2", [(1,)]),
        ("the first two", [(0, 1)]),
        ("the last two films", [(1, 2)]),
        ("seen all three", [(0, 1, 2)]),
        ("none of these", [(0, 1, 2)]),
        ("i like them all", [(0, 1, 2)]),
        ("first and third", [(0,), (2,)]),
        ("the mouse", [(1,)]),
        ("more like the zenit one", [(1,)]),
        ("that quietkeys thing", [(0,)]),
        ("the notbook", [(2,)]),
        ("it", [(0,)]),
        ("my last answer", []),
        ("first of all", []),
        ("the fifth one", []),
        ("the acme one", []),  # two of them are
        ("jazz", []),
    ],
)
def test_references(text: str, expected: list[tuple[int, ...]]) -> None:
    assert places(text) == expected


def test_both_and_the_two_mean_two() -> None:
    assert places("both", SHOWN[:2]) == [(0, 1)]
    assert places("how do the two mice compare", ["Alpha mouse mice", "Beta mouse mice"]) == [(0, 1)]


def test_without_items_nothing_is_meant() -> None:
    assert places("the second one, it is great", []) == []
