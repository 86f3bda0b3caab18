"""Adapters in process: how many stay, what does not fit, what is removed while it is used."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from llmrec.errors import EngineError, EngineUnavailable, NotSupported, UnknownAdapter, UserError
from llmrec.language.in_process import adapters, worker
from llmrec.language.in_process.engine import TransformersEngine
from llmrec.testing.engines import ASK, chat
from llmrec.testing.models import Folders, TinyModel, make_tiny_model

from .conftest import Open


def loaded(engine: TransformersEngine) -> list[Path]:
    assert engine._worker._adapters is not None
    return list(engine._worker._adapters._slots)


def copies(tiny: TinyModel, source: Folders, folder: Path, count: int) -> list[str]:
    """Adapters a0, a1, ... by turns like `warm` and `cold`, each in a folder of its own."""
    for number in range(count):
        kind = tiny.adapters["warm" if number % 2 == 0 else "cold"]
        source.folders[f"a{number}"] = Path(shutil.copytree(kind, folder / f"a{number}"))
    return [f"a{number}" for number in range(count)]


async def test_as_many_as_are_kept_the_least_used_goes(
    engine: TransformersEngine, tiny: TinyModel, source: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "KEPT_ADAPTERS", 3)
    base = await engine.score("a", ["b", "c"])
    names = copies(tiny, source, tmp_path, 5)
    for name in names[:3]:
        await engine.score("a", ["b"], adapter=name)
    await engine.score("a", ["b"], adapter="a0")
    assert [folder.name for folder in loaded(engine)] == ["a1", "a2", "a0"]
    for name in names[3:]:
        await engine.score("a", ["b"], adapter=name)
    assert [folder.name for folder in loaded(engine)] == ["a0", "a3", "a4"]
    adapters = engine._worker._adapters
    assert adapters is not None
    assert [len(module._down) for module in adapters._modules.values()] == [4] * 4  # of two layers' q and v
    assert await engine.score("a", ["b", "c"]) == base  # to the last bit


async def test_ten_thousand_names_take_the_room_of_a_few(
    engine: TransformersEngine, tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each name is a folder of its own to the engine; the files are read once, as 10,000 times are slow."""
    monkeypatch.setattr(worker, "KEPT_ADAPTERS", 4)
    expected = await engine.score("a", ["b"], adapter="warm")
    adapters = engine._worker._adapters
    assert adapters is not None
    halves = adapters._read(tiny.adapters["warm"])
    monkeypatch.setattr(adapters, "_read", lambda folder: halves)
    slots = {adapters.slot(Path(f"/nowhere/{number}")) for number in range(10_000)}
    assert len(adapters) == 4 and slots == {1, 2, 3, 4}
    assert {len(module._down) for module in adapters._modules.values()} <= set(range(5, 9))
    assert await engine.score("a", ["b"], adapter="warm") == expected


async def test_loading_and_dropping_leaves_nothing(
    engine: TransformersEngine, tiny: TinyModel, source: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "KEPT_ADAPTERS", 2)
    names = copies(tiny, source, tmp_path, 20)

    async def use(some: list[str]) -> int:
        for name in some:
            await engine.score("a", ["b"], adapter=name)
        gc.collect()
        return sum(type(thing) in (torch.Tensor, torch.nn.Parameter) for thing in gc.get_objects())

    few = await use(names[:8])
    assert await use(names[8:]) <= few


async def test_nothing_is_said_that_people_need_not_know(
    engine: TransformersEngine, tiny: TinyModel, source: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "KEPT_ADAPTERS", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in copies(tiny, source, tmp_path, 4):
            assert await chat(engine, adapter=name)


async def test_an_adapter_goes_on_that_is_removed_while_it_answers(
    engine: TransformersEngine, tiny: TinyModel, source: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "KEPT_ADAPTERS", 1)
    copies(tiny, source, tmp_path, 4)
    expected = await chat(engine, max_tokens=80, adapter="warm")
    stream = engine.chat(ASK, max_tokens=80, adapter="a0")
    text = await anext(stream)
    shutil.rmtree(source.folders.pop("a0"))
    for name in ("a1", "a3", "a2"):  # more than are kept: the one in use stays nevertheless
        await engine.score("a", ["b"], adapter=name)
    text += "".join([piece async for piece in stream])
    assert text == expected
    with pytest.raises(UnknownAdapter, match="no adapter 'a0'"):
        await chat(engine, adapter="a0")
    await engine.score("a", ["b"], adapter="a1")
    assert len(loaded(engine)) == 1


async def test_many_adapters_at_once(
    engine: TransformersEngine, tiny: TinyModel, source: Folders, tmp_path: Path
) -> None:
    names = copies(tiny, source, tmp_path, 18)
    warm, cold = [await chat(engine, max_tokens=12, adapter=name) for name in ("warm", "cold")]
    texts = await asyncio.gather(*(chat(engine, max_tokens=12, adapter=name) for name in names))
    assert texts == [warm, cold] * 9
    await chat(engine, adapter="warm")
    assert len(loaded(engine)) <= worker.KEPT_ADAPTERS


async def test_what_does_not_fit_is_said_and_changes_nothing(
    engine: TransformersEngine, tiny: TinyModel, source: Folders, tmp_path: Path
) -> None:
    before = await engine.score("a", ["b", "c"])
    wide = make_tiny_model(tmp_path / "other", width=192)
    good = json.loads((tiny.adapters["warm"] / "adapter_config.json").read_text())

    def broken(name: str, original: Path = tiny.adapters["warm"], **changes: object) -> Path:
        folder = source.folders[name] = Path(shutil.copytree(original, tmp_path / name))
        (folder / "adapter_config.json").write_text(json.dumps(good | changes))
        return folder

    broken("wide", wide.adapters["warm"])
    broken("foreign", base_model_name_or_path="somebody/else")
    broken("prefix", peft_type="PREFIX_TUNING")
    broken("rank", r=4)
    broken("modules", target_modules=["no_such_module"])
    (broken("cut") / "adapter_model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    (broken("json") / "adapter_config.json").write_text("[]")
    pickled = broken("pickled")
    (pickled / "adapter_model.safetensors").unlink()
    torch.save({}, pickled / "adapter_model.bin")
    source.folders["gone"] = tmp_path / "gone"
    broken("pattern", alpha_pattern={"(": 1})  # no expression
    broken("endless", alpha_pattern={".?" * 40 + "!": 1})
    broken("scale", lora_alpha=float("nan"))
    tensors = load_file(tiny.adapters["warm"] / "adapter_model.safetensors")
    save_file({name: half / 0 for name, half in tensors.items()}, broken("infinite") / "adapter_model.safetensors")
    whole = {name: (9 * half).to(torch.int8) for name, half in tensors.items()}
    save_file(whole, broken("whole") / "adapter_model.safetensors")
    embedding = {
        "base_model.model.model.embed_tokens.lora_A.weight": torch.ones(8, 99),
        "base_model.model.model.embed_tokens.lora_B.weight": torch.ones(128, 8),
    }
    save_file(embedding, broken("embedding", target_modules=["embed_tokens"]) / "adapter_model.safetensors")
    wide_rank = {name: half.repeat(10, 1) if "lora_A" in name else half.repeat(1, 10) for name, half in tensors.items()}
    save_file(wide_rank, broken("high", r=80) / "adapter_model.safetensors")
    names = [name for name in source.folders if name not in ("warm", "cold")]
    assert len(names) == 16
    for first in (True, False):  # before the model has ever been wrapped, and afterwards
        for name in names:
            with pytest.raises(EngineError, match="adapter"):
                await engine.score("a", ["b"], adapter=name)
            assert await engine.score("a", ["b", "c"]) == before
        assert await engine.score("a", ["b", "c"], adapter="warm") != before
        assert await engine.score("a", ["b", "c"]) == before
        assert loaded(engine) == [tiny.adapters["warm"]] or not first


async def test_an_adapter_counts_as_peft_says(
    engine: TransformersEngine, tiny: TinyModel, source: Folders, tmp_path: Path
) -> None:
    """Of several ranks and scales, some modules not adapted: as merged by PEFT, alone and beside others in a batch."""
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    odd = LoraConfig(
        r=4,
        lora_alpha=6,
        use_rslora=True,
        target_modules=r"model\.layers\.\d+\.(self_attn\.[qo]_proj|mlp\.up_proj)",
        rank_pattern={"o_proj": 16},
        alpha_pattern={"layers.1.self_attn.q_proj": 12},
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny.folder, dtype="float32"), odd)
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.2)
    adapted.save_pretrained(str(tmp_path / "odd"), save_embedding_layers=False)
    source.folders["odd"] = tmp_path / "odd"

    model = AutoModelForCausalLM.from_pretrained(tiny.folder, dtype="float32")
    merged = PeftModel.from_pretrained(model, str(tmp_path / "odd")).merge_and_unload()
    tokens = torch.tensor([tiny.reference.tokens("hello, how are you")])
    with torch.inference_mode():
        expected = torch.log_softmax(merged(input_ids=tokens).logits[0], -1)[:-1].gather(1, tokens[0, 1:, None]).sum()
    prompt, rest = tokens[0, :1].tolist(), tokens[0, 1:].tolist()
    names = ["warm", "odd", None, "cold", "odd"]
    alone = [(await engine.score(prompt, [rest], adapter=name))[0] for name in names]
    together = await asyncio.gather(*(engine.score(prompt, [rest], adapter=name) for name in names))
    assert alone[1] == pytest.approx(float(expected), abs=2e-3)
    assert [score for (score,) in together] == pytest.approx(alone, abs=2e-3)
    assert len({round(score, 2) for score in alone}) == 4


async def test_an_adapter_for_which_there_is_no_memory(
    engine: TransformersEngine, tiny: TinyModel, source: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [name] = copies(tiny, source, tmp_path, 1)
    expected = await engine.score("a", ["b"], adapter="warm")
    zeros = adapters._Adapted._zeros

    def no_memory(module: adapters._Adapted, *shape: int) -> torch.Tensor:
        if shape[0] > 1:
            raise torch.OutOfMemoryError("none left")
        return zeros(module, *shape)

    with monkeypatch.context() as patch:
        patch.setattr(adapters._Adapted, "_zeros", no_memory)
        with pytest.raises(EngineUnavailable, match="not enough memory"):
            await engine.score("a", ["b"], adapter=name)
    assert loaded(engine) == [tiny.adapters["warm"]]
    assert await engine.score("a", ["b"], adapter="warm") == await engine.score("a", ["b"], adapter=name) == expected


async def test_a_source_that_fails_or_refuses_is_an_engine_error(opened: Open) -> None:
    class Refusing:
        def resolve(self, name: str) -> Path | None:
            raise UserError("it is damaged") if name == "damaged" else RuntimeError("disk on fire")

    engine = opened(adapters=Refusing())
    for name, words in (("damaged", "it is damaged"), ("fire", "disk on fire")):
        with pytest.raises(UnknownAdapter, match=words):
            await chat(engine, adapter=name)
    assert await chat(engine)


async def test_without_a_source_there_are_no_adapters(opened: Open) -> None:
    engine = opened(adapters=None)
    assert not engine.capabilities.adapters
    for call in (chat(engine, adapter="warm"), engine.encode(["a"], adapter="warm")):
        with pytest.raises(NotSupported):
            await call


async def test_every_call_takes_an_adapter(engine: TransformersEngine) -> None:
    from llmrec.language.trie import TokenTrie

    trie = TokenTrie([[5, 6], [7, 8]])
    plain, warm = [await engine.beam("a b", trie, 2, adapter=name) for name in (None, "warm")]
    assert dict(plain) != dict(warm)
    vectors = [(await engine.encode(["the sea"], adapter=name))[0] for name in (None, "warm", "cold", None)]
    assert np.array_equal(vectors[0], vectors[3])
    assert not np.allclose(vectors[0], vectors[1]) and not np.allclose(vectors[1], vectors[2])
