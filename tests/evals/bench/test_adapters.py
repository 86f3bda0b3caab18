"""`bench adapters`: which server each row runs on, and what is counted. vLLM is a stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llmrec.adapters.check import check_adapter
from llmrec.errors import EngineUnavailable
from llmrec.evals.bench.adapters import AdaptersBench, _Generated, _write_model
from llmrec.evals.runner import benchmark


class StandIn:
    """An engine that remembers what it was asked."""

    opened: ClassVar[list[StandIn]] = []
    failing = ""

    def __init__(self, target: str, *, adapters: _Generated, **options: Any) -> None:
        self.target, self.adapters, self.asked, self.closed = target, adapters, [], False
        self.opened.append(self)

    @asynccontextmanager
    async def serving(self, adapter: str | None) -> AsyncIterator[tuple[StandIn, str]]:
        if adapter is not None:
            folder = self.adapters.resolve(adapter)
            assert folder is not None
            assert check_adapter(folder, self.adapters.model).rank == 8
        self.asked.append(adapter)
        yield self, adapter or "base"

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == "/completions" and len(body["prompt"]) == 5
        if body["model"] == self.failing:
            raise EngineUnavailable("down")
        return {"usage": {"completion_tokens": body["max_tokens"]}}

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[StandIn]:
    monkeypatch.setattr(StandIn, "opened", [])
    monkeypatch.setattr("llmrec.language.vllm.engine.VLLMEngine", StandIn)
    return StandIn.opened


def test_rows_and_what_they_ask(engines: list[StandIn], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIn, "failing", "user:7")
    rows = AdaptersBench(distinct=3, stream=5, prompt=5, tokens=4, rounds=2, dtype="float32").run("")
    assert [row.name for row in rows] == ["base", "one", "one-3-slots", "3-distinct", "5-stream"]
    few, many = engines
    assert few.closed and many.closed
    assert "max_loras=1&" in few.target and "max_loras=3&" in many.target
    assert set(few.asked) == {None, "user:0"}
    turns = [None] * 3 + ["user:0"] * 3 + ["user:0", "user:1", "user:2"]
    assert many.asked == turns * 3 + [f"user:{number}" for number in range(3, 8)]  # the first turn warms up
    by_name = {row.name: row.metrics for row in rows}
    assert [by_name[name]["failed"] for name in by_name] == [0, 0, 0, 0, 1]
    for metrics in by_name.values():
        assert set(metrics) == {"tokens_per_second", "ratio_to_base", "ratio_to_one", "failed"}
        speed = metrics["tokens_per_second"]
        assert metrics["ratio_to_base"] == pytest.approx(speed / by_name["base"]["tokens_per_second"])
        assert metrics["ratio_to_one"] == pytest.approx(speed / by_name["one-3-slots"]["tokens_per_second"])
    assert "1 slot " in rows[1].protocol and "3 slots " in rows[2].protocol


def test_in_process() -> None:
    bench = AdaptersBench(engine="in-process", distinct=3, stream=5, prompt=5, tokens=4, rounds=1, dtype="float32")
    rows = {row.name: row.metrics for row in bench.run("")}
    assert list(rows) == ["base", "one", "3-distinct", "5-stream"]
    assert rows["one"]["ratio_to_one"] == 1 and {metrics["failed"] for metrics in rows.values()} == {0}


def test_adapters_are_their_own_and_the_same_again(tmp_path: Path) -> None:
    assert _write_model(tmp_path / "model", "nano", "float32", 0) == "float32"

    def weights(folder: str, name: str) -> bytes:
        found = _Generated(tmp_path / "model", tmp_path / folder, 0).resolve(name)
        assert found is not None
        return (found / "adapter_model.safetensors").read_bytes()

    assert weights("a", "user:1") == weights("b", "user:1") != weights("a", "user:2")


def test_it_is_registered() -> None:
    assert benchmark("adapters") is AdaptersBench
