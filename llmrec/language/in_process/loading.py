"""Loads a language model: from where, in which precision, onto which device."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Any

import torch

from llmrec.errors import EngineError, NotSupported
from llmrec.language.in_process.model import LanguageModel
from llmrec.language.in_process.target import Precision, Target

log = logging.getLogger(__name__)


def load(target: Target) -> LanguageModel:
    """The model, ready for inference; code that comes with a model is never run, pickled weights are never read.

    Raises `EngineError`.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as theirs

    theirs.disable_progress_bar()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = _dtype(target.dtype, device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(target.model, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            target.model, dtype=dtype, trust_remote_code=False, use_safetensors=True, attn_implementation="sdpa"
        )
        model = model.eval().requires_grad_(False).to(device)
    except Exception as error:  # of many kinds, down to those of the files' own formats
        log.debug("cannot load %s", target.model, exc_info=True)
        if not Path(target.model).is_dir() and isinstance(error, OSError):
            raise EngineError(
                f"the model {target.model!r} is neither a folder nor to be had from the Hugging Face hub: "
                "correct the llm setting, or download it first"
            ) from None
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EngineError(
            f"the model {target.model} cannot be loaded: it is damaged, or no causal language model in safetensors "
            f"({first[:200]})"
        ) from None
    _check(model, target.model)
    return LanguageModel(model, tokenizer, target.model)


def _dtype(wanted: Precision, device: torch.device) -> torch.dtype:
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if has_fast_bfloat16() else torch.float32


def has_fast_bfloat16() -> bool:
    """Whether this processor multiplies matrices of bfloat16 itself; others emulate it, slower than float32."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def _check(model: Any, name: str) -> None:
    """Decoding here packs branches behind a prompt, which needs attention to all of it and positions to be told."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    layers = DynamicCache(config=model.config).layers
    plain = layers and all(type(layer) is DynamicLayer for layer in layers)
    if not plain or "position_ids" not in inspect.signature(model.forward).parameters:
        raise NotSupported(
            f"the model {name} ({type(model).__name__}) has no plain attention to its whole context, which running in "
            "process needs: serve it with vllm: instead"
        )
