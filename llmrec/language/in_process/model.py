"""A causal language model with its tokenizer, and the one way in which all decoding here runs it.

Everything that follows a prompt is packed into one row behind the prompt's keys and values: the beams of a search, the
continuations to be scored. An attention mask says what each token sees: the prompt and its own ancestors. So a prompt
is computed and stored once however many beams it has, and no cache is ever copied or reordered between beams.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from llmrec.contracts import Message
from llmrec.errors import EngineError, EngineRefused

if TYPE_CHECKING:
    from llmrec.language.in_process.grammar import Grammars

PREFILL_TOKENS = 16_384
"""Tokens of one forward pass over prompts, padding included."""
LOGITS = 2**27
"""Logits of one forward pass: half a gigabyte in float32."""


Slots = int | Tensor
"""Where the adapter of all rows is, or (b,) that of each; 0 is the base model."""


class LanguageModel:
    """Model and tokenizer; all of it is for the worker's thread alone."""

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        """`model`: a loaded `AutoModelForCausalLM`; see `loading.load`."""
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.device, self.dtype = model.device, model.dtype
        text = model.config.get_text_config(decoder=True)
        self.vocabulary: int = model.get_output_embeddings().weight.shape[0]
        self.width: int = text.hidden_size
        self.rows = max(1, LOGITS // self.vocabulary)
        """The most rows of logits of one forward pass."""
        self.context = int(getattr(text, "max_position_embeddings", None) or 2**31)
        """The most tokens of one sequence."""
        ends = [tokenizer.eos_token_id, text.eos_token_id, getattr(model.generation_config, "eos_token_id", None)]
        self.stops = {
            end for group in ends for end in (group if isinstance(group, list) else [group]) if end is not None
        }
        """Tokens that end an answer; nothing else is taken from the model's own generation settings."""
        start = tokenizer.bos_token_id
        self.start: int = start if start is not None else min(self.stops, default=0)
        """What is read where there is nothing else to begin with."""
        self.generator = torch.Generator(self.device).manual_seed(0)
        """Draws the tokens of answers with a temperature."""
        self.hidden = torch.finfo(self.dtype).min
        """What a mask adds where a token must not look."""
        self.slots: Slots = 0
        """The adapters of the rows of the forward pass that is being made; see `adapters.Adapters`."""

    @cached_property
    def grammars(self) -> Grammars:
        """Of answers that follow a schema."""
        from llmrec.language.in_process.grammar import Grammars

        return Grammars(self)

    def tokens(self, text: str, special: bool = False) -> list[int]:
        """Token ids of a text; `special`: with what the tokenizer puts around a whole text."""
        return self.tokenizer.encode(text, add_special_tokens=special)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def prompt(self, prompt: str | Sequence[int], room: int = 1) -> list[int]:
        """The tokens of a prompt, at least one, with `room` for tokens that follow; `EngineError` where it has none."""
        tokens = self.tokens(prompt, special=True) if isinstance(prompt, str) else [int(token) for token in prompt]
        tokens = self._known(tokens or [self.start])
        if len(tokens) + room > self.context:
            raise EngineRefused(
                f"the prompt has {len(tokens)} tokens, too many for {self.name}, which reads {self.context}: shorten it"
            )
        return tokens

    def continuation(self, continuation: str | Sequence[int]) -> list[int]:
        """The tokens of a continuation; `EngineError` where it has none."""
        tokens = self.tokens(continuation) if isinstance(continuation, str) else [int(token) for token in continuation]
        if not tokens:
            raise EngineError(f"the continuation {continuation!r} has no tokens: leave it out")
        return self._known(tokens)

    def whole(self, text: str) -> list[int]:
        """The tokens of a text that is read for its meaning: at least one, as many as the model reads."""
        return (self.tokens(text, special=True) or self.tokens(" ") or [self.start])[: self.context]

    def _known(self, tokens: list[int]) -> list[int]:
        if not 0 <= min(tokens) <= max(tokens) < self.vocabulary:
            raise EngineError(f"{self.name} has no token {max(tokens)}: its tokens are 0 to {self.vocabulary - 1}")
        return tokens

    def chat_prompt(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a chat up to where the answer begins, by the tokenizer's template where it has one."""
        texts = [self._without_special(message.content) for message in messages]
        if self.tokenizer.chat_template is None:
            lines = [f"{message.role}: {text}\n" for message, text in zip(messages, texts, strict=True)]
            return self.prompt("".join(lines) + "assistant:")
        chat = [{"role": m.role, "content": text} for m, text in zip(messages, texts, strict=True)]
        try:
            tokens = self.tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, return_dict=False, enable_thinking=False
            )
        except Exception as error:  # templates raise what they like, for roles that they do not know, for example
            raise EngineError(f"the chat template of {self.name} refuses these messages: {error}") from None
        return self.prompt(tokens)

    def _without_special(self, text: str) -> str:
        """What people wrote must not end their turn and begin another."""
        while found := [token for token in self.tokenizer.all_special_tokens if token and token in text]:
            for token in found:  # again and again, because taking one out may put another together
                text = text.replace(token, "")
        return text

    def forward(self, ids: Tensor, positions: Tensor, mask: Tensor, cache: Any, slots: Slots) -> Tensor:
        """float32 logits (b, n, vocabulary) of tokens (b, n) at positions (b, n); mask: (b, n, cached + n), added."""
        self.slots = slots
        return self.model(
            input_ids=ids, position_ids=positions, attention_mask=mask[:, None], past_key_values=cache, use_cache=True
        ).logits.float()

    def last_hidden(self, ids: Tensor, slots: Slots, cache: Any = None) -> Tensor:
        """(b, n, width) of whole texts, padded at the end: causal attention never sees what comes later."""
        self.slots = slots
        return self.model.base_model(
            input_ids=ids, past_key_values=cache, use_cache=cache is not None
        ).last_hidden_state

    def encode(self, texts: Sequence[Input]) -> Tensor:
        """Unit vectors (n, width) of texts: the mean over their tokens."""
        ids, lengths = self.pad(texts)
        real = torch.arange(ids.shape[1], device=self.device) < lengths[:, None]
        hidden = self.last_hidden(ids, self.slots_of(texts)).float()
        pooled = (hidden * real[..., None]).sum(1)  # normalising cancels the mean's divisor
        return torch.nn.functional.normalize(pooled)

    def pad(self, inputs: Sequence[Input]) -> tuple[Tensor, Tensor]:
        """(ids (b, longest), padded at the end; lengths (b,))."""
        ids = torch.zeros((len(inputs), max(map(len, inputs))), dtype=torch.long)
        for row, given in enumerate(inputs):
            ids[row, : len(given)] = torch.tensor(given.tokens)
        return ids.to(self.device), torch.tensor([len(given) for given in inputs], device=self.device)

    def slots_of(self, inputs: Sequence[Input]) -> Slots:
        """Of a batch; one number where all have the same adapter, which computes faster."""
        slots = [given.slot for given in inputs]
        return slots[0] if len(set(slots)) == 1 else torch.tensor(slots, device=self.device)


@dataclass(frozen=True)
class Input:
    """A row of a batch."""

    tokens: Sequence[int]
    """At least one."""
    slot: int = 0
    """Where its adapter is."""

    def __len__(self) -> int:
        return len(self.tokens)


class Context:
    """Prompts that were read together, and the tokens that were packed behind them since.

    Columns are cached tokens, rows prompts; a prompt has the same number of branches as the others. The last token of
    each prompt is not read yet: it is the first to be given to `step`, so that nobody needs logits of padded rows.
    """

    def __init__(self, model: LanguageModel, prompts: Sequence[Input]) -> None:
        from transformers import DynamicCache

        self._model, self._prompts = model, list(prompts)
        self.slots = model.slots_of(prompts)
        """The adapters of the rows."""
        self.cache: Any = DynamicCache(config=model.model.config)
        ids, lengths = model.pad(prompts)
        self.positions = lengths - 1
        """(b,) where the next token of each row is."""
        self.last = ids.gather(1, self.positions[:, None])
        """(b, 1) the last token of each prompt."""
        columns = max(
            1, ids.shape[1] - 1
        )  # at least one, though it be hidden, so that there is a cache to pad and join
        model.last_hidden(ids[:, :columns], self.slots, self.cache)
        padding = torch.arange(columns, device=model.device) >= self.positions[:, None]
        self.mask = torch.zeros(padding.shape, dtype=model.dtype, device=model.device)
        self.mask = self.mask.masked_fill(padding, model.hidden)[:, None]
        """(b, branches, columns): what the last token of each branch sees."""

    def step(self, ids: Tensor, parents: Tensor | None = None) -> Tensor:
        """Give every branch one more token; `parents` (b, n): which branch each token of ids (b, n) continues, by
        default its own. Returns logits (b, n, vocabulary)."""
        rows, branches = ids.shape
        if parents is not None:
            self.mask = self.mask.gather(1, parents[..., None].expand(-1, -1, self.mask.shape[2]))
        own = torch.full((branches, branches), self._model.hidden, dtype=self.mask.dtype, device=self.mask.device)
        self.mask = torch.cat([self.mask, own.fill_diagonal_(0).expand(rows, -1, -1)], -1)
        positions = self.positions[:, None].expand(-1, branches)
        logits = self._model.forward(ids, positions, self.mask, self.cache, self.slots)
        self.positions = self.positions + 1
        return logits

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all other rows, and the columns that nobody sees any more."""
        chosen = torch.tensor(rows, device=self.mask.device)
        self._prompts = [self._prompts[row] for row in rows]
        self.slots = self._model.slots_of(self._prompts)
        self.mask, self.positions = self.mask[chosen], self.positions[chosen]
        columns = (self.mask == 0).any(0).any(0).nonzero()[:, 0]
        self.mask = self.mask[..., columns]
        for layer in self.cache.layers:
            layer.keys, layer.values = (kept[chosen][:, :, columns] for kept in (layer.keys, layer.values))

    def join(self, other: Context) -> None:
        """Take over the rows of a context with as many branches."""
        columns = max(self.mask.shape[2], other.mask.shape[2])
        for context in (self, other):
            missing = columns - context.mask.shape[2]
            pad = torch.nn.functional.pad
            context.mask = pad(context.mask, (missing, 0), value=self._model.hidden)
            for layer in context.cache.layers:
                layer.keys = pad(layer.keys, (0, 0, missing, 0))
                layer.values = pad(layer.values, (0, 0, missing, 0))
        self._prompts += other._prompts
        self.slots = self._model.slots_of(self._prompts)
        self.mask = torch.cat([self.mask, other.mask])
        self.positions = torch.cat([self.positions, other.positions])
        for mine, theirs in zip(self.cache.layers, other.cache.layers, strict=True):
            mine.keys = torch.cat([mine.keys, theirs.keys])
            mine.values = torch.cat([mine.values, theirs.values])


def by_length(sequences: Sequence[Sized], rows: int) -> list[list[int]]:
    """Groups of row numbers, of similar length: at most `rows`, and no more padded tokens than one pass reads."""
    groups: list[list[int]] = []
    for row in sorted(range(len(sequences)), key=lambda row: -len(sequences[row])):
        more = len(groups[-1]) + 1 if groups else 0
        if groups and more <= rows and more * len(sequences[groups[-1][0]]) <= PREFILL_TOKENS:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups
