"""`llmrec doctor`: what works, what does not, what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmrec.plugins import BrokenPlugin
from llmrec.testing.scripted_server import Reply, ScriptedServer

from .conftest import Json, Llmrec, Process


def checks(llmrec: Llmrec, *words: object, code: int = 0) -> dict[str, Json]:
    outcome = llmrec("doctor", *words, "--json", "-")
    assert outcome.code == code, outcome
    return {check["what"]: check for check in json.loads(outcome.out)}


def test_a_sound_installation_beside_a_server(llmrec: Llmrec, served: Process, cli_workspace: Path) -> None:
    found = checks(llmrec, "-w", cli_workspace)
    assert all(check["status"] != "fault" for check in found.values())
    assert found["embeddings"]["detail"].endswith("384 dimensions")
    assert found["server"]["detail"] == served.address
    assert "ease" in found["llmrec.recommenders"]["detail"]
    assert "pip install 'llmrec[vllm]'" in found["extra vllm"]["detail"] or found["extra vllm"]["status"] == "ok"


def test_faults_are_told_and_fail(llmrec: Llmrec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = BrokenPlugin("llmrec.policies", "mine", "my-package", "cannot be loaded (ImportError: no such thing)")
    monkeypatch.setattr("llmrec.plugins.broken", lambda: [broken])
    monkeypatch.setenv("LLMREC_EMBEDDINGS", "sentence-transformers:/nowhere")
    found = checks(llmrec, "-w", tmp_path / "nowhere", code=1)
    assert "update or uninstall my-package" in found["plugin mine"]["detail"]
    assert found["embeddings"]["status"] == "fault"
    assert "llmrec build DATA" in found["workspace"]["detail"] and found["workspace"]["status"] == "note"


def test_a_damaged_workspace_is_a_fault(llmrec: Llmrec, tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "manifest.json").write_text("{")
    assert checks(llmrec, "-w", tmp_path / "ws", code=1)["workspace"]["status"] == "fault"
    damaged = llmrec("search", "x", "-w", tmp_path / "ws")
    assert damaged.code == 1 and damaged.err.startswith("error: ") and "Traceback" not in damaged.err


def test_the_language_model_is_asked_where_no_server_tells(
    llmrec: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmrec.plugins.broken", list)
    nowhere = tmp_path / "nowhere"
    assert "none: rules and templates" in checks(llmrec, "-w", nowhere)["language model"]["detail"]
    with ScriptedServer([Reply("hi")], models=["first"]) as server:
        monkeypatch.setenv("LLMREC_LLM", f"openai:{server.url}")
        assert checks(llmrec, "-w", nowhere)["language model"] == {
            "what": "language model",
            "status": "ok",
            "detail": "first: ready",
        }
    found = checks(llmrec, "-w", nowhere, code=1)["language model"]
    assert found["status"] == "fault" and "cannot be reached" in found["detail"]
    monkeypatch.setenv("LLMREC_LLM", "pigeon:post")
    assert "'pigeon'" in checks(llmrec, "-w", nowhere, code=1)["language model"]["detail"]
    with ScriptedServer([Reply("late", delay=5)]) as server:
        monkeypatch.setenv("LLMREC_LLM", f"openai:{server.url}#slow")
        monkeypatch.setenv("LLMREC_LLM_TIMEOUT", "0.5")
        found = checks(llmrec, "-w", nowhere)["language model"]
        assert found["status"] == "note" and "0.5 s" in found["detail"]
