"""Any OpenAI-compatible endpoint as an `Engine`: vLLM, Ray Serve, llama.cpp, hosted ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmrec.contracts import AdapterSource, Capabilities, Message, Prompt
from llmrec.errors import NotSupported, UserError
from llmrec.language.endpoint import RETRIES, Endpoint
from llmrec.language.engines import key_from_environment
from llmrec.language.trie import TokenTrie


class OpenAIEngine:
    """Chat at an OpenAI-compatible endpoint, streamed. One client for all calls; close it with `aclose`."""

    def __init__(
        self,
        target: str,
        *,
        timeout: float = 20.0,
        adapters: AdapterSource | None = None,
        folder: Path | None = None,
        retries: int = RETRIES,
    ) -> None:
        """See `contracts.EngineFactory`; `target`: `<base url>[#model]`."""
        url, _, model = target.partition("#")
        if not url.startswith(("http://", "https://")):
            raise UserError(f"cannot read the llm address {url!r}: write openai:https://host/v1#model")
        self.url = url
        self._endpoint = Endpoint(url, key_from_environment(), timeout, model=model, retries=retries)

    def __repr__(self) -> str:
        return f"OpenAIEngine({self.url!r}, model={self.name!r})"

    @property
    def name(self) -> str:
        """The model's; "" until the endpoint has been asked which it has."""
        return self._endpoint.model

    @property
    def capabilities(self) -> Capabilities:
        """Chat, with JSON schemas."""
        return Capabilities(chat=True, structured=True)

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        schema: Mapping[str, Any] | None = None,
        adapter: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  (the contract's: it covers a stream, not one await)
    ) -> AsyncIterator[str]:
        """See `Engine.chat` and `Endpoint.chat`."""
        if adapter is not None:
            raise NotSupported("an openai: engine serves no adapters: name the adapted model in the URI instead")
        answer = self._endpoint.chat(
            messages, max_tokens=max_tokens, temperature=temperature, schema=schema, timeout=timeout
        )
        async with aclosing(answer):
            async for piece in answer:
                yield piece

    async def score(
        self, prompt: Prompt, continuations: Sequence[Prompt], *, adapter: str | None = None
    ) -> list[float]:
        """Not supported: chat endpoints do not tell the probability of given text."""
        raise NotSupported("an openai: engine cannot score given texts: use a transformers: or vllm: engine")

    async def beam(
        self, prompt: Prompt, trie: TokenTrie, width: int, *, adapter: str | None = None
    ) -> list[tuple[int, float]]:
        """Not supported: chat endpoints have no constrained beam search."""
        raise NotSupported("an openai: engine has no constrained beam search: use a transformers: or vllm: engine")

    async def encode(self, texts: Sequence[str], *, adapter: str | None = None) -> NDArray[np.float32]:
        """Not supported: embeddings have a setting of their own."""
        raise NotSupported("an openai: engine does not embed: set embeddings to openai:<base url>#<model> instead")

    async def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Not supported: chat endpoints keep their tokenizer to themselves."""
        raise NotSupported("an openai: engine does not tell tokens: use a transformers: or vllm: engine")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._endpoint.aclose()
