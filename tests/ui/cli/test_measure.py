"""`llmrec eval` and `bench`: names, options, tables and files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmrec.evals import runner

from .conftest import Llmrec


def test_suites_and_benchmarks_are_listed_and_described(llmrec: Llmrec) -> None:
    assert "topn" in llmrec("eval").out and "search" in llmrec("eval").out
    listed = llmrec("bench").out
    assert all(name in listed for name in runner.BENCHMARKS)
    described = llmrec("eval", "topn", "--help").out
    assert "--fit-on" in described and "train+valid" in described
    assert "popularity,item-to-item" in described, "defaults as they are typed"
    assert "Undefined" not in described and "--conversations" in llmrec("bench", "chat", "--help").out


@pytest.mark.parametrize("name", list(runner.BENCHMARKS))
def test_every_benchmark_is_there(name: str) -> None:
    assert runner.benchmark(name).model_fields is not None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["eval", "tpn", "data"], "did you mean topn"),
        (["bench", "retrievl"], "did you mean retrieval"),
        (["eval", "topn"], "llmrec eval topn SOURCE"),
        (["eval", "topn", "--split", "temporal"], "llmrec eval topn SOURCE"),
        (["eval", "topn", "nowhere"], "there is no data folder 'nowhere'"),
        (["eval", "topn", "data", "--recomenders", "ease"], "did you mean --recommenders"),
        (["eval", "topn", "data", "--split", "sideways"], "--split: should be 'leave-one-out'"),
        (["eval", "topn", "data", "--settings", "{"], "--settings: not JSON"),
        (["eval", "topn", "data", "--html", "."], "cannot write ."),
    ],
)
def test_mistakes(llmrec: Llmrec, words: list[str], sentence: str) -> None:
    assert sentence in llmrec(*words).mistake


def test_a_table_a_file_and_a_page(llmrec: Llmrec, demo_workspace: Path) -> None:
    data = demo_workspace.parent / "data"
    words = ["eval", "topn", data, "--recommenders", "popularity,item-to-item", "--samples", "10"]
    outcome = llmrec(*words, "--json", "out/topn.json", "--html", "out/topn.html")
    assert outcome.code == 0
    result = json.loads(Path("out/topn.json").read_text())
    assert [row["name"] for row in result["rows"]] == ["popularity", "item-to-item"] and result["suite"] == "topn"
    for row in result["rows"]:
        assert row["name"] in outcome.out and f"{row['metrics']['HR@10']:.4f}" in outcome.out
    assert "leave-one-out split" in outcome.out, "the protocol"
    assert "<svg" in Path("out/topn.html").read_text()
    alone = llmrec(*words, "--json", "-")
    assert json.loads(alone.out)["rows"][0]["metrics"] == result["rows"][0]["metrics"]
    mistake = llmrec("eval", "topn", data, "--recommenders", "poplarity")
    assert mistake.code == 2 and "did you mean popularity" in mistake.err


def test_a_workspace_is_called_by_its_dataset(llmrec: Llmrec, demo_workspace: Path) -> None:
    words = ["eval", "topn", demo_workspace, "--recommenders", "popularity", "--samples", "10", "--json", "-"]
    name = json.loads(llmrec(*words).out)["dataset"]
    assert name and name != demo_workspace.name
