from __future__ import annotations

import pytest

from llmrec.agents.conversation.understanding.normalise import MAX_TOKENS, fold, name_words, plain_number, tokenise


def words(text: str) -> list[str]:
    return [word for token in tokenise(text) for word in token.words]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don't", "i do not"),
        ("i dont", "i do not"),
        ("I’m not", "i am not"),
        ("couldnt've", "could not have"),
        ("won't can't ain't", "will not can not is not"),
        ("pls gimme smth, thx", "please give me something thanks"),
        ("nooooo yesss", "no yes"),
        ("R.E.M. & U2", "rem and u2"),
        ("under $1,299.50", "under $ 1299.50"),
        ("20€", "20 $"),
        ("the '80s", "the 80s"),
        ("what's it", "what is it"),
        ("kids' films", "kids films"),
        ("👍", "yes"),
        ("👎👎", "no no"),
        ("🦜 hi", "hi"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert words(text) == expected.split()


@pytest.mark.parametrize(
    ("raw", "number"),
    [("1,299.50", "1299.50"), ("1.299,50", "1299.50"), ("1.000", "1000"), ("9,5", "9.5"), ("12", "12")],
)
def test_numbers(raw: str, number: str) -> None:
    assert plain_number(raw) == number


def test_separators_and_capitals() -> None:
    tokens = tokenise("no, I love Heat. it 😀 really")
    assert [token.before for token in tokens] == [".", ",", "", "", ".", ","]
    assert [token.raw for token in tokens if token.capital] == ["heat"]


def test_names_are_folded_as_messages_are() -> None:
    assert name_words("Sigur Rós") == tuple(token.raw for token in tokenise("sigur ros"))
    assert name_words("Hip-Hop") == ("hip", "hop")
    assert name_words("R.E.M.") == ("rem",)
    assert name_words("Rock & Roll") == ("rock", "and", "roll")
    assert fold("ĐORĐE Łódź") == "dorde lodz"


def test_places_point_into_the_text() -> None:
    text = "Ich möchte\tJazz — bitte!"
    assert [text[token.start : token.end] for token in tokenise(text)] == ["Ich", "möchte", "Jazz", "bitte"]


def test_long_messages_are_cut() -> None:
    assert len(tokenise("word " * 5000)) == MAX_TOKENS
