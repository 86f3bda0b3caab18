"""A tiny base model and real PEFT adapters of it."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

BASE = "tiny-qwen3"


@pytest.fixture(scope="session")
def base_model() -> torch.nn.Module:
    """A random Qwen3 of two layers; use a copy, PEFT changes it."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
    )
    config.name_or_path = BASE
    return Qwen3ForCausalLM(config).eval()


Train = Callable[..., Path]


@pytest.fixture(scope="session")
def train(base_model: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """`train(seed=0, dtype=..., **LoraConfig)`: a PEFT folder whose adapter is no no-op."""

    def make(seed: int = 0, dtype: torch.dtype = torch.float32, **changes: Any) -> Path:
        from peft import LoraConfig, get_peft_model

        settings: dict[str, Any] = {"r": 8, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"} | changes
        torch.manual_seed(seed)
        model = get_peft_model(copy.deepcopy(base_model), LoraConfig(**settings))
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        folder = tmp_path_factory.mktemp("peft")
        model.to(dtype).save_pretrained(str(folder), save_embedding_layers=False)  # it would ask a hub
        return folder

    return make


@pytest.fixture(scope="session")
def _plain(train: Train) -> Path:
    return train()


@pytest.fixture
def plain(_plain: Path, tmp_path: Path) -> Path:
    """A good adapter of the base model, for a test to spoil."""
    return Path(shutil.copytree(_plain, tmp_path / "plain"))
