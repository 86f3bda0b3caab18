"""`bench build`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmrec.errors import LlmrecError, UserError
from llmrec.evals.bench.build import BuildBench


def shop(folder: Path, items: int = 8) -> Path:
    folder.mkdir(parents=True)
    rows = [
        {"item_id": str(n), "title": f"Lamp {n}", "attributes": ["brass" if n % 2 else "steel"]} for n in range(items)
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_every_dataset_of_a_folder_is_built_and_measured(tmp_path: Path) -> None:
    shop(tmp_path / "all" / "shop")
    (tmp_path / "all" / "notes").mkdir()
    [row, *steps] = BuildBench(steps=True).run(str(tmp_path / "all"))
    assert row.name == "shop" and row.seconds is not None and row.seconds > 0
    assert 50 < row.metrics["peak_mb"] < 5000
    assert 0 < row.metrics["workspace_mb"] < 100
    assert "shop: data/catalogue" in [step.name for step in steps]
    assert sum(step.seconds or 0 for step in steps) <= row.seconds


def test_wrong_sources_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        BuildBench().run(str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="no items file"):
        BuildBench().run(str(tmp_path))


def test_a_build_that_fails_is_said_with_its_reason(tmp_path: Path) -> None:
    data = shop(tmp_path / "shop")
    (data / "items.jsonl").write_text("{")
    with pytest.raises(LlmrecError, match=r"building shop failed: .*JSON"):
        BuildBench().run(str(data))
