"""Several hundred messages on real catalogues, written for development; they guard what was reached."""

from __future__ import annotations

from pathlib import Path

from llmrec.evals.suites.understanding import ACT_ACCURACY, ATTRIBUTE_F1, UnderstandingSuite

FILE = Path(__file__).with_name("utterances.jsonl")


def test_development_messages_are_understood(shared_data: Path) -> None:
    rows = {row.name: row.metrics for row in UnderstandingSuite(data=shared_data, samples=10).run(str(FILE))}
    assert rows["rules"][ACT_ACCURACY] >= 0.97
    assert rows["rules"][ATTRIBUTE_F1] >= 0.94
    assert min(metrics[ACT_ACCURACY] for name, metrics in rows.items() if name.startswith("rules: ")) >= 0.9
