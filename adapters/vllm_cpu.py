"""LoRA on the CPU inside a vLLM server: right where vLLM's own is not, and several times as fast.

vLLM (0.32) computes adapters on the CPU by copying for each token the matrices of its adapter, and takes the index -1
of tokens without an adapter for the last slot: answers of the base model are wrong while its requests share a batch
with adapters that fill all slots. `vllm_resolver` puts `LoRAOnCPU` in its place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

_GATHERED = 256
"""Up to so many tokens, each takes a copy of its adapter's matrices; more (prompts) are computed run by run."""


class LoRAOnCPU(PunicaWrapperCPU):
    """Adds x A B to the output of linear layers, for tokens of different adapters and of none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._distinct: list[int] = []
        self._empty: dict[int, tuple[int, bool]] = {}

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        """Once a step: which tokens have which adapter."""
        super().update_metadata(*args, **kwargs)
        slots = self.token_lora_indices
        distinct = slots.unique().tolist()
        self._mask = None if distinct and distinct[0] >= 0 else (slots >= 0).unsqueeze(1)
        self._slots = slots.clamp_min(0)
        self._distinct = [slot for slot in distinct if slot >= 0]
        self._runs: list[tuple[int, int, int]] = []
        if len(self._distinct) > 1 and len(slots) > _GATHERED:
            slot_of_run, lengths = slots.unique_consecutive(return_counts=True)
            ends = lengths.cumsum(0)
            runs = zip(slot_of_run.tolist(), (ends - lengths).tolist(), ends.tolist(), strict=True)
            self._runs = [run for run in runs if run[0] >= 0]

    def add_lora_linear(
        self,
        y: Tensor,
        x: Tensor,
        lora_a_stacked: tuple[Tensor, ...],
        lora_b_stacked: tuple[Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        *,
        buffer: tuple[Tensor, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        """Slice by slice, y (tokens, sum of slices) += x (tokens, in) @ A @ B of each token's slot.

        A is (slots, 1, rank, in), B (slots, 1, slice, rank). `scale` is 1: vLLM scales B when it loads an adapter.
        """
        if not self._distinct:
            return
        begin = 0
        for a, b, width in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
            part = y[:, begin : begin + width]
            begin += width
            if self._is_empty(b):
                continue
            if self._runs:
                for slot, first, end in self._runs:
                    part[first:end] += x[first:end] @ a[slot, 0].t() @ b[slot, 0].t()
            elif len(self._distinct) == 1:
                [slot] = self._distinct
                self._add(part, x @ a[slot, 0].t() @ b[slot, 0].t())
            else:
                self._add(part, _each_its_own(a, b, x, self._slots))

    def add_lora_logits(
        self,
        y: Tensor,
        x: Tensor,
        lora_a_stacked: Tensor,
        lora_b_stacked: Tensor,
        scale: float,
        *,
        buffer: Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        """The same for the output layer, which has one row for each request."""
        rows = (self.sampler_indices >= 0).nonzero().squeeze(1)
        if len(rows):
            change = _each_its_own(lora_a_stacked, lora_b_stacked, x[rows], self.sampler_indices[rows])
            width = min(y.shape[1], change.shape[1])  # each has its own padding
            y[rows, :width] += change[:, :width]

    def _add(self, part: Tensor, change: Tensor) -> None:
        part += change if self._mask is None else change * self._mask

    def _is_empty(self, b: Tensor) -> bool:
        """Whether no slot has anything for this slice, as k has where adapters are for q and v.

        It is looked at again when the tensor has changed.
        """
        version, empty = self._empty.get(id(b), (-1, False))
        if version != b._version:
            empty = not bool(b.any())
            self._empty[id(b)] = (b._version, empty)
        return empty


def _each_its_own(a: Tensor, b: Tensor, x: Tensor, slots: Tensor) -> Tensor:
    """Row i of x through A and B of slots[i]."""
    inner = torch.bmm(a[:, 0].index_select(0, slots), x.unsqueeze(2))
    return torch.bmm(b[:, 0].index_select(0, slots), inner).squeeze(2)
