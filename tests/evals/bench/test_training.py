from __future__ import annotations

import pytest

from llmrec.errors import UnknownName
from llmrec.evals import runner
from llmrec.language.training import presets
from llmrec.language.training.presets import Preset


def test_both_loops_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "PRESETS", {"mini": Preset(depth=2, tokens=1, length=16, batch=2)})
    options = {"preset": "mini", "steps": 20, "repeats": 2}
    bare, ours = runner.run(runner.benchmark("training"), "", options).rows
    assert (bare.name, ours.name) == ("bare-loop", "ours")
    assert bare.metrics["tokens_per_second"] > 0 and ours.metrics["tokens_per_second"] > 0
    assert 0 < ours.metrics["ratio"] < 2
    assert "2 x 16 tokens, 20 steps" in ours.protocol


def test_an_unknown_preset_is_told() -> None:
    with pytest.raises(UnknownName, match="no preset 'nanno'"):
        runner.run(runner.benchmark("training"), "", {"preset": "nanno"})
