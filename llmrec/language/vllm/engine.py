"""`vllm:`: a language model served by vLLM, by a server that the engine starts and supervises, or by one that runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmrec import pool
from llmrec.contracts import AdapterSource, Capabilities, Message, Prompt
from llmrec.errors import EngineError, EngineNonsense, EngineRefused, EngineTimeout, NotSupported, UnknownAdapter
from llmrec.language.endpoint import Endpoint
from llmrec.language.engines import key_from_environment
from llmrec.language.schema import bounded
from llmrec.language.trie import TokenTrie
from llmrec.language.vllm import search
from llmrec.language.vllm.adapters import GRACE, Limits, Shelf, find, shapes_of
from llmrec.language.vllm.run_folder import RunFolder
from llmrec.language.vllm.server import Server
from llmrec.language.vllm.target import SERVED_NAME, Attached, Started, installed
from llmrec.language.vllm.tokens import LocalTokens, RemoteTokens, Tokens

_DECODING = {
    "n": 1,
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Said with every request: a server that runs already may have other defaults."""
_CHAT = {
    **_DECODING,
    "add_generation_prompt": True,
    "chat_template_kwargs": {"enable_thinking": False},
    "stream_options": {"include_usage": True},
}
_ONE_TOKEN = {**_DECODING, "max_tokens": 1, "temperature": 0.0, "ignore_eos": True, "return_tokens_as_token_ids": True}
_ATTACHED_BOUND = 64
"""Adapters that stay loaded in a server that runs already; how many it has room for is not known."""
_DAY = 86_400.0


class VLLMEngine:
    """Chat, structured output, scores, trie-constrained beams and adapters of one model at a vLLM server."""

    def __init__(
        self, target: str, *, timeout: float = 20.0, adapters: AdapterSource | None = None, folder: Path | None = None
    ) -> None:
        """See `contracts.EngineFactory`; `target`: `<folder or hub name>[?options]`, see `target.Started`, or
        `<base url>[?adapters=<folder>][#model]`, see `target.Attached`.

        The first call starts the server; `chat` waits for it no longer than its own timeout, other calls until it is
        there. A server that ended is started again, each time after a longer while.
        """
        self._timeout, self._source = timeout, adapters
        self._server: Server | None = None
        self._attached: Endpoint | None = None
        self._started: Started | None = None
        self._shelf: Shelf | None = None
        self._limits: Limits | None = None
        self._tokens: Tokens
        if target.startswith(("http://", "https://")):
            attached = Attached.parse(target)
            self._attached = Endpoint(attached.url, key_from_environment(), timeout, model=attached.model)
            self._tokens = RemoteTokens(self._endpoint)
            self._bound, self._published = _ATTACHED_BOUND, attached.adapters
        else:
            self._started = started = Started.parse(target)
            package = installed()

            def launch(port: int, key: str, files: RunFolder) -> tuple[list[str], dict[str, str]]:
                return started.command(package, port), started.environment(package, key, files.adapters)

            self._server = Server(launch, lambda: RunFolder(folder), timeout, SERVED_NAME)
            self._tokens = LocalTokens(started.model)
            self._bound, self._published = started.max_cpu_loras, None

    def __repr__(self) -> str:
        return f"VLLMEngine({self._attached.url if self._attached else self.name!r})"

    @property
    def name(self) -> str:
        """The model's; "" until a server that runs already has been asked which it has."""
        if self._started is not None:
            return self._started.model
        assert self._attached is not None
        return self._attached.model

    @property
    def capabilities(self) -> Capabilities:
        """Everything but vectors; adapters where there is a source of them and a way to publish them."""
        able = self._source is not None and (self._server is not None or self._published is not None)
        return Capabilities(structured=True, score=True, beam=True, adapters=able)

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
        """See `Engine.chat`. Special tokens in the messages are taken out. A caller that stops iterating, or is
        cancelled, ends the request in the server."""
        clock = asyncio.get_running_loop().time
        seconds = timeout or self._timeout
        deadline = clock() + seconds
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout_at(deadline):
                    endpoint = await self._endpoint()
                    cleaned = [Message(m.role, await self._tokens.clean(m.content)) for m in messages]
                    model = await stack.enter_async_context(self._model(endpoint, adapter))
            except TimeoutError:
                raise EngineTimeout(f"the vLLM server of {self.name} was not ready within {seconds:g} s") from None
            answer = endpoint.chat(
                cleaned,
                max_tokens=max_tokens,
                temperature=temperature,
                schema=None if schema is None else bounded(schema, max_tokens),
                model=model,
                timeout=max(1e-6, deadline - clock()),
                options=_CHAT,
            )
            await stack.enter_async_context(aclosing(answer))
            async for piece in answer:
                yield piece

    async def score(
        self, prompt: Prompt, continuations: Sequence[Prompt], *, adapter: str | None = None
    ) -> list[float]:
        """See `Engine.score`. Texts are tokenised alone: no token spans prompt and continuation."""
        endpoint = await self._endpoint()
        rows = [await self._ids(continuation, special=False) for continuation in continuations]
        if not all(rows):
            raise EngineError("a continuation has no tokens: leave it out")
        ids = await self._ids(prompt, special=True)
        async with self._asking(endpoint, adapter) as ask:
            return await search.score(ask, ids, rows)

    async def beam(
        self, prompt: Prompt, trie: TokenTrie, width: int, *, adapter: str | None = None
    ) -> list[tuple[int, float]]:
        """See `Engine.beam` and `search`."""
        endpoint = await self._endpoint()
        ids = await self._ids(prompt, special=True)
        async with self._asking(endpoint, adapter) as ask:
            return await search.beam(ask, ids, trie, width)

    async def encode(self, texts: Sequence[str], *, adapter: str | None = None) -> NDArray[np.float32]:
        """Not supported: a vLLM server either generates or embeds."""
        raise NotSupported("a vllm: engine does not embed: set embeddings to openai:<base url>#<model> instead")

    async def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """See `Engine.tokenize`."""
        return await self._tokens.encode(texts, special=False)

    @asynccontextmanager
    async def serving(self, adapter: str | None = None) -> AsyncIterator[tuple[Endpoint, str]]:
        """The server's client and the name of the model with this adapter there, which stays loaded while the context
        lasts: for requests that the contract does not know."""
        endpoint = await self._endpoint()
        async with self._model(endpoint, adapter) as model:
            yield endpoint, model

    async def aclose(self) -> None:
        """Stop the server that the engine started, or leave the one that ran without the adapters that came by here."""
        if self._server is not None:
            if self._shelf is not None:
                await self._shelf.aclose()
            await self._server.aclose()
        if self._attached is not None:
            if self._shelf is not None:
                await self._shelf.empty()
            await self._attached.aclose()

    async def _endpoint(self) -> Endpoint:
        if self._attached is not None:
            return self._attached
        assert self._server is not None
        return await self._server.endpoint()

    async def _ids(self, prompt: Prompt, *, special: bool) -> list[int]:
        if isinstance(prompt, str):
            [ids] = await self._tokens.encode([prompt], special=special)
            return ids
        return [int(token) for token in prompt]

    @asynccontextmanager
    async def _asking(self, endpoint: Endpoint, adapter: str | None) -> AsyncIterator[search.Ask]:
        """How `search` asks for log-probabilities, while the context lasts."""
        async with self._model(endpoint, adapter) as model:

            async def ask(prompts: Sequence[Sequence[int]], tokens: Sequence[int]) -> NDArray[np.float64]:
                wanted = {"logprobs": len(tokens), "logprob_token_ids": list(tokens)}
                answer = await endpoint.post(
                    "/completions", {**_ONE_TOKEN, "model": model, "prompt": prompts, **wanted}
                )
                names = [f"token_id:{token}" for token in tokens]
                try:
                    choices = sorted(answer["choices"], key=lambda choice: choice["index"])
                    tops = [choice["logprobs"]["top_logprobs"][0] for choice in choices]
                    table = np.array([[top[name] for name in names] for top in tops], np.float64)
                except (KeyError, TypeError, IndexError, ValueError):
                    raise _nonsense(endpoint) from None
                if table.shape != (len(prompts), len(tokens)):
                    raise _nonsense(endpoint)
                return table

            yield ask

    @asynccontextmanager
    async def _model(self, endpoint: Endpoint, adapter: str | None) -> AsyncIterator[str]:
        """What a request names as its model, while the context lasts."""
        if adapter is None:
            yield await endpoint.first_model()
            return
        if not self.capabilities.adapters:
            raise NotSupported(
                f"the engine of {self.name or endpoint.url} serves no adapters: it has no source of them, or its "
                "server no folder (vllm:http://host:port?adapters=<folder>)"
            )
        self._limits = self._limits or await self._find_limits(endpoint)
        folder = await pool.run(find, self._source, adapter, self._limits)
        try:
            shelf = self._shelf or await self._make_shelf()
            async with shelf.using(folder) as name:
                yield name
        except EngineRefused as error:
            if error.status == 404 or "could not be loaded" in error.reason:
                raise UnknownAdapter(
                    f"the adapter {adapter!r} does not fit the model {self.name}: the server cannot load it"
                ) from None
            raise

    async def _find_limits(self, endpoint: Endpoint) -> Limits:
        """What adapters the server takes."""
        base: str | None
        if self._started is not None:
            base, rank, modules = self._started.model, self._started.max_lora_rank, self._started.modules
        else:
            listed = {model["id"]: model for model in await endpoint.models()}
            base, rank, modules = listed.get(await endpoint.first_model(), {}).get("root"), None, None
        return Limits(base, rank, modules, await pool.run(_shapes, base))

    async def _make_shelf(self) -> Shelf:
        folder, grace = self._published, _DAY
        if self._server is not None:
            assert self._server.files is not None
            folder, grace = self._server.files.adapters, GRACE
        assert folder is not None
        self._shelf = shelf = Shelf(folder, self._bound, self._unload, grace)
        await pool.run(shelf.clear_up)
        return shelf

    async def _unload(self, name: str) -> None:
        await (await self._endpoint()).post("/unload_lora_adapter", {"lora_name": name})


def _shapes(model: str | None) -> dict[str, tuple[int, ...]]:
    """Of a model's weights where they are here, not on a hub or another machine."""
    try:
        return shapes_of(*Path(model).glob("*.safetensors")) if model else {}
    except (OSError, ValueError):
        return {}


def _nonsense(endpoint: Endpoint) -> EngineNonsense:
    return EngineNonsense(f"the server at {endpoint.url} did not send the log-probabilities that it was asked for")
