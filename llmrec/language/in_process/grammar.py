"""Answers that follow a JSON schema: before every token, which tokens may come.

By llguidance: it reads almost all of JSON schema and needs nothing else (xgrammar, as vLLM has it, brings a compiler).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from llguidance import LLMatcher
from llguidance.hf import from_tokenizer
from torch import Tensor

from llmrec.errors import EngineRefused, NotSupported
from llmrec.language.schema import bounded

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

    from llmrec.language.in_process.model import LanguageModel

_STYLE: JsonCompileOptions = {"whitespace_flexible": False}
"""A weak model would write blanks for ever."""
_PER_TOKEN = 16
"""Characters, or items, that one token may hold."""
_LARGEST = 16_000
"""Characters of a schema. In a larger one, references in a row can overflow the compiler's stack: the process ends."""


class Grammars:
    """Of one model, whose vocabulary is read once."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        try:
            stops = sorted(stop for stop in model.stops if stop < model.vocabulary)
            self._tokenizer = from_tokenizer(model.tokenizer, model.vocabulary, stops or None)
        except (ValueError, RuntimeError) as error:
            raise NotSupported(
                f"the tokenizer of {model.name} cannot be led through a schema ({error}): serve it with vllm: instead"
            ) from None

    def of(self, schema: Mapping[str, Any], max_tokens: int) -> Grammar:
        """At the beginning of an answer of so many tokens; `EngineRefused` for a schema that cannot be followed."""
        max_tokens = min(max_tokens, self._model.context)
        try:
            text = json.dumps(bounded(_tame(schema, max_tokens), max_tokens))
            if len(text) > _LARGEST:
                raise ValueError(f"it has {len(text):,} characters, more than {_LARGEST:,}")
            compiled = LLMatcher.grammar_from_json_schema(text, overrides=_STYLE)
            matcher = LLMatcher(self._tokenizer, compiled, log_level=0)
            reason = matcher.get_error() if matcher.is_error() else ""
        except (ValueError, TypeError, RecursionError) as error:
            reason = str(error)
        if reason:
            reason = reason.splitlines()[0][:200]
            raise EngineRefused(f"the JSON schema cannot be followed by {self._model.name}: {reason}", reason=reason)
        return Grammar(matcher, self._model.vocabulary)


class Grammar:
    """Of one answer, as far as it has been written."""

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher, self._vocabulary = matcher, vocabulary

    def forbidden(self) -> Tensor:
        """(vocabulary,) bool: tokens that may not come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, count=self._vocabulary, bitorder="little")
        return torch.from_numpy(allowed == 0)

    def take(self, token: int) -> bool:
        """Add a token that was not forbidden; whether the answer can go on, which it cannot after a failure either."""
        self._matcher.consume_token(token)
        return not self._matcher.is_stopped()


def _tame(schema: Any, max_tokens: int) -> Any:
    """The schema without what keeps the compiler for minutes or takes all memory; `ValueError` where that cannot be."""
    if isinstance(schema, list):
        return [_tame(part, max_tokens) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    if not isinstance(schema.get("multipleOf", {}), Mapping):  # a property may have this name
        raise ValueError("multipleOf is not supported")
    # Everything is walked, values that are no schemas (`schema.bounded` leaves them) too: a reference may point there.
    tamed = {key: _tame(part, max_tokens) for key, part in schema.items()}
    for least, most in (("minItems", "maxItems"), ("minLength", "maxLength"), ("minProperties", "maxProperties")):
        if isinstance(least_number := schema.get(least, 0), int) and least_number > _PER_TOKEN * max_tokens:
            raise ValueError(f"{least} {least_number:,} takes more than the {max_tokens:,} tokens that there are")
        if isinstance(most_number := schema.get(most), int):
            tamed[most] = min(most_number, _PER_TOKEN * max_tokens)
    return tamed
