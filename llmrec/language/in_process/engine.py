"""`transformers:`: a language model in this process."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llmrec.contracts import AdapterSource, Capabilities, Message, Prompt
from llmrec.errors import EngineError, EngineTimeout, NotSupported
from llmrec.language.in_process.jobs import Chat, Job, Run
from llmrec.language.in_process.target import Target
from llmrec.language.in_process.worker import Worker
from llmrec.language.schema import checked
from llmrec.language.trie import TokenTrie

if TYPE_CHECKING:
    from llmrec.language.in_process.model import Input, LanguageModel


class TransformersEngine:
    """A causal language model of the transformers library, computed by one thread of its own.

    It is loaded at the first call. Calls of one kind that wait at the same time run as one batch. Every parameter of
    decoding is set here; the model's own generation settings are not read, but for the tokens that end an answer.
    """

    def __init__(
        self, target: str, *, timeout: float = 20.0, adapters: AdapterSource | None = None, folder: Path | None = None
    ) -> None:
        """See `contracts.EngineFactory`; `target`: `<folder or hub name>[?dtype=float32|bfloat16]`, by default bfloat16
        where the processor multiplies it. `timeout` counts waiting and, at the first call, loading."""
        self._target = Target.parse(target)
        self.name = self._target.model
        self._timeout = timeout
        self._adapters = adapters
        self._worker = Worker(self._target, adapters)
        weakref.finalize(self, self._worker.close).atexit = False

    def __repr__(self) -> str:
        return f"TransformersEngine({self.name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """Everything; adapters where a source of them was given."""
        able = self._adapters is not None
        return Capabilities(structured=True, score=True, beam=True, encode=True, adapters=able)

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
        cancelled, frees its place at the next token."""
        if max_tokens < 1:
            raise EngineError(f"an answer of {max_tokens} tokens is none: ask for at least one")
        if not math.isfinite(temperature):
            raise EngineError(f"a temperature of {temperature} is none: give a number from 0")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (timeout or self._timeout)
        pieces: asyncio.Queue[str | EngineError | None] = asyncio.Queue()

        def send(piece: str | EngineError | None) -> None:
            try:
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
            except RuntimeError:  # the loop was closed while the answer was being written
                chat.left = True

        chat = Chat(max_tokens, temperature, send)

        def prepare(model: LanguageModel) -> Chat:
            chat.prompt = model.chat_prompt(messages)
            if schema is not None:
                chat.grammar = model.grammars.of(schema, max_tokens)
            return chat

        try:
            await self._run("chat", adapter, prepare, None, deadline)
            whole = ""
            while True:
                # a deadline for each piece, because one around a yield would cancel the caller's own work
                try:
                    async with asyncio.timeout_at(deadline):
                        piece = await pieces.get()
                except TimeoutError:
                    raise self._late() from None
                if isinstance(piece, EngineError):
                    raise piece
                if piece is None:
                    if schema is not None:
                        yield checked(whole, schema)
                    yield chat.ending()
                    break
                if schema is None:
                    yield piece
                else:
                    whole += piece
        finally:
            chat.left = True

    async def score(
        self, prompt: Prompt, continuations: Sequence[Prompt], *, adapter: str | None = None
    ) -> list[float]:
        """See `Engine.score`. Texts are tokenised alone: no token spans prompt and continuation."""

        def prepare(model: LanguageModel) -> tuple[list[int], list[list[int]]]:
            tokens = [model.continuation(continuation) for continuation in continuations]
            return model.prompt(prompt, room=max(map(len, tokens), default=0)), tokens

        return await self._run("score", adapter, prepare, _score)

    async def beam(
        self, prompt: Prompt, trie: TokenTrie, width: int, *, adapter: str | None = None
    ) -> list[tuple[int, float]]:
        """See `Engine.beam`. Calls with the same trie and width that wait at the same time are one batch."""

        def prepare(model: LanguageModel) -> list[int]:
            if trie.largest >= model.vocabulary:
                raise EngineError(f"the trie has a token {trie.largest}, but {self.name} has only {model.vocabulary}")
            return model.prompt(prompt, room=trie.depth)

        def run(model: LanguageModel, prompts: list[list[int]], slots: list[int]) -> list[list[tuple[int, float]]]:
            from llmrec.language.in_process.beams import beam_search

            return _in_groups(model, _inputs(prompts, slots), lambda some: beam_search(model, some, trie, width), width)

        return await self._run(("beam", trie, width), adapter, prepare, run)

    async def encode(self, texts: Sequence[str], *, adapter: str | None = None) -> NDArray[np.float32]:
        """See `Engine.encode`: the mean of the last layer over a text's tokens, of which as many count as the model
        reads."""
        return await self._run("encode", adapter, lambda model: [model.whole(text) for text in texts], _encode)

    async def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """See `Engine.tokenize`."""
        return await self._run("tokenize", None, lambda model: [model.tokens(text) for text in texts], _as_they_are)

    async def aclose(self) -> None:
        """End the thread and free the model; what still runs fails with an `EngineError`."""
        self._worker.close()
        await asyncio.to_thread(self._worker.join)

    async def _run(
        self,
        kind: Hashable,
        adapter: str | None,
        prepare: Callable[[LanguageModel], Any],
        run: Run | None,
        deadline: float | None = None,
    ) -> Any:
        if adapter is not None and self._adapters is None:
            raise NotSupported(f"the engine of {self.name} was opened without a source of adapters")
        job = Job(kind, adapter, prepare, run)
        self._worker.submit(job)
        try:
            async with asyncio.timeout_at(deadline or asyncio.get_running_loop().time() + self._timeout):
                return await asyncio.wrap_future(job.result)
        except TimeoutError:
            raise self._late() from None

    def _late(self) -> EngineTimeout:
        return EngineTimeout(f"the language model {self.name} did not answer in time: it is slow, loading or busy")


def _score(model: LanguageModel, given: list[tuple[list[int], list[list[int]]]], slots: list[int]) -> list[list[float]]:
    from llmrec.language.in_process.scores import score

    prompts = _inputs([prompt for prompt, _ in given], slots)
    return score(model, prompts, [continuations for _, continuations in given])


def _encode(model: LanguageModel, given: list[list[list[int]]], slots: list[int]) -> list[NDArray[np.float32]]:
    counts = [len(group) for group in given]
    texts = _inputs([text for group in given for text in group], np.repeat(slots, counts).tolist())
    rows = _in_groups(model, texts, lambda some: model.encode(some).cpu().numpy())
    vectors = np.array(rows, np.float32).reshape(len(texts), model.width)
    return np.split(vectors, np.cumsum(counts)[:-1])


def _as_they_are(model: LanguageModel, given: list[Any], slots: list[int]) -> list[Any]:
    return given


def _inputs(sequences: list[list[int]], slots: list[int]) -> list[Input]:
    from llmrec.language.in_process.model import Input

    return [Input(tokens, slot) for tokens, slot in zip(sequences, slots, strict=True)]


def _in_groups(
    model: LanguageModel, inputs: list[Input], act: Callable[[list[Input]], Any], branches: int = 1
) -> list[Any]:
    """A result for each input, in their order, by calls with as many of similar length as memory takes."""
    from llmrec.language.in_process.model import by_length

    results: list[Any] = [None] * len(inputs)
    for rows in by_length(inputs, model.rows // branches):
        for row, result in zip(rows, act([inputs[row] for row in rows]), strict=True):
            results[row] = result
    return results
