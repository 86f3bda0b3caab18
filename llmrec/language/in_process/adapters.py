"""LoRA adapters of a loaded model, of which every row of a batch may have another.

A row's adapter adds B A x to what a module makes of x (Hu et al., LoRA, ICLR 2022, equation 3; its scale is part of B
here). The halves of all loaded adapters lie in one tensor for each module, an adapter in each slot, so that rows pick
theirs by number: the idea of Punica (Chen et al., MLSys 2024). Slot 0 is the base model, and stays zero.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from transformers.pytorch_utils import Conv1D

from llmrec.errors import UnknownAdapter
from llmrec.language.in_process.model import LanguageModel

_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"
MOST_RANK = 64
"""Every slot has room for the largest rank that was there."""
_DTYPES = {torch.float32, torch.float16, torch.bfloat16}
_PLAIN = re.compile(r"[A-Za-z0-9_.]+")
_PREFIX = "base_model.model."


class Adapters:
    """At most `keep` adapters, and all that are in use; the least recently used goes first.

    A folder is a version: its content never changes.
    """

    def __init__(self, model: LanguageModel, keep: int) -> None:
        self._model, self._keep = model, keep
        self._slots: OrderedDict[Path, int] = OrderedDict()
        self._free: list[int] = []
        self._modules: dict[str, _Adapted] = {}
        self._shapes = {name: shape for name, module in model.model.named_modules() if (shape := _shape(module))}
        """(out, in) of what can be adapted."""

    def __len__(self) -> int:
        return len(self._slots)

    def slot(self, folder: Path | None, in_use: Collection[int] = ()) -> int:
        """Where the adapter of a folder is, which is read if need be; 0 for None. What is in use stays.

        Raises `UnknownAdapter` for one that does not fit or cannot be read; then nothing has changed.
        """
        if folder is None:
            return 0
        if folder not in self._slots:
            halves = self._read(folder)
            self._make_room(in_use)
            slot = self._free.pop() if self._free else 1 + len(self._slots)
            try:
                self._fill(slot, halves)
            except BaseException:  # no memory, say
                self._free.append(slot)
                raise
            self._slots[folder] = slot
        self._slots.move_to_end(folder)
        return self._slots[folder]

    def _fill(self, slot: int, halves: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        for name in halves:
            self._adapt(name)
        slots = 1 + len(self._slots) + len(self._free) + 1  # the base model's and the new one among them
        for name, module in self._modules.items():  # all of them, as rows may have any slot
            module.reserve(slots, len(halves[name][0]) if name in halves else 0)
            module.clear(slot)
        for name, (down, up) in halves.items():
            self._modules[name].put(slot, down, up)

    def _make_room(self, in_use: Collection[int]) -> None:
        for folder, slot in list(self._slots.items()):
            if len(self._slots) < self._keep:
                break
            if slot not in in_use:
                del self._slots[folder]
                self._free.append(slot)

    def _adapt(self, name: str) -> None:
        if name not in self._modules:
            module = self._model.model.get_submodule(name)
            self._modules[name] = _Adapted(module, self._model, *self._shapes[name])
            self._model.model.set_submodule(name, self._modules[name])

    def _read(self, folder: Path) -> dict[str, tuple[Tensor, Tensor]]:
        """By module: A (rank, in), and B (out, rank) with the scale. Everything that can be wrong is found here."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
            tensors = load_file(folder / "adapter_model.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise UnknownAdapter(f"the adapter in {folder} is damaged or was removed ({error}): add it again") from None
        if not isinstance(config, dict) or config.get("peft_type") != "LORA":
            raise UnknownAdapter(f"the adapter in {folder} is no LoRA adapter: train one")
        trained = str(config.get("base_model_name_or_path") or "")
        try:
            scales = _Scales.of(config)
            # Folders move, so their last part has to do: a hub name's, or the hash of a workspace's artefact.
            fits = bool(tensors) and (not trained or Path(trained).name == Path(self._model.name).name)
            names = {name.removeprefix(_PREFIX).removesuffix(_DOWN).removesuffix(_UP) for name in tensors}
            fits = fits and len(tensors) == 2 * len(names) and _are_targets(names, config["target_modules"])
            halves, largest = {}, 0
            for name in names if fits else ():
                down, up = tensors[_PREFIX + name + _DOWN], tensors[_PREFIX + name + _UP]
                (rank, columns), (rows, inner) = down.shape, up.shape
                fits = fits and rank == inner and rank in scales.ranks and self._shapes[name] == (rows, columns)
                fits = fits and {down.dtype, up.dtype} <= _DTYPES
                largest = max(largest, rank)
                if fits:
                    up = scales.of_module(name, rank) * up.float()
                    halves[name] = down.to(self._model.dtype), up.to(self._model.dtype)
                    fits = all(bool(half.isfinite().all()) for half in halves[name])
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            fits = False
        if not fits:
            raise UnknownAdapter(
                f"the adapter in {folder} does not fit the model {self._model.name}: it was trained on "
                f"{trained or 'another model'}, or is damaged"
            )
        if largest > MOST_RANK:
            raise UnknownAdapter(
                f"the adapter in {folder} has rank {largest}, more than {MOST_RANK}: serve it with vllm:"
            )
        return halves


def _shape(module: Any) -> tuple[int, int] | None:
    if isinstance(module, Conv1D):
        return module.nf, module.nx
    return (module.out_features, module.in_features) if isinstance(module, torch.nn.Linear) else None


class _Adapted(torch.nn.Module):
    """A module, and what the adapters of its rows add."""

    def __init__(self, base_layer: torch.nn.Module, model: LanguageModel, rows: int, columns: int) -> None:
        super().__init__()
        self.base_layer = base_layer
        self._model = model
        self._down, self._up = self._zeros(0, 0, columns), self._zeros(0, rows, 0)

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, out) of x (b, n, in)."""
        y: Tensor = self.base_layer(x)
        slots = self._model.slots
        if not len(self._down):  # there was no memory for the adapter that it was made for
            return y
        if isinstance(slots, int):
            return y + linear(linear(x, self._down[slots]), self._up[slots]) if slots else y
        rows = x.reshape(len(slots), -1, x.shape[-1])  # some models flatten a batch before their feed-forward part
        return y + (rows @ self._down[slots].mT @ self._up[slots].mT).reshape(y.shape)

    def reserve(self, slots: int, rank: int) -> None:
        """Room for so many slots, and for this rank in all of them."""
        old_down, old_up = self._down, self._up
        have, ranks = old_down.shape[:2]
        if slots > have or rank > ranks:
            slots, ranks = max(slots, 2 * have) if slots > have else have, max(rank, ranks)
            down, up = self._zeros(slots, ranks, old_down.shape[2]), self._zeros(slots, old_up.shape[1], ranks)
            down[:have, : old_down.shape[1]] = old_down
            up[:have, :, : old_up.shape[2]] = old_up
            self._down, self._up = down, up

    def put(self, slot: int, down: Tensor, up: Tensor) -> None:
        """Fill a slot that is clear, and for which there is room."""
        self._down[slot, : len(down)], self._up[slot, :, : len(down)] = down, up

    def clear(self, slot: int) -> None:
        """Make a slot add nothing."""
        self._down[slot] = self._up[slot] = 0

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=self._model.dtype, device=self._model.device)


@dataclass(frozen=True)
class _Scales:
    """What PEFT multiplies B A with, module by module."""

    ranks: frozenset[int]
    alpha: float
    alphas: Mapping[str, float]
    root: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> _Scales:
        """`ValueError` and more for a config that is not as PEFT writes it."""
        alphas = dict(config.get("alpha_pattern") or {})
        if not all(map(_PLAIN.fullmatch, alphas)):  # PEFT would run it; `adapters.check` refuses it too
            raise ValueError("a pattern that is an expression")
        ranks = frozenset({config["r"], *(config.get("rank_pattern") or {}).values()})
        return cls(ranks, config.get("lora_alpha", 8), alphas, bool(config.get("use_rslora")))

    def of_module(self, name: str, rank: int) -> float:
        """Patterns are names of modules, or their ends."""
        fitting = (alpha for key, alpha in self.alphas.items() if f".{name}".endswith(f".{key}"))
        return float(next(fitting, self.alpha)) / (rank**0.5 if self.root else rank)


def _are_targets(modules: Collection[str], targets: str | Sequence[str]) -> bool:
    """Whether the config tells of these modules by the ends of their names; an expression may tell of any."""
    return isinstance(targets, str) or all(
        f".{module}".endswith(tuple(f".{target}" for target in targets)) for module in modules
    )
