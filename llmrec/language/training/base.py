"""Models that exist: loading one to train it further, all of it or by a LoRA adapter."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field

from llmrec.contracts import Config
from llmrec.errors import UserError
from llmrec.language.training.loop import find_device, has_bfloat16

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


class LoraSettings(Config):
    """A LoRA adapter that every engine can serve."""

    rank: int = Field(default=8, ge=1)
    alpha: int = Field(default=16, ge=1)
    modules: tuple[str, ...] = ("q_proj", "v_proj")


def load_tokenizer(base: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub name; raises `UserError`."""
    from transformers import AutoTokenizer

    with _loading(base):
        return AutoTokenizer.from_pretrained(str(base))


def load_base(base: str | Path, lora: LoraSettings | None = None, seed: int = 0) -> PreTrainedModel:
    """The model of a folder or hub name; raises `UserError`.

    All of it is to be trained, in float32; or its weights stay as they are stored, under a fresh adapter in float32.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    stored = lora is not None and has_bfloat16(find_device())
    with _loading(base):
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(base), dtype="auto" if stored else torch.float32, use_safetensors=True
        )
    if lora is not None:
        model = _with_adapter(model, lora, seed)
    return model


def _with_adapter(model: Any, lora: LoraSettings, seed: int) -> Any:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.modules), lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    with seeded(seed):
        try:
            return get_peft_model(model, config)
        except ValueError as error:
            raise UserError(f"the model cannot carry this adapter: {_first_line(error)}") from None


def identity(base: str | Path) -> str:
    """What tells a base from another one of the same name: hub name, or the names and sizes of a folder's files."""
    path = Path(base)
    files = sorted((file.name, file.stat().st_size) for file in path.iterdir()) if path.is_dir() else []
    return hashlib.sha256(f"{base}{files}".encode()).hexdigest()[:16]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers of torch as they follow from `seed`; afterwards they go on as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def _loading(base: str | Path) -> Iterator[None]:
    hint = "name a folder that save_pretrained wrote, or a model of the Hugging Face hub"
    if not Path(base).is_dir() and not (isinstance(base, str) and _HUB_NAME.fullmatch(base)):
        raise UserError(f"there is no model at {base}: {hint}")
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"the model {base} cannot be loaded ({_first_line(error)}): {hint}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".: ")
