"""`llmrec serve --llm transformers:...` as a process, and `llmrec adapters` beside it."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from llmrec.testing.models import TinyModel, make_tiny_model

from .conftest import Json, Llmrec, Process, _no_state, serving


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def workspace(demo_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(demo_workspace, tmp_path_factory.mktemp("language") / "ws", ignore=_no_state))


@pytest.fixture(scope="module")
def server(workspace: Path, tiny: TinyModel) -> Iterator[Process]:
    server = serving("serve", "-w", workspace, "--port", 0, "--llm", f"transformers:{tiny.folder}?dtype=float32")
    deadline = time.monotonic() + 120
    while (model := httpx.get(f"{server.address}/health").json()["language_model"])["state"] != "ready":
        assert model["name"] == "model" and model["state"] in ("starting", "not asked yet"), model
        assert time.monotonic() < deadline, model
        time.sleep(0.2)
    yield server
    assert server.end(signal.SIGTERM)[0] == 0


def say(server: Process, model: str, **more: Json) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "A ship"}], "max_tokens": 12, "temperature": 0}
    return httpx.post(f"{server.address}/v1/chat/completions", json=body | more, timeout=60)


def text(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    assert (
        answer.json()["usage"]["completion_tokens"] == 12 and answer.json()["choices"][0]["finish_reason"] == "length"
    )
    return str(answer.json()["choices"][0]["message"]["content"])


def listed(server: Process) -> list[str]:
    return [model["id"] for model in httpx.get(f"{server.address}/v1/models").json()["data"]]


def test_adapters_are_added_replaced_and_removed_while_serving(
    llmrec: Llmrec, server: Process, workspace: Path, tiny: TinyModel
) -> None:
    base = text(say(server, "model"))
    assert say(server, "search").status_code == 404
    assert llmrec("adapters", "add", "search", tiny.adapters["warm"], "-w", workspace).code == 0
    warm = text(say(server, "search"))
    assert warm != base and text(say(server, "model")) == base
    assert listed(server) == ["llmrec", "minilm", "model", "search"]
    assert json.loads(llmrec("adapters", "list", "-w", workspace, "--json", "-").out)[0]["name"] == "search"
    assert llmrec("adapters", "add", "search", tiny.adapters["cold"], "--replace", "-w", workspace).code == 0
    cold = text(say(server, "search"))
    assert cold not in (base, warm)
    assert llmrec("adapters", "add", "user:42", tiny.adapters["warm"], "-w", workspace).code == 0
    assert text(say(server, "user:42")) == warm and text(say(server, "search")) == cold
    assert llmrec("adapters", "remove", "search", "-w", workspace).code == 0
    assert say(server, "search").status_code == 404
    assert text(say(server, "user:42")) == warm
    assert listed(server) == ["llmrec", "minilm", "model", "user:42"]


def test_an_adapter_that_does_not_fit_is_told(llmrec: Llmrec, server: Process, workspace: Path, tmp_path: Path) -> None:
    other = make_tiny_model(tmp_path, seed=1, width=64)
    assert llmrec("adapters", "add", "foreign", other.adapters["warm"], "-w", workspace).code == 0
    for stream in (False, True):
        answer = say(server, "foreign", stream=stream)
        assert answer.status_code == 404 and "does not fit the language model" in answer.json()["error"]["message"]
        assert str(workspace) not in answer.text
    assert llmrec("adapters", "remove", "foreign", "-w", workspace).code == 0


def test_a_prompt_that_is_too_long_is_the_clients_mistake(server: Process) -> None:
    answer = say(server, "model", messages=[{"role": "user", "content": "A ship " * 100}])
    assert answer.status_code == 400 and "shorten it" in answer.json()["error"]["message"]


def test_its_stream_is_the_same_text(server: Process) -> None:
    answer = say(server, "model", stream=True)
    chunks = [json.loads(line[6:]) for line in answer.text.split("\n\n")[:-2]]
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(pieces) == text(say(server, "model")) and sum(map(bool, pieces)) > 6


def test_the_agent_and_the_doctor_speak_of_it(llmrec: Llmrec, server: Process, workspace: Path) -> None:
    body = {"model": "llmrec", "messages": [{"role": "user", "content": "show me results"}]}
    turn = httpx.post(f"{server.address}/v1/chat/completions", json=body, timeout=60).json()["choices"][0]["message"]
    details = {stage["name"]: stage["detail"] for stage in turn["llmrec"]["trace"]}
    # the tiny model reads 512 characters, fewer than the requests to read and to reword have
    assert turn["llmrec"]["items"] and details["understand"].startswith("results (rules: the prompt has ")
    assert details["say"] == "templates: the language model has just failed"
    found = {check["what"]: check for check in json.loads(llmrec("doctor", "-w", workspace, "--json", "-").out)}
    assert found["language model"] == {"what": "language model", "status": "ok", "detail": "model: ready"}
