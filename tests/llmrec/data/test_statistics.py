"""Statistics with known answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmrec.data import read_dataset
from llmrec.data.statistics import statistics


def test_known_answers(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,price,attributes\na,1,x|y\nb,,x\nc,,\nd,,\n")
    (tmp_path / "interactions.csv").write_text(
        "user_id,item_id,event\n1,a,view\n1,a,buy\n1,b,dismiss\n2,a,view\n2,b,view\n"
    )
    found = statistics(read_dataset(tmp_path))
    assert (found["items"], found["users"], found["interactions"], found["positives"]) == (4, 2, 5, 4)
    assert found["events"] == {"view": 3, "buy": 1, "dismiss": 1}
    assert found["density"] == pytest.approx(3 / 8)
    assert found["items_without_positives"] == 2
    assert found["gini"] == pytest.approx((1 * 1 + 3 * 2) / (4 * 3))
    assert (found["attributes"], found["with_price"], found["history_max"]) == (2, 0.25, 2)
    json.dumps(found)


def test_without_interactions(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id\na\n")
    found = statistics(read_dataset(tmp_path))
    assert (found["users"], found["density"], found["gini"], found["first_event"]) == (0, 0.0, 0.0, None)
