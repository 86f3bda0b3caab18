"""`llmrec train understanding`, and the row that its adapter gets beside the rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmrec.agents.conversation.understanding import teach
from llmrec.testing.models import make_tiny_model

from .conftest import Llmrec


def test_an_adapter_is_trained_and_measured_beside_the_rules(
    llmrec: Llmrec, tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teach, "examples", lambda: [("i love @i", "positive"), ("i hate @i", "negative")] * 20)
    tiny = make_tiny_model(tmp_path)
    adapter = tmp_path / "understand"
    trained = llmrec("train", "understanding", tiny.folder, "--output", adapter, "--json", "-")
    assert json.loads(trained.out)["kind"] == "adapter"
    line = {"dataset": "ml-100k", "text": "i love Fargo", "acts": [["like_item", "Fargo"]]}
    (tmp_path / "said.jsonl").write_text(json.dumps(line))
    measured = llmrec(
        "eval", "understanding", tmp_path / "said.jsonl", "--data", shared_data, "--llm", f"transformers:{tiny.folder}",
        "--adapter", adapter, "--json", "-",
    )  # fmt: skip
    rows = {row["name"]: row["metrics"] for row in json.loads(measured.out)["rows"]}
    assert rows["rules"]["act_accuracy"] == 1.0
    assert rows["language-model"]["fallbacks"] == 0.0


def test_a_base_that_is_not_there_is_the_users_mistake(llmrec: Llmrec, tmp_path: Path) -> None:
    outcome = llmrec("train", "understanding", tmp_path / "nowhere", "--output", tmp_path / "adapter")
    assert "there is no model at" in outcome.mistake
