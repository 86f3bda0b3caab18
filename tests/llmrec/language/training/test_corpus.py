"""What the corpus says, and above all what it does not."""

from __future__ import annotations

import polars as pl
import pytest

from llmrec.data import columns as c
from llmrec.data import parse
from llmrec.data.dataset import Dataset
from llmrec.language.training.corpus import Corpus, Document, build_corpus


def text(document: Document) -> str:
    return document if isinstance(document, str) else "\n".join(message.content for message in document)


def everything(corpus: Corpus) -> str:
    return "\n".join(map(text, (*corpus.train, *corpus.validation)))


@pytest.fixture
def world() -> Dataset:
    """Titles, users, reviews and searches that can be told apart in a text: `T17.`, `R3-17.`, `Q3-17.`"""
    items = parse.rows_to_items(
        [{c.ITEM: f"i{n}", c.TITLE: f"T{n}.", c.DESCRIPTION: f"D{n}.", c.ATTRIBUTES: ["blue"]} for n in range(200)]
    )
    pairs = [(user, item) for user in range(100) for item in range(user % 7, 200, 7)]
    interactions = pl.DataFrame(
        {
            c.USER: [f"u{user}" for user, _ in pairs],
            c.ITEM: [f"i{item}" for _, item in pairs],
            c.TIMESTAMP: list(range(len(pairs))),
            c.SPLIT: [("train", "train", "valid", "test")[(user + item) % 4] for user, item in pairs],
        }
    )
    told = {c.USER: interactions[c.USER], c.ITEM: interactions[c.ITEM]}
    dataset = Dataset("world", items)
    empty = dataset.tables()
    return Dataset(
        "world",
        items,
        interactions=pl.concat([empty[c.INTERACTIONS_FILE], interactions], how="diagonal_relaxed"),
        reviews=pl.concat(
            [empty[c.REVIEWS_FILE], pl.DataFrame({**told, c.TEXT: [f"R{u}-{i}." for u, i in pairs]})],
            how="diagonal_relaxed",
        ),
        queries=pl.concat(
            [
                empty[c.QUERIES_FILE],
                pl.DataFrame({c.QUERY: ["a lost lamp", "a held-out lamp"], c.SPLIT: ["train", "test"]}),
                pl.DataFrame({**told, c.QUERY: [f"Q{u}-{i}." for u, i in pairs]}),
            ],
            how="diagonal_relaxed",
        ),
        judgments=pl.DataFrame({c.QUERY: ["a judged lamp"], c.ITEM: ["i1"], c.GRADE: [3]}),
    )


def test_no_held_out_interaction_is_read(world: Dataset) -> None:
    said = everything(build_corpus(world))
    for user, item, part in world.interactions.select(c.USER, c.ITEM, c.SPLIT).iter_rows():
        pair = f"{user[1:]}-{item[1:]}."
        for word in (f"R{pair}", f"Q{pair}"):
            assert (word in said) == (part == "train"), (word, part)
    histories = [text(d).split("\n")[1:] for d in _all(build_corpus(world)) if text(d).startswith("In this order:")]
    allowed = {}
    train = world.interactions.filter(pl.col(c.SPLIT) == "train")
    for user, item in train.select(c.USER, c.ITEM).iter_rows():
        allowed.setdefault(user, set()).add(f"- T{item[1:]}.")
    assert histories and all(any(set(lines) <= items for items in allowed.values()) for lines in histories)
    assert "a lost lamp" in said and "a held-out lamp" not in said and "a judged lamp" not in said


def _all(corpus: Corpus) -> list[Document]:
    return [*corpus.train, *corpus.validation]


def test_a_view_of_the_train_part_holds_out_the_reviews_beside_it(world: Dataset) -> None:
    """As an evaluation makes it, with `Split.fit`: the split is no column any more, rows are gone."""
    train = world.interactions.filter(pl.col(c.SPLIT) == "train").with_columns(split=pl.lit(None, pl.String))
    assert everything(build_corpus(world.with_interactions(train))).count("R") == len(train)


def test_train_and_validation_share_no_user_and_no_item(world: Dataset) -> None:
    corpus = build_corpus(world)
    trained = "\n".join(map(text, corpus.train))
    shown = [document for document in corpus.validation if isinstance(document, str)]
    pages = [document for document in shown if document.startswith("T")]
    assert len(pages) == 4, "two of a hundred items"
    for page in pages:
        title, description = page.split("\n")[0], page.split("\n")[-1]
        assert title not in trained and description not in trained
        assert f"-{title[1:]}" not in trained, "no review, no search"
    users = {word[1:].split("-")[0] for document in corpus.validation for word in text(document).split() if "-" in word}
    reviewers = [user for user in users if user.isdigit() and f"R{user}-" not in trained]
    assert len(reviewers) == 2 and all(f"Q{user}-" not in trained for user in reviewers)


def test_the_seed_decides(world: Dataset) -> None:
    assert build_corpus(world) == build_corpus(world)
    assert build_corpus(world, seed=1) != build_corpus(world)


def test_a_catalogue_alone_is_enough_and_nothing_is_nothing() -> None:
    bare = Dataset("bare", parse.rows_to_items([{c.ITEM: "1", c.TITLE: "Lamp"}]))
    corpus = build_corpus(bare)
    assert "Lamp" in everything(corpus) and not corpus.validation
    assert build_corpus(Dataset("none", parse.rows_to_items([{c.ITEM: "1"}]))) == Corpus([], [])


def test_braces_and_markup_in_a_title_are_data() -> None:
    odd = Dataset("odd", parse.rows_to_items([{c.ITEM: "1", c.TITLE: "{name} {0} %s", c.ATTRIBUTES: ["{attribute}"]}]))
    assert "{name} {0} %s" in everything(build_corpus(odd))
