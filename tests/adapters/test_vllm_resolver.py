"""The plugin inside a vLLM server: which names it loads, and what it leaves behind. The real server is used in
tests/llmrec/language/vllm."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from llmrec.adapters import vllm_resolver
from llmrec.adapters.vllm_resolver import forget_locks, leave_tokens_as_ids, published

NAME = "a" + "0123456789abcdef" * 2


def test_it_is_registered() -> None:
    [point] = entry_points(group="vllm.general_plugins", name="llmrec-adapters")
    assert point.load() is vllm_resolver.register


def test_without_a_folder_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMREC_VLLM_ADAPTERS", raising=False)
    vllm_resolver.register()  # vLLM itself is not even imported


def test_only_what_is_published_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "published"
    (folder / NAME).mkdir(parents=True)
    (folder / "user").mkdir()
    (tmp_path / ("a" + "1" * 32)).mkdir()
    linked = "a" + "2" * 32
    (folder / linked).symlink_to(tmp_path)
    (folder / ("a" + "3" * 32)).write_text("no folder")
    assert published(folder, NAME) == folder / NAME
    others = ["user", "a" + "1" * 32, linked, "a" + "3" * 32, "a" + "4" * 32, f"../published/{NAME}", f"{NAME}/.", ""]
    others += [str(folder / NAME), NAME.upper(), f"{NAME}\n", "é" * 5000]
    assert [published(folder, name) for name in others] == [None] * len(others)


class Serving:
    """What the plugin knows of vLLM's table of adapters."""

    def __init__(self) -> None:
        self.lora_requests: dict[str, str] = {}
        self.lora_resolver_lock: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def resolve_lora(self, lora_name: str) -> str | None:
        async with self.lora_resolver_lock[lora_name]:
            await asyncio.sleep(0)
            if lora_name.startswith("a"):
                self.lora_requests[lora_name] = "loaded"
            return self.lora_requests.get(lora_name)

    async def unload_lora_adapter(self, request: Any) -> str:
        async with self.lora_resolver_lock[request.lora_name]:
            self.lora_requests.pop(request.lora_name, None)
            return "unloaded"


async def test_names_that_come_and_go_leave_no_lock_behind() -> None:
    class Patched(Serving):
        pass

    forget_locks(Patched)
    serving = Patched()

    class Request:
        lora_name = "a1"

    assert await serving.resolve_lora("a1") == "loaded"
    assert list(serving.lora_resolver_lock) == ["a1"]
    assert await asyncio.gather(*(serving.resolve_lora(f"unknown-{n % 10}") for n in range(100))) == [None] * 100
    assert list(serving.lora_resolver_lock) == ["a1"]
    assert await serving.unload_lora_adapter(Request()) == "unloaded"
    assert not serving.lora_resolver_lock


def test_only_tokens_that_are_named_get_no_text() -> None:
    class Request:
        logprob_token_ids: ClassVar[list[int]] = [1]
        return_tokens_as_token_ids = True

        def to_sampling_params(self, most: int) -> SimpleNamespace:
            return SimpleNamespace(detokenize=True, max_tokens=most)

    leave_tokens_as_ids(Request)
    assert Request().to_sampling_params(7) == SimpleNamespace(detokenize=False, max_tokens=7)
    Request.return_tokens_as_token_ids = False
    assert Request().to_sampling_params(7).detokenize
    Request.logprob_token_ids, Request.return_tokens_as_token_ids = [], True
    assert Request().to_sampling_params(7).detokenize


class TestLoRAOnCPU:
    """What it adds is what each token's own adapter says, and nothing for tokens without one."""

    slots, rank, width = 4, 3, 10
    slices = (6, 4)

    @pytest.mark.parametrize("tokens", [1, 7, 300])
    @pytest.mark.parametrize("which", ["none", "one", "one and none", "all", "all and none"])
    def test_sums(self, tokens: int, which: str) -> None:
        rng = torch.Generator().manual_seed(0)
        choices = {
            "none": [-1],
            "one": [3],
            "one and none": [3, -1],
            "all": [0, 1, 2, 3],
            "all and none": [0, 1, 2, 3, -1],
        }
        chosen = torch.tensor(choices[which])
        indices = chosen[torch.randint(len(chosen), (tokens,), generator=rng)]
        a = tuple(torch.randn(self.slots, 1, self.rank, self.width, generator=rng) for _ in self.slices)
        b = tuple(torch.randn(self.slots, 1, size, self.rank, generator=rng) for size in self.slices)
        x, before = torch.randn(tokens, self.width, generator=rng), torch.randn(tokens, 10, generator=rng)
        expected = before.clone()
        for row, slot in enumerate(indices.tolist()):
            if slot >= 0:
                expected[row] += torch.cat([b[n][slot, 0] @ (a[n][slot, 0] @ x[row]) for n in (0, 1)])
        lora = self.on_cpu(indices)
        y = before.clone()
        lora.add_lora_linear(y, x, a, b, 1.0, self.slices)
        torch.testing.assert_close(y, expected)
        logits = torch.zeros(tokens, 8)
        lora.add_lora_logits(logits, x, a[0], b[0], 1.0)
        expected = torch.zeros(tokens, 8)
        for row, slot in enumerate(indices.tolist()):
            if slot >= 0:
                expected[row, :6] = b[0][slot, 0] @ (a[0][slot, 0] @ x[row])
        torch.testing.assert_close(logits, expected)

    def on_cpu(self, indices: torch.Tensor) -> Any:
        from vllm.lora.layers import LoRAMapping

        from llmrec.adapters.vllm_cpu import LoRAOnCPU

        lora = LoRAOnCPU(max_num_batched_tokens=512, max_batches=512, device="cpu")
        ids = tuple(slot + 1 for slot in indices.tolist())  # vLLM's ids begin at 1, 0 is none
        mapping = LoRAMapping(index_mapping=ids, prompt_mapping=ids, is_prefill=True)
        lora.update_metadata(mapping, [1, 2, 3, 4], self.slots, 100)
        return lora
