from __future__ import annotations

import pytest

from llmrec.agents.conversation.understanding.interpret import Interpreter


def linked(interpreter: Interpreter, text: str, asked: str | None = None) -> list[str]:
    titles = interpreter.catalogue.titles
    return [
        m.attribute or m.brand or (titles[m.item] if m.item is not None else "")
        for m in interpreter.mentions(text, asked)
        if not m.weak
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("indie rock", ["indie rock"]),
        ("indei rock", ["indie rock"]),
        ("indie rokc please", ["indie rock"]),
        ("postpunk", ["post-punk"]),
        ("post punk", ["post-punk"]),
        ("comedies", ["Comedy"]),
        ("documentries", ["Documentary"]),
        ("sci fi", ["Sci-Fi"]),
        ("science fiction", ["Sci-Fi"]),
        ("laptops", ["type: Notebook"]),
        ("sigur ros", ["Sigur Rós"]),
        ("siguur ros", ["Sigur Rós"]),
        ("the empire of dust", ["Empire of Dust, The"]),
        ("empire of dusk", ["Empire of Dust, The"]),
        ("harbor lights", ["Harbour Lights"]),
        ("glass tigers and the the", ["The Glass Tigers"]),
        ("bluetooth", ["bluetooth: True"]),
        ("zenit", ["Zenit"]),
        ("i would like to see something good for me", []),
        ("🎷 \u202eشكرا", []),
    ],
)
def test_names_are_found(interpreter: Interpreter, text: str, expected: list[str]) -> None:
    assert linked(interpreter, text) == expected


def test_ordinary_words_are_weak(interpreter: Interpreter) -> None:
    mentions = {m.start: m for m in interpreter.mentions("love awesome heat", None)}
    assert mentions and all(m.weak for m in mentions.values())


def test_quotes_make_a_name(interpreter: Interpreter) -> None:
    assert linked(interpreter, 'more like "yes"') == ["Yes"]


def test_what_was_asked_is_found_by_its_facet(interpreter: Interpreter) -> None:
    assert linked(interpreter, "the colour", asked="colour: White") == ["colour: White"]


def test_a_facet_word_tells_which_attribute_is_meant(interpreter: Interpreter) -> None:
    assert linked(interpreter, "silver colour") == ["colour: Silver"]
