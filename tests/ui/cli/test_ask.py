"""`llmrec recommend` and `search`, through a server with keys and in process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Json, Llmrec, Process


@pytest.fixture
def ask(llmrec: Llmrec, served: Process, cli_workspace: Path) -> Llmrec:
    return lambda *words: llmrec(*words, "-w", cli_workspace)


def items(ask: Llmrec, *words: object) -> list[Json]:
    outcome = ask(*words, "--json", "-")
    assert outcome.code == 0, outcome
    found: list[Json] = json.loads(outcome.out)["items"]
    return found


def test_search_in_a_table_and_as_json(ask: Llmrec) -> None:
    found = items(ask, "search", "a murder by the sea", "-k", 3)
    assert len(found) == 3
    table = ask("search", "a murder by the sea", "-k", 3)
    header, *rows, why = table.out.splitlines()
    assert header.split()[:3] == ["item", "title", "score"]
    assert [row.split()[0] for row in rows] == [item["item_id"] for item in found]
    assert all(item["title"] in row for item, row in zip(found, rows, strict=True))
    assert why == "Found for “a murder by the sea”."
    assert ask("search", "a murder by the sea", "-k", 3, "--json", "out/found.json").out == ""
    assert json.loads(Path("out/found.json").read_text())["items"] == found


def test_filters_hold(ask: Llmrec) -> None:
    cheap = items(ask, "search", "love", "-f", "price<=9", "--filter", "year>=2000", "-k", 50)
    assert cheap and all(item["price"] <= 9 and item["year"] >= 2000 for item in cheap)
    assert ask("search", "love", "-f", "price<0").out == "nothing found\n"
    assert "price needs a number, not 'cheap'" in ask("search", "love", "-f", "price<cheap").mistake
    assert "write it like 'price<=100'" in ask("search", "love", "-f", "prise<9").mistake


def test_recommendations_for_known_new_and_anonymous_people(ask: Llmrec) -> None:
    known = ask("recommend", "reader-0001", "-k", 4)
    assert known.code == 0 and len(known.out.splitlines()) >= 5 and not known.err
    stranger = ask("recommend", "nobody", "-k", 4)
    assert "nothing is known of 'nobody' yet" in stranger.err
    liked = [item["item_id"] for item in items(ask, "recommend", "-k", 2)]
    by_history = items(ask, "recommend", "--history", ",".join(liked))
    assert by_history and not set(liked) & {item["item_id"] for item in by_history}
    similar = items(ask, "recommend", "--similar-to", liked[0], "-k", 3)
    assert len(similar) == 3 and liked[0] not in {item["item_id"] for item in similar}
    assert items(ask, "recommend", "reader-0001", "--recommender", "ease")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["recommend", "--recommender", "eas"], "there is no recommender 'eas': did you mean ease?"),
        (["recommend", "--history", "book-0001,bok-0002"], "no item 'bok-0002' in the catalogue: did you mean 'book-"),
        (["recommend", "--similar-to", "a/b?c"], "there is no item 'a/b?c'"),
        (["recommend", "ann", "--history", "book-0001"], "give one of user, history and similar_to"),
    ],
)
def test_names_that_do_not_exist(ask: Llmrec, words: list[str], sentence: str) -> None:
    assert sentence in ask(*words).mistake


def test_without_a_server_the_answers_are_the_same(
    ask: Llmrec, llmrec: Llmrec, demo_workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMREC_STATE", f"sqlite:{tmp_path}/state.sqlite")
    # What would stop a server, or guard it, is nothing to a command in process.
    monkeypatch.setenv("LLMREC_HOST", "0.0.0.0")
    monkeypatch.setenv("LLMREC_KEYS", '{"k": ["somebody-else"]}')
    alone = llmrec("recommend", "reader-0002", "-k", 5, "-w", demo_workspace, "--json", "-")
    assert alone.code == 0 and json.loads(alone.out)["items"] == items(ask, "recommend", "reader-0002", "-k", 5)
