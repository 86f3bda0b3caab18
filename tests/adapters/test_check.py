"""Which adapters are accepted: what PEFT really writes, and what is wrong with it in one place each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from llmrec.adapters.check import CONFIG, WEIGHTS, check_adapter
from llmrec.errors import UserError

PREFIX = "base_model.model.model.layers.0.self_attn"


def configure(folder: Path, **changes: Any) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refuse(folder: Path, match: str, base: str | None = None) -> None:
    with pytest.raises(UserError, match=match) as caught:
        check_adapter(folder, base)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("settings", "rank"),
    [
        ({}, 8),
        ({"r": 1}, 1),
        ({"r": 16, "use_rslora": True, "lora_dropout": 0.1}, 16),
        ({"target_modules": "all-linear"}, 8),
        ({"rank_pattern": {"layers.1.self_attn.q_proj": 16, "v_proj": 1}, "alpha_pattern": {"q_proj": 4}}, 16),
        ({"layers_to_transform": [1], "layers_pattern": "layers"}, 8),
        ({"exclude_modules": ["layers.0.self_attn.q_proj"]}, 8),
        ({"init_lora_weights": "gaussian"}, 8),
        ({"init_lora_weights": "orthogonal"}, 8),
        ({"dtype": torch.bfloat16}, 8),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_peft_writes_is_accepted(train: Callable[..., Path], settings: dict[str, Any], rank: int) -> None:
    facts = check_adapter(train(**settings), "tiny-qwen3")
    assert (facts.base, facts.rank) == ("tiny-qwen3", rank)
    assert {target.split(".")[-1] for target in facts.target_modules} >= {"q_proj", "v_proj"}


def test_what_a_trainer_leaves_is_ignored(plain: Path) -> None:
    for name in ("training_args.bin", "optimizer.pt", "README.md"):
        (plain / name).write_bytes(b"x")
    assert check_adapter(plain).rank == 8


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"use_dora": True}, "uses DoRA"),
        ({"lora_bias": True}, r"uses biases \(lora_bias\)"),
        ({"bias": "lora_only"}, "has biases"),
        ({"modules_to_save": ["lm_head"]}, "uses fully trained modules"),
        ({"trainable_token_indices": [1, 2]}, "uses trained tokens"),
        ({"init_lora_weights": "pissa"}, "started by pissa"),
        ({"init_lora_weights": "pissa_niter_2"}, "started by pissa_niter_2"),
        ({"init_lora_weights": "olora"}, "started by olora"),
        ({"r": 4}, "has rank 4: train it with one of 1, 8, 16"),
        ({"rank_pattern": {"v_proj": 12}}, "has rank 12"),
        ({"target_modules": r".*\.(q|v)_proj"}, "target_modules .* write out the list of names"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, r"tensor .*embed_tokens\S* belongs to none"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_servers_refuse_is_refused(train: Callable[..., Path], settings: dict[str, Any], match: str) -> None:
    refuse(train(**settings), match)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"peft_type": "IA3"}, "of type 'IA3'"),
        ({"peft_type": None}, "of type None"),
        ({"init_lora_weights": "corda"}, "started by corda"),
        ({"init_lora_weights": "loftq"}, "started by loftq"),
        ({"megatron_config": {"a": 1}}, "uses megatron_config"),
        ({"layer_replication": [[0, 1]]}, "uses layer_replication"),
        ({"a_setting_of_the_future": True}, "uses a_setting_of_the_future"),
        ({"base_model_name_or_path": None}, "base_model_name_or_path"),
        ({"base_model_name_or_path": ""}, "does not say its base model"),
        ({"base_model_name_or_path": "a\0b"}, "does not say its base model"),
        ({"r": "8"}, "^r in"),
        ({"r": True}, "^r in"),
        ({"r": 0}, "has rank 0"),
        ({"r": 16}, "not rank 16"),
        ({"rank_pattern": {"(a+)+": 8}}, "is no module name"),
        ({"exclude_modules": "(a+)+"}, "exclude_modules"),
        ({"layers_pattern": "(a+)+"}, "is no module name"),
        ({"lora_alpha": float("nan")}, "lora_alpha"),
        ({"target_modules": []}, "belongs to none"),
        ({"target_modules": ["q_proj"]}, r"v_proj\S* belongs to none"),
        ({"target_modules": ["q_proj", "v_proj", "o_proj"]}, "no tensors for its target module o_proj"),
    ],
    ids=str,
)
def test_a_config_that_does_not_fit_is_refused(plain: Path, changes: dict[str, Any], match: str) -> None:
    configure(plain, **changes)
    refuse(plain, match)


def test_rank_patterns_are_read_as_peft_reads_them(train: Callable[..., Path]) -> None:
    folder = train(rank_pattern={"layers.1.self_attn.q_proj": 16})
    assert check_adapter(folder).rank == 16
    configure(folder, rank_pattern={"layers.0.self_attn.q_proj": 16})
    refuse(folder, "not rank")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b" " * 2_000_000 + b"{}"])
def test_a_config_that_is_no_object_is_refused(plain: Path, content: bytes) -> None:
    (plain / CONFIG).write_bytes(content)
    refuse(plain, "is no JSON object")


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_a_truncated_file_is_refused(plain: Path, size: int) -> None:
    content = (plain / WEIGHTS).read_bytes()
    (plain / WEIGHTS).write_bytes(content[:size])
    refuse(plain, "is damaged")


def test_a_file_of_something_else_is_refused(plain: Path) -> None:
    (plain / WEIGHTS).write_bytes(b"PK\x03\x04" + os.urandom(2000))
    refuse(plain, "is damaged")


def _drop(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[f"{PREFIX}.q_proj.lora_B.weight"]


def _rename(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.other.weight"] = tensors.pop(f"{PREFIX}.q_proj.lora_B.weight")


def _turn(tensors: dict[str, torch.Tensor]) -> None:
    name = f"{PREFIX}.q_proj.lora_A.weight"
    tensors[name] = tensors[name].T.contiguous()


def _flatten(tensors: dict[str, torch.Tensor]) -> None:
    name = f"{PREFIX}.q_proj.lora_A.weight"
    tensors[name] = tensors[name].flatten()


def _quantise(tensors: dict[str, torch.Tensor]) -> None:
    name = f"{PREFIX}.q_proj.lora_A.weight"
    tensors[name] = tensors[name].to(torch.int8)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (_drop, "one of two matrices of .*q_proj"),
        (_rename, "model.other.weight belongs to none"),
        (_turn, r"has shape \[32, 8\], not rank 8"),
        (_flatten, r"has shape \[256\]"),
        (_quantise, "not of floating point"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(plain: Path, spoil: Callable[..., None], match: str) -> None:
    tensors = load_file(plain / WEIGHTS)
    spoil(tensors)
    save_file(tensors, plain / WEIGHTS)
    refuse(plain, match)


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.pt", "pytorch_model.bin", "adapter_model.PKL"])
@pytest.mark.parametrize("beside", [True, False])
def test_pickled_weights_are_refused(plain: Path, name: str, beside: bool) -> None:
    (plain / name).write_bytes(b"x")
    if not beside:
        (plain / WEIGHTS).unlink()
    refuse(plain, "may run code")


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_links_pipes_and_folders_in_place_of_files_are_refused(plain: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (plain / name).rename(outside)
    refuse(plain, "there is no")
    (plain / name).symlink_to(outside)
    refuse(plain, "is a symbolic link")
    (plain / name).unlink()
    os.mkfifo(plain / name)
    refuse(plain, "is not a file")
    (plain / name).unlink()
    (plain / name).mkdir()
    refuse(plain, "is not a file")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    refuse(tmp_path / "nothing", "there is no .* save_pretrained")
    (tmp_path / "file").write_text("")
    refuse(tmp_path / "file", "cannot read")


def test_another_base_is_refused(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(plain, "was trained on tiny-qwen3, not on Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny-qwen3").mkdir()
    assert check_adapter(plain, str(tmp_path / "tiny-qwen3") + "/").base == "tiny-qwen3"
    refuse(plain, "not on", str(tmp_path / "other" / "tiny-qwen3"))
