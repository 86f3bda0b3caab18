"""Chats that are answered together, token by token; any of them may begin and leave while the others go on."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from llmrec.language.in_process.jobs import Chat
from llmrec.language.in_process.model import Context, Input, LanguageModel, by_length


class Chats:
    """Each with an adapter of its own, or none."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.chats: list[Chat] = []
        self._context: Context | None = None
        self._next = torch.empty((0, 1), dtype=torch.long)

    def join(self, chats: Sequence[Chat]) -> None:
        """Read the prompts of new chats."""
        for rows in by_length([chat.prompt for chat in chats], self._model.rows):
            context = Context(self._model, [Input(chats[row].prompt, chats[row].slot) for row in rows])
            if self._context is None:
                self._context, self._next = context, context.last
            else:
                self._next = torch.cat([self._next, context.last])
                self._context.join(context)
            self.chats += [chats[row] for row in rows]

    def step(self) -> None:
        """One more token for each; chats that end, or that nobody waits for, free their place."""
        self._drop([not chat.left for chat in self.chats])
        if self._context is None:
            return
        tokens = self._choose(self._context.step(self._next)[:, 0])
        self._next = tokens[:, None]
        going = [chat.take(token, self._model) for chat, token in zip(self.chats, tokens.tolist(), strict=True)]
        for chat, on in zip(self.chats, going, strict=True):
            if not on:
                chat.send(None)
        self._drop(going)

    def _drop(self, keep: Sequence[bool]) -> None:
        if all(keep):
            return
        rows = [row for row, kept in enumerate(keep) if kept]
        self.chats = [self.chats[row] for row in rows]
        if rows and self._context is not None:
            self._context.keep(rows)
            self._next = self._next[rows]
        else:
            self._context = None

    def _choose(self, logits: torch.Tensor) -> torch.Tensor:
        """The next token of each row, of those that its grammar allows: the most probable, or one that is drawn."""
        logits.nan_to_num_()  # what one row's adapter breaks must not break the draw of the others
        for row, chat in enumerate(self.chats):
            if chat.grammar is not None:
                logits[row, chat.grammar.forbidden().to(logits.device)] = -torch.inf
        best = logits.argmax(-1)
        temperatures = torch.tensor([chat.temperature for chat in self.chats], device=logits.device)
        warm = (temperatures > 0).nonzero()[:, 0]
        if len(warm):
            # below the best, so that a very low temperature cannot overflow
            below = logits[warm] - logits[warm].amax(-1, keepdim=True)
            odds = (below / temperatures[warm, None]).softmax(-1)
            best[warm] = torch.multinomial(odds, 1, generator=self._model.generator)[:, 0]
        return best
