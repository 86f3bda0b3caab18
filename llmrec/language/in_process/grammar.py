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

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

    from llmrec.language.in_process.model import LanguageModel

_STYLE: JsonCompileOptions = {"whitespace_flexible": False}
"""A weak model would write blanks for ever."""


class Grammars:
    """Of one model, whose vocabulary is read once."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        try:
            self._tokenizer = from_tokenizer(model.tokenizer, model.vocabulary, sorted(model.stops) or None)
        except (ValueError, RuntimeError) as error:
            raise NotSupported(
                f"the tokenizer of {model.name} cannot be led through a schema ({error}): serve it with vllm: instead"
            ) from None

    def of(self, schema: Mapping[str, Any]) -> Grammar:
        """At the beginning of an answer; `EngineRefused` for a schema that cannot be followed."""
        try:
            compiled = LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults=_STYLE)
            matcher = LLMatcher(self._tokenizer, compiled)
            reason = matcher.get_error() if matcher.is_error() else ""
        except (ValueError, RecursionError) as error:
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
