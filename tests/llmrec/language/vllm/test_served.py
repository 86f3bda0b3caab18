"""A real vLLM server that llmrec started: adapters while it serves, and what is out of reach."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest
from safetensors.torch import load_file, save_file

from llmrec.contracts import Message
from llmrec.errors import EngineError, NotSupported, UnknownAdapter
from llmrec.language.vllm.engine import VLLMEngine
from llmrec.testing.models import Folders

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHIP = [Message("user", "ship")]


async def ask(engine: VLLMEngine, adapter: str | None = None, max_tokens: int = 12) -> str:
    return "".join([piece async for piece in engine.chat(SHIP, max_tokens=max_tokens, adapter=adapter)])


def variant(folder: Path, adapter: Path, factor: float) -> Path:
    """A copy of an adapter with other weights."""
    copied = Path(shutil.copytree(adapter, folder))
    file = copied / "adapter_model.safetensors"
    save_file({name: tensor * factor for name, tensor in load_file(file).items()}, file)
    return copied


async def listed(served) -> list[str]:
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {served.key}"}) as client:
        return [model["id"] for model in (await client.get(f"{served.url}/models")).json()["data"]]


async def test_everything_needs_the_key_and_loading_is_not_there(served) -> None:
    root = served.url.removesuffix("/v1")
    body = {"name": "mine", "src": "/", "lora_name": "mine", "lora_path": "/", "model": "base", "prompt": "a"}
    paths = [
        "/v1/completions",
        "/v1/load_lora_adapter",
        "/adapters",
        "/invocations",
        "/tokenize",
        "/v1/unload_lora_adapter",
    ]
    async with httpx.AsyncClient() as client:
        assert {(await client.post(root + path, json=body)).status_code for path in paths} == {401}
        assert (await client.get(f"{root}/v1/models")).status_code == 401
        assert (
            await client.get(f"{root}/v1/models", headers={b"authorization": "Bearer é".encode()})
        ).status_code == 401
        key = {"authorization": f"Bearer {served.key}"}
        for path in ("/v1/load_lora_adapter", "/adapters", "/invocations", "/metrics", "/v1/responses", "//adapters"):
            assert (await client.post(root + path, json=body, headers=key)).status_code == 404
        assert (await client.post(f"{root}/v1/completions", json=body, headers=key)).status_code == 200


async def test_names_of_people_stay_here(served) -> None:
    served.source.folders["user:anna@example.org"] = served.source.folders["warm"]
    assert await ask(served.engine, "user:anna@example.org") == await ask(served.engine, "warm")
    names = await listed(served)
    assert names[0] == "base" and len(names) > 1
    assert not [name for name in names if "anna" in name or "warm" in name]
    log = served.engine._server.files.log.read_text()
    assert "anna" not in log and served.key not in log
    assert not [name for name in names[1:] if name in log]  # it would grow with every adapter that comes and goes


async def test_unknown_names_are_refused_and_not_remembered(served) -> None:
    before = await listed(served)
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {served.key}"}) as client:
        for name in ("nobody", "../../etc", "a" + "0" * 32, str(served.model.adapters["warm"])):
            answer = await client.post(
                f"{served.url}/completions", json={"model": name, "prompt": "a", "max_tokens": 1}
            )
            assert answer.status_code == 404
    assert await listed(served) == before
    with pytest.raises(UnknownAdapter, match="user:nobody"):
        await ask(served.engine, "user:nobody")


async def test_more_adapters_than_slots_and_than_are_kept(served, tmp_path: Path) -> None:
    """Each answers as itself, whoever else is being served; the server's list stays short."""
    warm = served.model.adapters["warm"]
    for number in range(12):
        served.source.folders[f"user:{number}"] = variant(tmp_path / str(number), warm, 0.2 + 0.1 * number)
    alone = [await ask(served.engine, f"user:{number}") for number in range(12)]
    assert len(set(alone)) > 6
    together = await asyncio.gather(
        *(ask(served.engine, f"user:{number % 12}") for number in range(36)), ask(served.engine)
    )
    assert together[:36] == alone * 3
    await served.engine._shelf.aclose()
    bound = served.engine._bound
    assert len(await listed(served)) <= bound + 1
    assert len(served.engine._shelf) <= bound


async def test_what_does_not_fit_the_server(served, tmp_path: Path) -> None:
    """One clear error each, and the server goes on."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    def train(name: str, **changes: object) -> Path:
        base = AutoModelForCausalLM.from_pretrained(served.model.folder)
        settings = {"r": 8, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"} | changes
        get_peft_model(base, LoraConfig(**settings)).save_pretrained(str(tmp_path / name), save_embedding_layers=False)
        return tmp_path / name

    folders = served.source.folders
    folders["large"] = train("large", r=16)
    folders["head"] = train("head", target_modules=["lm_head"])
    folders["narrow"] = train("narrow")
    weights = folders["narrow"] / "adapter_model.safetensors"
    save_file({name: tensor[..., :-1].contiguous() for name, tensor in load_file(weights).items()}, weights)
    before = await ask(served.engine)
    for name, words in (("large", "has rank 16"), ("head", "adapts lm_head"), ("narrow", "does not fit the size")):
        with pytest.raises(EngineError, match=words):
            await ask(served.engine, name)
    assert await ask(served.engine) == before
    assert await ask(served.engine, "warm") != before


async def test_an_adapter_that_is_removed_while_it_answers(served, tmp_path: Path) -> None:
    """The answer is finished, the next one refused."""
    served.source.folders["leaving"] = variant(tmp_path / "leaving", served.model.adapters["cold"], 0.7)
    stream = served.engine.chat(SHIP, max_tokens=200, adapter="leaving")
    first = await anext(stream)
    shutil.rmtree(served.source.folders.pop("leaving"))
    rest = [piece async for piece in stream]
    assert len(first + "".join(rest)) == 200
    with pytest.raises(UnknownAdapter, match="leaving"):
        await ask(served.engine, "leaving")


async def test_an_engine_that_joins_takes_its_adapters_along(
    served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMREC_LLM_KEY", served.key)
    before = set(await listed(served))
    source = Folders({"own": variant(tmp_path / "own", served.model.adapters["warm"], 0.55)})
    engine = VLLMEngine(f"{served.url}?adapters={served.adapters}", adapters=source, timeout=60)
    assert await ask(engine, "own") != await ask(engine)
    assert len(set(await listed(served)) - before) == 1
    await engine.aclose()
    await engine.aclose()
    assert set(await listed(served)) == before


async def test_an_engine_that_joins_needs_a_folder_for_adapters(served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_LLM_KEY", served.key)
    engine = VLLMEngine(served.url.removesuffix("/v1"), adapters=Folders(dict(served.model.adapters)))
    try:
        assert not engine.capabilities.adapters
        assert await ask(engine) == await ask(served.engine)
        assert engine.name == "base"
        with pytest.raises(NotSupported, match="adapters=<folder>"):
            await ask(engine, "warm")
        assert await engine.tokenize(["ab", ""]) == await served.engine.tokenize(["ab", ""])
    finally:
        await engine.aclose()


async def test_a_prompt_that_is_too_long_is_said(served) -> None:
    with pytest.raises(EngineError, match=r"refused the request \(400: .*512"):
        await ask(served.engine, max_tokens=5000)
    with pytest.raises(EngineError, match="refused the request"):
        await served.engine.score("x" * 600, ["a"])
