"""The conformance kit of adapter sources.

    from llmrec.testing.adapters import AdapterSourceContract

    class TestMine(AdapterSourceContract):
        def make(self) -> Mine: return Mine()
        known = ("search",)

Every test of the contract then runs against `Mine`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from safetensors import safe_open

from llmrec.contracts import AdapterSource

FOREIGN: Sequence[str] = ["", "nobody-has-this", "user:nobody-has-this", "../search", "/etc", "a\0b", "é" * 5000, " "]
"""Names that are no source's own, some of them hostile."""


class AdapterSourceContract:
    """What `contracts.AdapterSource` promises."""

    known: ClassVar[Sequence[str]]
    """Names that the source has."""

    def make(self) -> AdapterSource:
        """The source under test."""
        raise NotImplementedError

    @pytest.fixture
    def source(self) -> AdapterSource:
        return self.make()

    def test_known_names_have_a_plain_folder(self, source: AdapterSource) -> None:
        for name in self.known:
            folder = source.resolve(name)
            assert folder is not None and folder.is_absolute()
            for file in ("adapter_config.json", "adapter_model.safetensors"):
                assert (folder / file).is_file() and not (folder / file).is_symlink()

    def test_the_adapters_are_plain_lora(self, source: AdapterSource) -> None:
        for name in self.known:
            folder = source.resolve(name)
            assert folder is not None
            config = json.loads((folder / "adapter_config.json").read_text())
            assert config["peft_type"] == "LORA" and config["base_model_name_or_path"]
            with safe_open(folder / "adapter_model.safetensors", framework="numpy") as file:
                tensors = set(file.keys())
                shapes = {tensor: file.get_slice(tensor).get_shape() for tensor in tensors}
            assert tensors
            for tensor in tensors:
                assert tensor.endswith((".lora_A.weight", ".lora_B.weight"))
                first = shapes[tensor.replace(".lora_B.", ".lora_A.")]
                second = shapes[tensor.replace(".lora_A.", ".lora_B.")]
                assert first[0] == second[1]

    def test_asking_again_gives_the_same(self, source: AdapterSource) -> None:
        for name in self.known:
            assert _content(source.resolve(name)) == _content(self.make().resolve(name))

    @pytest.mark.parametrize("name", FOREIGN, ids=lambda name: ascii(name)[:20])
    def test_foreign_names_are_left_to_others(self, source: AdapterSource, name: str) -> None:
        assert source.resolve(name) is None


def _content(folder: Path | None) -> dict[str, bytes]:
    assert folder is not None
    return {path.name: path.read_bytes() for path in folder.iterdir()}
