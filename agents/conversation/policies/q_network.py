"""A deep Q-network of two actions (Mnih et al., 2015), with the settings of SCPR but where it says otherwise.

It learns from few people, and most states are seen once. With a gradient step for every transition it learnt the luck
of single dialogues by heart; so there is one for every fourth, at a learning rate that falls to nothing, and the next
state is valued by the action that the network itself prefers (van Hasselt et al., Double Q-learning, AAAI 2016).
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

_FILE = "q_network.safetensors"
_HIDDEN = 512
_DISCOUNT = 0.999
_BATCH = 128
_REPLAY = 50_000
_EVERY = 4
"""Transitions for one gradient step."""
_SYNC = 20
"""Episodes after which the target network is brought up to date."""
_LEARNING_RATE = 1e-4

State = NDArray[np.float32]


class QNetwork:
    """From a state (s,) to what each of two actions is worth."""

    def __init__(self, inputs: int, seed: int = 0) -> None:
        self.inputs = inputs
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._network = torch.nn.Sequential(
                torch.nn.Linear(inputs, _HIDDEN), torch.nn.ReLU(), torch.nn.Linear(_HIDDEN, 2)
            )

    def values(self, state: State) -> NDArray[np.float32]:
        """(2,)"""
        with torch.no_grad():
            values: NDArray[np.float32] = self._network(torch.from_numpy(state)).numpy()
        return values

    def save(self, folder: Path) -> None:
        """Write the weights into an existing folder."""
        save_file(self._network.state_dict(), folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        weights = load_file(folder / _FILE)
        network = cls(weights["0.weight"].shape[1])
        network._network.load_state_dict(weights)
        return network


class QLearning:
    """Trains a network on transitions as they happen (Huber loss)."""

    def __init__(self, network: QNetwork, seed: int = 0) -> None:
        self._online = network._network
        self._target = copy.deepcopy(self._online)
        self._optimizer = torch.optim.Adam(self._online.parameters(), _LEARNING_RATE)
        self._rng = np.random.default_rng(seed)
        self._states, self._nexts = np.zeros((2, _REPLAY, network.inputs), np.float32)
        self._actions = np.zeros(_REPLAY, np.int64)
        self._rewards, self._goes_on = np.zeros((2, _REPLAY), np.float32)
        self._seen = self._episodes = 0

    def slow_down(self, done: float) -> None:
        """Lower the learning rate, when this share of the episodes is over."""
        for group in self._optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * (1 - done)

    def saw(self, state: State, action: int, reward: float, then: State | None) -> None:
        """Learn from a transition; `then` is None where the episode has ended."""
        at = self._seen % _REPLAY
        self._states[at], self._actions[at], self._rewards[at] = state, action, reward
        self._nexts[at], self._goes_on[at] = (0, 0) if then is None else (then, 1)
        self._seen += 1
        if then is None:
            self._episodes += 1
            if self._episodes % _SYNC == 0:
                self._target.load_state_dict(self._online.state_dict())
        if self._seen >= _BATCH and self._seen % _EVERY == 0:
            self._improve()

    def _improve(self) -> None:
        rows = self._rng.integers(min(self._seen, _REPLAY), size=_BATCH)
        states, nexts = torch.from_numpy(self._states[rows]), torch.from_numpy(self._nexts[rows])
        rewards, goes_on = torch.from_numpy(self._rewards[rows]), torch.from_numpy(self._goes_on[rows])
        with torch.no_grad():
            preferred = self._online(nexts).argmax(dim=1, keepdim=True)
            expected = rewards + _DISCOUNT * goes_on * self._target(nexts).gather(1, preferred)[:, 0]
        values = self._online(states)[torch.arange(_BATCH), torch.from_numpy(self._actions[rows])]
        self._optimizer.zero_grad()
        torch.nn.functional.smooth_l1_loss(values, expected).backward()
        self._optimizer.step()
