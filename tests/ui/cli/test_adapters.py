"""`llmrec adapters` from the outside."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from llmrec.adapters import AdapterStore
from llmrec.ui.cli.main import main
from llmrec.workspace import Step, StepContext, Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    def build(context: StepContext) -> None:
        (context.folder / "x.txt").write_text("x")

    with Workspace.create(tmp_path / "ws") as workspace:
        workspace.build([Step("kind/name", build=build)])
    return tmp_path / "ws"


@pytest.fixture
def peft_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "peft"
    folder.mkdir()
    config = {"peft_type": "LORA", "base_model_name_or_path": "base", "r": 8, "lora_alpha": 8}
    (folder / "adapter_config.json").write_text(json.dumps(config | {"target_modules": ["q_proj"]}))
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    tensors = {name.format("A"): np.zeros((8, 4), np.float32), name.format("B"): np.zeros((4, 8), np.float32)}
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


@pytest.fixture
def llmrec(workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["llmrec", "adapters", *arguments, "-w", str(workspace)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
            raise SystemExit(0)
        code = ended.value.code
        output = capsys.readouterr()
        return (code if isinstance(code, int) else 0), output.out + output.err

    return run


def test_add_list_remove(llmrec, workspace: Path, peft_folder: Path) -> None:  # type: ignore[no-untyped-def]
    assert llmrec("add", "user:42", str(peft_folder), "--base", "base")[0] == 0
    code, text = llmrec("list", "--json", "-")
    assert code == 0
    (entry,) = json.loads(text)
    assert (entry["name"], entry["base"], entry["rank"], entry["target_modules"]) == ("user:42", "base", 8, ["q_proj"])
    assert "user:42" in llmrec("list")[1]
    code, text = llmrec("add", "user:42", str(peft_folder))
    assert code == 2 and "already" in text and "Traceback" not in text
    assert llmrec("add", "user:42", str(peft_folder), "--replace")[0] == 0
    assert llmrec("remove", "user:42")[0] == 0
    code, text = llmrec("remove", "user:42")
    assert code == 2 and "no adapter 'user:42'" in text
    assert json.loads(llmrec("list", "--json", "-")[1]) == []


def test_mistakes_change_nothing(llmrec, workspace: Path, peft_folder: Path) -> None:  # type: ignore[no-untyped-def]
    for arguments, says in (
        (("add", "../x", str(peft_folder)), "cannot name an adapter"),
        (("add", "search", str(peft_folder / "none")), "there is no"),
        (("add", "search", str(peft_folder), "--base", "other"), "not on other"),
    ):
        code, text = llmrec(*arguments)
        assert code == 2 and says in " ".join(text.split()), text
    assert list(AdapterStore(workspace / "adapters").list()) == []


def test_a_rebuild_keeps_adapters(llmrec, workspace: Path, peft_folder: Path) -> None:  # type: ignore[no-untyped-def]
    llmrec("add", "search", str(peft_folder))
    with Workspace.create(workspace) as opened:
        opened.build([Step("kind/other", build=lambda context: None)], rebuild=True)
        opened.prune()
    assert AdapterStore(workspace / "adapters").resolve("search") is not None
