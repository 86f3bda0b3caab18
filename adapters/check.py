"""Whether a PEFT folder is a LoRA adapter that every engine can load, told without reading a weight.

The rules are those of the strictest engine, vLLM: plain LoRA (rsLoRA, rank and alpha patterns included), no part of the
base model replaced, ranks that its slots have. Only safetensors are read, so nothing in an adapter is ever executed;
patterns, which PEFT would compile as regular expressions, must be plain names.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from llmrec.errors import UserError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
FILES = (CONFIG, WEIGHTS)

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as `max_lora_rank`."""

_PICKLED = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})
_WEIGHT_FILES = frozenset({"adapter_model", "pytorch_model"})
_DTYPES = frozenset({"F32", "F16", "BF16"})
_CONFIG_BYTES = 1 << 20

_TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
_PLAIN = re.compile(r"[A-Za-z0-9_.]+")

# Initialisations that leave the base model as it is; PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change its weights.
_INITS = (True, False, "gaussian", "orthogonal", "eva")

# Settings that matter only in training, or are unused as long as another one is unset.
_HARMLESS = frozenset(
    {
        "auto_mapping",
        "ensure_weight_tying",
        "eva_config",
        "fan_in_fan_out",
        "inference_mode",
        "layers_to_transform",
        "lora_dropout",
        "megatron_core",
        "peft_type",
        "peft_version",
        "qalora_group_size",
        "revision",
        "task_type",
        "use_rslora",
    }
)
_WORDS = {
    "use_dora": "DoRA",
    "lora_bias": "biases",
    "modules_to_save": "fully trained modules",
    "trainable_token_indices": "trained tokens",
    "target_parameters": "bare parameters",
}


@dataclass(frozen=True)
class AdapterFacts:
    """What a checked adapter is."""

    base: str
    """Folder or hub name of the model that it was trained on."""
    rank: int
    """The largest rank of its matrices: the slot size that a server needs."""
    target_modules: tuple[str, ...]
    """Sorted names, or ends of names, of the adapted modules."""


class _Config(BaseModel):
    """The settings of PEFT's `LoraConfig` that are checked one by one."""

    model_config = ConfigDict(extra="allow", strict=True)

    base_model_name_or_path: str
    r: int
    lora_alpha: int | float
    target_modules: list[str]
    exclude_modules: list[str] | None = None
    layers_pattern: list[str] | str | None = None
    rank_pattern: dict[str, int] | None = None
    alpha_pattern: dict[str, int | float] | None = None
    init_lora_weights: bool | str = True
    bias: str = "none"


def check_adapter(folder: Path, base: str | Path | None = None) -> AdapterFacts:
    """Accept an adapter, trained on `base` where that is given, or say in a `UserError` why not."""
    check_files(folder)
    config = _read_config(folder / CONFIG)
    trained = config.base_model_name_or_path
    # A hub name is a relative path too, so that one comparison serves both.
    if base is not None and os.path.realpath(base) != os.path.realpath(trained):
        raise UserError(f"the adapter was trained on {trained}, not on {base}: train it on {base}")
    shapes = _read_shapes(folder / WEIGHTS)
    ranks = _check_tensors(config, shapes)
    return AdapterFacts(trained, max(ranks), tuple(sorted(config.target_modules)))


def check_files(folder: Path) -> None:
    """Refuse a folder without both files, with links in their place, or with weights that are pickled.

    What a trainer leaves beside them (`training_args.bin`, `optimizer.pt`) is never opened nor copied.
    """
    for path in sorted(folder.glob("*")):
        if path.stem in _WEIGHT_FILES and path.suffix.lower() in _PICKLED:
            raise UserError(f"{path} may run code when it is loaded: save the adapter as safetensors and remove it")
    for file in FILES:
        open_plain(folder / file).close()


def open_plain(path: Path) -> BinaryIO:
    """Open one file of an adapter; a link, which may leave the folder, or anything but a file is refused."""
    try:
        # Not blocking: opening a named pipe would wait for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        hint = f"name a folder with {CONFIG} and {WEIGHTS}, as PEFT's save_pretrained writes them"
        raise UserError(f"there is no {path}: {hint}") from None
    except OSError as error:
        if path.is_symlink():
            raise UserError(f"{path} is a symbolic link: copy the adapter's files themselves (cp -L)") from None
        raise UserError(f"cannot read {path} ({error.strerror}): name a folder that you can read") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UserError(f"{path} is not a file: name a folder as PEFT's save_pretrained writes it")
    return os.fdopen(handle, "rb")


def _read_config(path: Path) -> _Config:
    with open_plain(path) as file:
        content = file.read(_CONFIG_BYTES + 1)
    try:
        raw = json.loads(content) if len(content) <= _CONFIG_BYTES else None
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        raise UserError(f"the adapter's {CONFIG} is no JSON object: save the adapter again")
    if raw.get("peft_type") != "LORA":
        raise UserError(f"the adapter is of type {raw.get('peft_type')!r}: only LORA adapters can be served")
    try:
        config = _Config.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = first["loc"][0]
        hint = "write out the list of names, no pattern" if field in ("target_modules", "exclude_modules") else "set it"
        raise UserError(f"{field} in the adapter's {CONFIG} is not right ({first['msg']}): {hint}") from None
    _check_config(config)
    return config


def _check_config(config: _Config) -> None:
    if not config.base_model_name_or_path or not config.base_model_name_or_path.isprintable():
        raise UserError(f"the adapter does not say its base model: set base_model_name_or_path in {CONFIG}")
    if config.bias != "none":
        raise UserError(f"the adapter has biases (bias={config.bias!r}), which servers refuse: train it without them")
    if config.init_lora_weights not in _INITS:
        raise UserError(
            f"the adapter was started by {config.init_lora_weights}, which changes the base model: convert it to plain "
            "LoRA when you save it (path_initial_model_for_weight_conversion)"
        )
    for key, value in (config.model_extra or {}).items():
        if value and key not in _HARMLESS:
            what = f"{_WORDS[key]} ({key})" if key in _WORDS else key
            raise UserError(f"the adapter uses {what}, which servers refuse: train it without, as plain LoRA")
    for rank in (config.r, *(config.rank_pattern or {}).values()):
        if rank not in RANKS:
            raise UserError(f"the adapter has rank {rank}: train it with one of {', '.join(map(str, RANKS))}")
    if not all(math.isfinite(alpha) for alpha in (config.lora_alpha, *(config.alpha_pattern or {}).values())):
        raise UserError("the adapter's lora_alpha is not a finite number: save the adapter again")
    layers = [config.layers_pattern] if isinstance(config.layers_pattern, str) else config.layers_pattern
    groups = (config.target_modules, config.exclude_modules, layers, config.rank_pattern, config.alpha_pattern)
    for name in (name for group in groups for name in group or ()):
        if not _PLAIN.fullmatch(name):
            raise UserError(f"{name[:80]!r} in the adapter's {CONFIG} is no module name: write out plain names")


def _read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor; safetensors checks that header and file length agree."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            slices: dict[str, Any] = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            wrong = [name for name, tensor in slices.items() if tensor.get_dtype() not in _DTYPES]
            shapes = {name: tuple(tensor.get_shape()) for name, tensor in slices.items()}
    except SafetensorError as error:
        raise UserError(f"the adapter's {WEIGHTS} is damaged ({error}): copy or save it again") from None
    if wrong:
        raise UserError(f"the adapter's tensor {wrong[0]} is not of floating point: save it as float32 or bfloat16")
    return shapes


def _check_tensors(config: _Config, shapes: dict[str, tuple[int, ...]]) -> set[int]:
    """Every tensor is half of a LoRA pair on a target module, of the rank that the config says; returns the ranks."""
    sides: dict[str, set[str]] = {}
    ranks = set()
    for name, shape in shapes.items():
        match = _TENSOR.fullmatch(name)
        if match is None or not any(_ends(match["module"], target) for target in config.target_modules):
            raise UserError(f"the adapter's tensor {name} belongs to none of its target_modules: save it again")
        module, side = match["module"], match["side"]
        pattern = next((key for key in config.rank_pattern or {} if _ends(module, key)), None)
        rank = config.r if pattern is None else (config.rank_pattern or {})[pattern]
        if len(shape) != 2 or 0 in shape or shape["AB".index(side)] != rank:
            raise UserError(f"the adapter's tensor {name} has shape {list(shape)}, not rank {rank}: save it again")
        sides.setdefault(module, set()).add(side)
        ranks.add(rank)
    if half := [module for module, found in sides.items() if len(found) < 2]:
        raise UserError(f"the adapter has one of two matrices of {half[0]}: save it again")
    if bare := [target for target in config.target_modules if not any(_ends(module, target) for module in sides)]:
        raise UserError(f"the adapter has no tensors for its target module {bare[0]}: name only modules that it adapts")
    if not sides:
        raise UserError("the adapter is empty: it has no target_modules and no tensors")
    return ranks


def _ends(module: str, name: str) -> bool:
    return module == name or module.endswith(f".{name}")
