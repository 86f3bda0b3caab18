"""`llmrec events`, `items` and `memory` beside a server with keys, and alone."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import polars as pl
import pytest

from llmrec.ui.cli import live

from .conftest import Json, Llmrec, Process, write


@pytest.fixture
def cli(llmrec: Llmrec, served: Process, cli_workspace: Path) -> Llmrec:
    return lambda *words: llmrec(*words, "-w", cli_workspace)


def test_events_count_once_and_at_once(cli: Llmrec, tmp_path: Path) -> None:
    rows = "user_id,item_id,event,timestamp\ncleo,book-0001,like,1700000000\ncleo,book-0002,buy,2023-11-15\n"
    file = write(tmp_path / "events.csv", rows)
    assert cli("events", "add", file).out == "2 events added\n"
    assert cli("events", "add", file).out == "0 events added, 2 were known already\n"
    shown = json.loads(cli("recommend", "cleo", "-k", 200, "--json", "-").out)
    assert shown["known"] and not {"book-0001", "book-0002"} & {item["item_id"] for item in shown["items"]}
    file = write(tmp_path / "events.jsonl", '{"user_id": "cleo", "item_id": "no-such-item"}\n')
    added = cli("events", "add", file, "--json", "-")
    assert json.loads(added.out) == {"rows": 1, "added": 1, "unknown_items": 1}
    assert "1 events are on items that the catalogue does not have" in added.err


def test_items_change_at_once(cli: Llmrec, tmp_path: Path) -> None:
    long = "x" * (live._BATCH_BYTES // 2 + 1)
    rows: list[Json] = [{"item_id": f"new-{n}", "title": "Quuxian Zymurgy", "description": long} for n in range(3)]
    rows.append({"item_id": "book-0003", "price": 1.25})
    file = write(tmp_path / "items.jsonl", "\n".join(json.dumps(row) for row in rows))
    assert cli("items", "upsert", file).out == "4 items added or changed\n", "more than fits into one request"
    assert "new-0" in cli("search", "quuxian zymurgy", "-k", 3).out
    changed = json.loads(cli("search", "", "-f", "price<=1.25", "--json", "-").out)["items"]
    assert [item["item_id"] for item in changed] == ["book-0003"] and changed[0]["title"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("gone.csv", None, "cannot read"),
        ("events.xlsx", "x", "give a .parquet, .csv or .jsonl file"),
        ("events.csv", "user_id,item\na,b\n", "events.csv, column 'item_id'"),
        ("events.csv", "user_id,item_id,event\na,b,like\na,b,adore\n", "events.csv, row 2, column 'event'"),
        ("events.csv", "user_id,item_id,timestamp\na,b,noon\n", "events.csv, row 1, column 'timestamp'"),
    ],
)
def test_a_wrong_file_changes_nothing(cli: Llmrec, tmp_path: Path, name: str, text: str | None, sentence: str) -> None:
    file = tmp_path / name if text is None else write(tmp_path / name, text)
    assert sentence in cli("events", "add", file).mistake


def test_memory_is_the_persons_whatever_the_key(cli: Llmrec, served: Process) -> None:
    anna = httpx.Client(base_url=served.address, headers={"authorization": "Bearer sk-anna"})
    assert cli("memory", "show", "-u", "anna").out == "nothing is remembered of 'anna'\n"
    for item_id in ("book-0004", "book-0005"):
        assert anna.post("/v1/memory", json={"kind": "like", "item_id": item_id}).is_success
    first, second = json.loads(cli("memory", "show", "-u", "anna", "--json", "-").out)["entries"]
    table = cli("memory", "show", "-u", "anna").out
    assert first["id"] in table and first["label"] in table and "book-0004" not in table, "titles, not ids"
    exported = json.loads(cli("memory", "export", "-u", "anna").out)
    assert [entry["item_id"] for entry in exported["memory"]] == ["book-0004", "book-0005"]
    assert cli("memory", "export", "-u", "anna", "--json", "anna.json").out == ""
    assert json.loads(Path("anna.json").read_text())["user"] == "anna"
    assert cli("memory", "delete", "-u", "anna", "--entry", first["id"]).code == 0
    assert [entry["id"] for entry in anna.get("/v1/memory").json()["entries"]] == [second["id"]]
    assert "no memory entry 'zzz'" in cli("memory", "delete", "-u", "anna", "--entry", "zzz").mistake
    assert cli("memory", "delete", "-u", "anna").out == "forgotten: everything of 'anna'\n"
    assert anna.get("/v1/memory").json()["entries"] == []
    assert json.loads(cli("memory", "export", "-u", "anna").out)["memory"] == []


def test_what_a_server_has_stored_a_command_alone_can_reach(
    llmrec: Llmrec, demo_workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMREC_STATE", f"sqlite:{tmp_path}/state.sqlite")
    (row,) = pl.read_parquet(demo_workspace.parent / "data" / "items.parquet").head(1).to_dicts()
    said = llmrec("chat", "-w", demo_workspace, "-u", "dora", "-m", f"I loved {row['title']}")
    assert said.code == 0
    monkeypatch.setenv("LLMREC_KEYS", '{"k": ["dora"]}')
    exported = json.loads(llmrec("memory", "export", "-u", "dora", "-w", demo_workspace).out)["memory"]
    assert [(entry["kind"], entry["item_id"]) for entry in exported] == [("like", row["item_id"])]
