"""Text to tokens, as the server's model has them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from llmrec import pool
from llmrec.errors import EngineError, EngineNonsense
from llmrec.language.endpoint import Endpoint

_MARKER = re.compile(r"<\|[^<>|\s]{1,64}\|>|</?s>|\[/?INST\]")
_AT_ONCE = 16


class Tokens(Protocol):
    """What an engine needs of a tokenizer."""

    async def encode(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        """Token ids of each text; `special`: with what the tokenizer puts around a text, as prompts need it."""
        ...

    async def clean(self, text: str) -> str:
        """The text without special tokens: what people wrote must not end their turn and begin another."""
        ...


class LocalTokens:
    """By the tokenizer of a model that is here."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._tokenizer: Any = None
        self._lock = asyncio.Lock()

    async def encode(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        """See `Tokens`."""
        tokenizer = await self._load()
        if not texts:
            return []
        return (await pool.run(tokenizer, list(texts), add_special_tokens=special))["input_ids"]

    async def clean(self, text: str) -> str:
        """See `Tokens`."""
        for token in (await self._load()).all_special_tokens:
            text = text.replace(token, "")
        return text

    async def _load(self) -> Any:
        async with self._lock:
            if self._tokenizer is None:
                try:
                    self._tokenizer = await pool.run(_read, self._model)
                except Exception as error:  # of many kinds, down to those of the files' own formats
                    raise EngineError(f"the tokenizer of {self._model} cannot be read ({error})"[:300]) from None
        return self._tokenizer


class RemoteTokens:
    """By the server, one request for each text."""

    def __init__(self, endpoint: Callable[[], Awaitable[Endpoint]]) -> None:
        self._endpoint = endpoint

    async def encode(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        """See `Tokens`."""
        endpoint = await self._endpoint()
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(text: str) -> list[int]:
            async with places:
                answer = await endpoint.post(
                    f"{endpoint.root}/tokenize",
                    {"model": await endpoint.first_model(), "prompt": text, "add_special_tokens": special},
                )
            try:
                return [int(token) for token in answer["tokens"]]
            except (KeyError, TypeError, ValueError):
                raise EngineNonsense(f"the server at {endpoint.url} sent no tokens") from None

        return list(await asyncio.gather(*map(one, texts)))

    async def clean(self, text: str) -> str:
        """See `Tokens`; the server does not tell its special tokens, so the common forms go."""
        return _MARKER.sub("", text)


def _read(model: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model, trust_remote_code=False)
