"""Adapters of a loaded model: a bounded number of them, loaded when they are first used."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import Any

import torch

from llmrec.errors import EngineError, UnknownAdapter
from llmrec.language.in_process.model import LanguageModel

log = logging.getLogger(__name__)

_SIDES = {".lora_A.weight": 1, ".lora_B.weight": 0}
"""Which dimension of each half is a dimension of the adapted matrix."""


class Adapters:
    """At most `keep` adapters, the least recently used goes first. A folder is a version: its content never changes."""

    def __init__(self, model: LanguageModel, keep: int) -> None:
        self._model, self._keep = model, keep
        self._peft: Any = None  # wraps the model at the first adapter
        self._loaded: OrderedDict[Path, str] = OrderedDict()
        self._active: Path | None = None
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._loaded)

    def use(self, folder: Path | None, in_use: Collection[Path] = ()) -> None:
        """Make this adapter the active one, None the base model. Those in use are not dropped to make room.

        Raises `EngineError` for an adapter that does not fit or cannot be read; then the base model is active.
        """
        if folder is not None and folder not in self._loaded:
            self._make_room(in_use)
            self._load(folder)
        if folder is not None:
            self._loaded.move_to_end(folder)
        if folder == self._active or self._peft is None:
            return
        if folder is None:
            self._peft.base_model.disable_adapter_layers()
        else:
            if self._active is None:
                self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(self._loaded[folder], inference_mode=True)
        self._active = folder

    def _make_room(self, in_use: Collection[Path]) -> None:
        self.use(None)
        for folder in list(self._loaded):
            if len(self._loaded) < self._keep:
                break
            if folder not in in_use:
                self._peft.delete_adapter(self._loaded.pop(folder))

    def _load(self, folder: Path) -> None:
        from peft import PeftModel

        self._check(folder)
        name = f"a{next(self._numbers)}"
        options: dict[str, Any] = {"is_trainable": False, "autocast_adapter_dtype": False, "low_cpu_mem_usage": True}
        with torch.inference_mode(False):  # or its tensors could never be switched on and off again
            try:
                if self._peft is None:
                    self._peft = PeftModel.from_pretrained(self._model.model, str(folder), name, **options)
                else:
                    device = str(self._model.device)
                    self._peft.load_adapter(str(folder), name, torch_device=device, **options)
            except Exception as error:
                log.debug("cannot load the adapter %s", folder, exc_info=True)
                if self._peft is None:
                    self._unwrap()
                elif name in self._peft.peft_config:
                    self._peft.delete_adapter(name)
                raise EngineError(f"the adapter in {folder} cannot be loaded ({type(error).__name__})") from None
            self._peft.base_model.disable_adapter_layers()
        self._active = None
        self._loaded[folder] = name

    def _check(self, folder: Path) -> None:
        """Everything that can be wrong is found before the model is touched."""
        from safetensors import SafetensorError, safe_open

        try:
            config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
            with safe_open(folder / "adapter_model.safetensors", framework="numpy") as file:
                shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        except (OSError, ValueError, SafetensorError) as error:
            raise UnknownAdapter(f"the adapter in {folder} is damaged or was removed ({error}): add it again") from None
        if not isinstance(config, dict) or config.get("peft_type") != "LORA":
            raise UnknownAdapter(f"the adapter in {folder} is no LoRA adapter: train one")
        trained = str(config.get("base_model_name_or_path") or "")
        # Folders move, so their last part has to do: a hub name's, or the hash of a workspace's artefact.
        fits = bool(shapes) and (not trained or Path(trained).name == Path(self._model.name).name)
        ranks = {config.get("r"), *(config.get("rank_pattern") or {}).values()}
        for name, shape in shapes.items():
            side = next((side for side in _SIDES if name.endswith(side)), "")
            module = self._module(name.removeprefix("base_model.model.").removesuffix(side))
            fits = fits and bool(side) and len(shape) == 2 and shape[1 - _SIDES[side]] in ranks and module is not None
            if fits and isinstance(module, torch.nn.Linear):
                fits = shape[_SIDES[side]] == module.weight.shape[_SIDES[side]]
        if not fits:
            raise UnknownAdapter(
                f"the adapter in {folder} does not fit the model {self._model.name}: it was trained on "
                f"{trained or 'another model'}, or is damaged"
            )

    def _unwrap(self) -> None:
        """Put the model's own modules back where wrapping it broke off in the middle."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        model = self._model.model
        for name, module in list(model.named_modules()):
            if isinstance(module, BaseTunerLayer):
                model.set_submodule(name, module.get_base_layer())

    def _module(self, name: str) -> torch.nn.Module | None:
        """The base model's module of this name, whether it is wrapped by now or not."""
        try:
            module = self._model.model.get_submodule(name)
        except AttributeError:
            return None
        return getattr(module, "base_layer", module)
