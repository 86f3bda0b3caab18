"""Reading clauses by a language model's adapter: how it is taught, asked, and replaced when it fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llmrec.agents.conversation.understanding.examples import INTENTS
from llmrec.agents.conversation.understanding.learnt import ADAPTER, ANSWERS, ClauseModel, prompt
from llmrec.agents.conversation.understanding.teach import generated, train_adapter
from llmrec.agents.conversation.understanding.understanding import Understanding
from llmrec.contracts import Capabilities
from llmrec.data.catalogue import Catalogue
from llmrec.errors import UnknownAdapter
from llmrec.language.engines import open_engine
from llmrec.language.trie import TokenTrie
from llmrec.testing.models import Folders, make_tiny_model

BANK = [
    *((f"i {verb} @i", "positive") for verb in ("love", "adore", "like", "enjoy")),
    *((f"i {verb} @i", "negative") for verb in ("hate", "loathe", "detest", "despise")),
]


class Scripted:
    """An engine that finds one intent by far the likeliest, whatever the clause; or fails."""

    name = "scripted"
    capabilities = Capabilities(chat=False, beam=True, adapters=True)

    def __init__(self, intent: str, fails: bool = False) -> None:
        self.intent, self.fails, self.asked = intent, fails, []  # type: ignore[var-annotated]

    async def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return [list(text.encode()) for text in texts]

    async def beam(
        self, prompt: str, trie: TokenTrie, width: int, *, adapter: str | None = None
    ) -> list[tuple[int, float]]:
        if self.fails:
            raise UnknownAdapter(f"there is no adapter {adapter!r}")
        self.asked.append((prompt, adapter))
        return [(INTENTS.index(self.intent), -0.01), (0, -9.0)]


def test_no_answer_begins_another() -> None:
    assert len(set(ANSWERS)) == len(INTENTS)
    assert not [a for a in ANSWERS for b in ANSWERS if a != b and b.startswith(a)]


def test_clauses_are_generated_in_several_situations_with_typos_and_their_placeholders_whole() -> None:
    pairs = generated(BANK, 40)
    assert len(pairs) == 40 * len(BANK)
    assert {text.partition(":")[0] for text, _ in pairs} == {"asked", "shown", "start"}
    assert all("@i =" in text for text, _ in pairs)
    assert any("loahte" in text or "lothe" in text for text, _ in pairs)
    assert {answer for _, answer in pairs} == {" positive.", " negative."}


async def test_likelihoods_are_those_of_the_beam() -> None:
    engine = Scripted("seen")
    likelihoods = await ClauseModel(engine).likelihoods([["saw", "@i"], ["@i"]], asked=False, shown=True)  # type: ignore[arg-type]
    assert likelihoods.shape == (2, len(INTENTS))
    assert np.allclose(likelihoods.sum(axis=1), 1, atol=1e-5)
    assert INTENTS[int(likelihoods[0].argmax())] == "seen"
    assert engine.asked[0] == (prompt(["saw", "@i"], False, True), ADAPTER)


async def test_a_message_is_read_by_the_adapter(catalogue: Catalogue) -> None:
    understanding = Understanding(catalogue, Scripted("seen"), adapter=ADAPTER)  # type: ignore[arg-type]
    understood = await understanding.understand("grokked Sigur Rós")
    assert understood.source == "language-model"
    assert [(act.kind.value, act.value) for act in understood.acts] == [("seen", "Sigur Rós")]


async def test_rules_read_where_the_adapter_is_missing(catalogue: Catalogue) -> None:
    understanding = Understanding(catalogue, Scripted("seen", fails=True), adapter=ADAPTER)  # type: ignore[arg-type]
    understood = await understanding.understand("i love jazz")
    assert (understood.source, [act.kind.value for act in understood.acts]) == ("rules", ["accept"])
    assert "no adapter" in understood.note


async def test_an_adapter_is_taught_and_read_through_the_engine(tmp_path: Path) -> None:
    tiny = make_tiny_model(tmp_path)
    report = train_adapter(tiny.folder, tmp_path / "understand", bank=BANK, epochs=40)
    assert report.kind == "adapter"
    assert report.validation_loss is not None
    engine = open_engine(f"transformers:{tiny.folder}", adapters=Folders({ADAPTER: tmp_path / "understand"}))
    assert engine is not None
    try:
        likelihoods = await ClauseModel(engine).likelihoods(
            [["i", "love", "@i"], ["i", "hate", "@i"]], asked=False, shown=False
        )
    finally:
        await engine.aclose()
    assert [INTENTS[at] for at in likelihoods.argmax(axis=1)] == ["positive", "negative"]


async def test_no_clauses_need_no_model() -> None:
    likelihoods = await ClauseModel(Scripted("yes")).likelihoods([], asked=False, shown=False)  # type: ignore[arg-type]
    assert likelihoods.shape == (0, len(INTENTS))
