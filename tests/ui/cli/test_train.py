"""`llmrec train language`: into a folder, into a workspace, beside a server, in the demo."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from llmrec.adapters import AdapterStore
from llmrec.agents.assistant import Assistant
from llmrec.agents.assistant.own import own_model
from llmrec.language.training import presets
from llmrec.language.training.facts import follows_instructions
from llmrec.language.training.presets import Preset
from llmrec.settings import Settings
from llmrec.turn import TurnRequest
from llmrec.ui.cli.background import train_beside
from llmrec.workspace import Workspace

from .conftest import Llmrec, _no_state, serving

MINI = Preset(depth=2, tokens=1_024, length=64, batch=2)


@pytest.fixture
def mini(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process `nano` is smaller than it should be."""
    monkeypatch.setattr(presets, "PRESETS", {**presets.PRESETS, "nano": MINI})


@pytest.fixture
def workspace(demo_workspace: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo_workspace, tmp_path / "ws", ignore=_no_state))


def test_into_a_folder(llmrec: Llmrec, mini: None, demo_workspace: Path) -> None:
    data = demo_workspace.parent / "data"
    report = json.loads(llmrec("train", "language", data, "-o", "model", "--json", "-").out)
    assert (report["folder"], report["kind"], report["base"], report["tokens"]) == ("model", "model", "nano", 1_024)
    assert Path("model/model.safetensors").exists() and Path("model/learning-curve.png").exists()
    again = llmrec("train", "language", data, "-o", "model")
    assert again.code == 0 and "1,024 tokens" in again.out
    more = llmrec("train", "language", data, "-o", "more", "--base", "model", "--tokens", 128, "--json", "-")
    assert json.loads(more.out)["base"] == "model" and not follows_instructions("more")
    adapter = llmrec("train", "language", data, "-o", "adapter", "--base", "model", "--lora", "--tokens", 128)
    assert adapter.code == 0 and Path("adapter/adapter_config.json").exists()


def test_into_a_workspace(llmrec: Llmrec, mini: None, workspace: Path) -> None:
    assert llmrec("train", "language", workspace).code == 0
    with Workspace.open(workspace) as opened:
        own = own_model(opened)
        assert own is not None and own.name == "nano" and not own.stale and not follows_instructions(str(own.folder))
        assert opened.has("retrieval/ease") and opened.verify() == []
    assert not (workspace / "training").exists()
    assert llmrec("build", workspace.parent / "none", "-w", workspace).code == 2
    assert llmrec("train", "language", workspace, "--lora", "--tokens", 128).code == 0
    [adapter] = AdapterStore(workspace / "adapters").list()
    assert adapter.name == "language" and Path(adapter.base) == own.folder


def test_a_build_keeps_the_model_and_other_data_make_it_stale(
    llmrec: Llmrec, mini: None, workspace: Path, demo_workspace: Path, tmp_path: Path
) -> None:
    import polars as pl

    data = Path(shutil.copytree(demo_workspace.parent / "data", tmp_path / "data"))
    assert llmrec("train", "language", data, "-w", workspace).code == 0
    items = pl.read_parquet(data / "items.parquet")
    items.head(150).write_parquet(data / "items.parquet")
    assert llmrec("build", data, "-w", workspace).code == 0
    with Workspace.open(workspace) as opened:
        own = own_model(opened)
        assert own is not None and own.stale and (own.folder / "model.safetensors").exists()


def test_mistakes(llmrec: Llmrec, workspace: Path, demo_workspace: Path) -> None:
    data = demo_workspace.parent / "data"
    for arguments, says in (
        ((workspace, "--preset", "nanno"), "did you mean nano"),
        ((workspace, "--base", "no/such/model"), "there is no model at no/such/model"),
        ((workspace, "--tokens", 5, "--minutes", 1), "keep one"),
        ((workspace, "--lora", "--preset", "nano"), "leave it out"),
        ((workspace, "--lora"), "has no language model to adapt"),
        ((workspace, "--learning-rate", "0.1"), "give a --base"),
        ((data,), "say where the model goes"),
        ((data, "-o", "x", "-w", workspace), "keep one"),
        ((data, "-w", "nothing"), "there is no workspace at nothing"),
        (("nothing",), "there is no workspace at nothing"),
        (("nothing", "-o", "x"), "there is no data folder"),
    ):
        assert says in llmrec("train", "language", *arguments).mistake
    assert not Path("x").exists() and not (workspace / "training").exists()


# --- Serving ----------------------------------------------------------------------------------------------------------


async def test_an_assistant_takes_the_own_model_unless_told_otherwise(
    llmrec: Llmrec, mini: None, workspace: Path, tmp_path: Path
) -> None:
    assert llmrec("train", "language", workspace).code == 0
    state = f"sqlite:{tmp_path / 'state.sqlite'}"
    async with await Assistant.open(workspace, Settings(state=state)) as assistant:
        assert assistant.language is not None and assistant.language.name == "nano"
        turn = await assistant.turn(TurnRequest(text="something gloomy"))
        assert turn.text and assistant.language.state == "not asked yet", "it does not follow instructions"
        assert assistant.answered.is_set()
    async with await Assistant.open(workspace, Settings(state=state, llm="none")) as assistant:
        assert assistant.language is None


def test_training_beside_a_server_which_switches(workspace: Path, tmp_path: Path) -> None:
    """In processes of their own, with the real nano, for a few steps."""
    server = serving("serve", "-w", workspace, "--port", 0)
    with httpx.Client(base_url=server.address, timeout=60) as client:
        assert client.get("/health").json()["language_model"] is None
        command = ("-m", "llmrec.ui.cli.main", "train", "language", workspace, "--tokens", "2048")
        subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=200)
        deadline = time.monotonic() + 60
        while client.get("/health").json()["language_model"] is None and time.monotonic() < deadline:
            client.post("/v1/chat/completions", json=_ask("llmrec", "a gloomy book"))
            time.sleep(0.2)
        assert client.get("/health").json()["language_model"]["name"] == "nano"
        answer = client.post("/v1/chat/completions", json={**_ask("nano", "Hello"), "max_tokens": 4})
        assert answer.status_code == 200, answer.text
    assert server.end(signal.SIGINT)[0] == 0


def test_a_training_in_the_background_ends_with_its_parent(workspace: Path) -> None:
    command = (sys.executable, "-m", "llmrec.ui.cli.main", "train", "language", workspace, "--in-background")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        assert json.loads(child.stdout.readline())["what"] == "reading the texts"
        child.stdin.close()  # as the kernel does for a parent that is killed
        assert child.wait(timeout=60) == 1
    with Workspace.open(workspace) as opened:
        assert own_model(opened) is None


async def test_a_training_that_fails_leaves_the_demo_alone(
    workspace: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with await Assistant.open(workspace, Settings(state=f"sqlite:{tmp_path / 'state.sqlite'}")) as assistant:
        assistant.answered.set()
        (workspace / "training").write_text("in the way")
        assert not await train_beside(assistant, workspace)
        assert "training the language model failed, the demo goes on without it: error: " in caplog.text
        assert assistant.training == "" and assistant.health()["ready"]


def _ask(model: str, text: str) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}]}
