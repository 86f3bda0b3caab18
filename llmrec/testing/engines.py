"""The conformance kit of engines.

    from llmrec.testing.engines import SameWeightsKit
    from llmrec.testing.models import TinyModel

    class TestMine(SameWeightsKit):
        @pytest.fixture
        async def engine(self, tiny: TinyModel, source: Folders) -> AsyncIterator[Engine]:
            engine = MyEngine(str(tiny.folder), adapters=source)
            yield engine
            await engine.aclose()

`EngineKit` is what every engine must do. `SameWeightsKit` is for engines that serve the float32 weights of a given tiny
model: what they say is compared with a plain forward pass. What an engine's capabilities lack has to raise
`NotSupported`. Asynchronous tests: they need pytest-asyncio in auto mode.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from llmrec.contracts import Engine, Message
from llmrec.errors import EngineError, EngineTimeout, NotSupported, UnknownAdapter
from llmrec.language.trie import TokenTrie
from llmrec.testing.models import Folders, TinyModel, adapter_for_another_base, make_tiny_model

ASK = [Message("system", "Answer in one word."), Message("user", "What colour is the sky?")]
CHATS = [ASK, [Message("user", "ship")], [Message("user", "One. Two! Three?"), Message("assistant", "4"), ASK[1]]]
TEXTS = ["red", "green", "blue", "a deep blue sea", "b"]

_SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}


async def chat(engine: Engine, messages: Sequence[Message] = ASK, max_tokens: int = 16, **options: object) -> str:
    """The whole answer."""
    return "".join([piece async for piece in engine.chat(messages, max_tokens=max_tokens, **options)])  # type: ignore[arg-type]


class EngineKit:
    """What every engine has to do, whatever model it serves."""

    @pytest.fixture
    async def engine(self) -> AsyncIterator[Engine]:
        """The engine under test; override."""
        raise NotImplementedError("override the engine fixture")
        yield

    async def test_is_an_engine(self, engine: Engine) -> None:
        """It has the contract's methods, and says what it can do."""
        assert isinstance(engine, Engine)
        assert engine.capabilities.chat

    async def test_chat_streams_text(self, engine: Engine) -> None:
        """Chat yields pieces of text, not nothing."""
        pieces = [piece async for piece in engine.chat(ASK, max_tokens=16)]
        assert all(isinstance(piece, str) for piece in pieces)
        assert len(pieces) > 1 and "".join(pieces).strip()

    async def test_structured_output_satisfies_its_schema(self, engine: Engine) -> None:
        """With a schema the whole is JSON that satisfies it."""
        if not engine.capabilities.structured:
            with pytest.raises(NotSupported):
                await chat(engine, schema=_SCHEMA)
            return
        jsonschema.validate(json.loads(await chat(engine, schema=_SCHEMA, max_tokens=200)), _SCHEMA)

    async def test_a_timeout_is_an_engine_timeout(self, engine: Engine) -> None:
        """Too little time raises `EngineTimeout`, nothing else."""
        with pytest.raises(EngineTimeout):
            await chat(engine, timeout=1e-6)
        assert await chat(engine)

    async def test_a_caller_may_leave(self, engine: Engine) -> None:
        """A stream that is closed early, or cancelled, leaves the engine usable."""
        stream = engine.chat(ASK, max_tokens=64)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

        async def read() -> None:
            async for _ in engine.chat(ASK, max_tokens=64):
                await asyncio.sleep(10)

        task = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await chat(engine)

    async def test_many_callers_may_leave_at_once(self, engine: Engine) -> None:
        """Whatever kind of call is cancelled, the others get their answers, and nothing waits for the cancelled."""
        able = engine.capabilities

        async def call(number: int) -> object:
            if able.score and number % 4 == 1:
                return await engine.score(f"text {number}", TEXTS)
            if able.beam and number % 4 == 2:
                return await engine.beam(f"text {number}", TokenTrie([[5, 6], [7, 8]]), 2)
            if able.encode and number % 4 == 3:
                return await engine.encode([f"text {number}"])
            return await chat(engine, max_tokens=32)

        await chat(engine)
        tasks = [asyncio.create_task(call(number)) for number in range(24)]
        await asyncio.sleep(0.02)
        for task in tasks[::2] + tasks[1::4]:
            task.cancel()
        ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 120)
        for task, result in zip(tasks, ended, strict=True):
            assert task.cancelled() or not isinstance(result, BaseException), result

    async def test_scores_are_sums_of_log_probabilities(self, engine: Engine) -> None:
        """One finite number of at most 0 for each continuation, the same alone as among others."""
        if not engine.capabilities.score:
            with pytest.raises(NotSupported):
                await engine.score("a", ["b"])
            return
        together = await engine.score("The sky is", TEXTS)
        assert len(together) == len(TEXTS)
        assert all(math.isfinite(score) and score <= 0 for score in together)
        alone = [(await engine.score("The sky is", [text]))[0] for text in TEXTS]
        np.testing.assert_allclose(together, alone, rtol=0.02, atol=0.1)
        assert await engine.score("The sky is", []) == []

    async def test_text_and_its_tokens_are_the_same(self, engine: Engine) -> None:
        """`tokenize` tells what `score` makes of a continuation that is given as text."""
        if not (engine.capabilities.score or engine.capabilities.beam):
            with pytest.raises(NotSupported):
                await engine.tokenize(["a"])
            return
        tokens = await engine.tokenize(TEXTS)
        assert len(tokens) == len(TEXTS) and all(row and all(isinstance(t, int) for t in row) for row in tokens)
        if engine.capabilities.score:
            by_text, by_tokens = await engine.score("It is", TEXTS), await engine.score("It is", tokens)
            np.testing.assert_allclose(by_text, by_tokens, rtol=0.02, atol=0.1)

    async def test_beams_stay_in_the_trie(self, engine: Engine) -> None:
        """Valid numbers, each once, best first, as many as are asked for or there are."""
        if not engine.capabilities.beam:
            with pytest.raises(NotSupported):
                await engine.beam("a", TokenTrie([[1]]), 1)
            return
        rng = np.random.default_rng(0)
        sequences = np.unique(rng.integers(4, 40, (150, 3)), axis=0)
        trie = TokenTrie(sequences)
        for width in (1, 7, 40, 500):
            found = await engine.beam("Something about the sky:", trie, width)
            assert len(found) == min(width, len(sequences))
            _check_beams(found, len(sequences))

    async def test_beams_on_the_smallest_tries(self, engine: Engine) -> None:
        """None, one, one that is the prefix of another, ragged ones."""
        if not engine.capabilities.beam:
            return
        assert await engine.beam("a b", TokenTrie([]), 4) == []
        [(number, score)] = await engine.beam("a b", TokenTrie([[5, 6, 7]]), 4)
        assert number == 0 and math.isfinite(score)
        nested = [[5, 6, 7], [5], [5, 6], [9, 9]]
        found = await engine.beam("a b", TokenTrie(nested), 10)
        _check_beams(found, 4)
        scores = dict(found)
        assert sorted(scores) == [0, 1, 2, 3]
        assert scores[1] >= scores[2] >= scores[0]  # a prefix is never less probable than what it begins
        [(_, best)] = await engine.beam("a b", TokenTrie(nested), 1)
        assert best == pytest.approx(found[0][1], abs=0.1)

    async def test_beams_and_scores_agree(self, engine: Engine) -> None:
        """The log-probability that `beam` gives is that of `score`."""
        if not (engine.capabilities.beam and engine.capabilities.score):
            return
        sequences = await engine.tokenize(TEXTS)
        found = dict(await engine.beam("The sky is", TokenTrie(sequences), 8))
        scores = await engine.score("The sky is", sequences)
        np.testing.assert_allclose([found[number] for number in range(len(TEXTS))], scores, rtol=0.02, atol=0.1)

    async def test_vectors_have_length_one(self, engine: Engine) -> None:
        """(n, d), whatever the texts, the same alone as among others."""
        if not engine.capabilities.encode:
            with pytest.raises(NotSupported):
                await engine.encode(["a"])
            return
        vectors = await engine.encode(["", "a", "the sea", "word " * 50])
        assert vectors.shape[0] == 4 and vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
        alone = await engine.encode(["the sea"])
        assert float(alone[0] @ vectors[2]) > 0.99
        assert (await engine.encode([])).shape[0] == 0

    async def test_an_unknown_adapter_is_said(self, engine: Engine) -> None:
        """`UnknownAdapter` with its name, or `NotSupported` where there are none at all."""
        able = engine.capabilities
        error = UnknownAdapter if able.adapters else NotSupported
        with pytest.raises(error, match="nobody" if able.adapters else None):
            await chat(engine, adapter="user:nobody")
        if able.score:
            with pytest.raises(error):
                await engine.score("a", ["b"], adapter="user:nobody")
        if able.beam:
            with pytest.raises(error):
                await engine.beam("a", TokenTrie([[5]]), 1, adapter="user:nobody")
        assert await chat(engine)

    async def test_errors_are_of_one_family(self, engine: Engine) -> None:
        """After `aclose`, which may be called twice, a call fails with an `EngineError` or works; nothing else."""
        await engine.aclose()
        await engine.aclose()
        with suppress(EngineError):
            await chat(engine, max_tokens=4)


class SameWeightsKit(EngineKit):
    """What an engine has to do that serves the tiny model, in float32."""

    margin = 1e-3
    """Where the two most probable tokens are nearer than this, either may be taken."""
    tolerance = 1e-3
    """Of log-probabilities, for each token."""

    @pytest.fixture(scope="session")
    def tiny(self, tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
        """The model that the engine has to serve."""
        return make_tiny_model(tmp_path_factory.mktemp("tiny"))

    @pytest.fixture
    def source(self, tiny: TinyModel) -> Folders:
        """Where the engine has to look for adapters: `warm`, `cold`, and what tests add."""
        return Folders(dict(tiny.adapters))

    async def test_greedy_decoding_is_the_models(self, engine: Engine, tiny: TinyModel) -> None:
        """Each token is the most probable one, wherever the two most probable differ by more than the margin."""
        for messages in CHATS:
            self.check_greedy(tiny, messages, await chat(engine, messages, max_tokens=48), 48)

    async def test_greedy_decoding_together(self, engine: Engine, tiny: TinyModel) -> None:
        """The same when several chats of different lengths run at once."""
        texts = await asyncio.gather(*(chat(engine, CHATS[n % 3], max_tokens=8 + 4 * n) for n in range(8)))
        for n, text in enumerate(texts):
            self.check_greedy(tiny, CHATS[n % 3], text, 8 + 4 * n)

    async def test_scores_are_the_models(self, engine: Engine, tiny: TinyModel) -> None:
        """Of texts and of tokens, long and short, in calls that run at once."""
        if not engine.capabilities.score:
            return
        tokens = tiny.reference.tokens
        prompts = ["The sky is", "x", "A much longer prompt about ships, storms and the sea. " * 3]
        found = await asyncio.gather(
            *(engine.score(prompt, TEXTS) for prompt in prompts),
            *(engine.score(tokens(prompt), [tokens(text) for text in TEXTS[::-1]]) for prompt in prompts),
        )
        for n, scores in enumerate(found):
            texts = TEXTS if n < 3 else TEXTS[::-1]
            for text, score in zip(texts, scores, strict=True):
                expected = tiny.reference.score(tokens(prompts[n % 3]), tokens(text))
                assert score == pytest.approx(expected, abs=self.tolerance * len(text)), (prompts[n % 3], text)

    async def test_beams_are_the_models(self, engine: Engine, tiny: TinyModel) -> None:
        """Every log-probability is the model's, and a search that is wide enough finds the very best."""
        if not engine.capabilities.beam:
            return
        rng = np.random.default_rng(1)
        sequences = [row[: 2 + n % 2] for n, row in enumerate(np.unique(rng.integers(4, 12, (60, 3)), axis=0).tolist())]
        sequences = [list(s) for s in dict.fromkeys(map(tuple, sequences))]
        trie = TokenTrie(sequences)
        prompts = [tiny.reference.tokens(text) for text in ("sea", "a ship and a storm", "blue? " * 12)]
        for prompt, found in zip(
            prompts, await asyncio.gather(*(engine.beam(p, trie, len(sequences)) for p in prompts)), strict=True
        ):
            expected = np.array([tiny.reference.score(prompt, sequence) for sequence in sequences])
            assert len(found) == len(sequences)
            _check_beams(found, len(sequences))
            for number, score in found:
                assert score == pytest.approx(expected[number], abs=3 * self.tolerance)
            [(best, score)] = (await engine.beam(prompt, trie, 16))[:1]
            assert expected[best] >= expected.max() - 3 * self.tolerance

    async def test_adapters_change_what_is_said(self, engine: Engine, tiny: TinyModel) -> None:
        """Each its own way, exactly as its weights say, also when they run beside each other and the base."""
        if not engine.capabilities.adapters:
            return
        names = [None, "warm", "cold"]
        texts = await asyncio.gather(*(chat(engine, ASK, max_tokens=24, adapter=name) for name in names * 2))
        assert texts[:3] == texts[3:]
        assert len(set(texts)) == 3
        for name, text in zip(names, texts, strict=False):
            self.check_greedy(tiny, ASK, text, 24, name)
        if engine.capabilities.score:
            tokens = tiny.reference.tokens
            found = await asyncio.gather(*(engine.score("The sky is", TEXTS, adapter=name) for name in names))
            for name, scores in zip(names, found, strict=True):
                for text, score in zip(TEXTS, scores, strict=True):
                    expected = tiny.reference.score(tokens("The sky is"), tokens(text), name)
                    assert score == pytest.approx(expected, abs=self.tolerance * len(text)), (name, text)

    async def test_the_base_comes_back(self, engine: Engine, tiny: TinyModel, source: Folders) -> None:
        """Adapters that were used, removed and replaced leave nothing behind in the base model."""
        if not engine.capabilities.adapters:
            return
        before = await chat(engine, ASK, max_tokens=24)
        first = await chat(engine, ASK, max_tokens=24, adapter="warm")
        source.folders["warm"] = tiny.adapters["cold"]  # a new version is another folder
        second = await chat(engine, ASK, max_tokens=24, adapter="warm")
        assert first != second == await chat(engine, ASK, max_tokens=24, adapter="cold")
        del source.folders["warm"]
        with pytest.raises(UnknownAdapter, match="warm"):
            await chat(engine, ASK, adapter="warm")
        assert await chat(engine, ASK, max_tokens=24) == before
        self.check_greedy(tiny, ASK, before, 24)

    async def test_adapters_that_do_not_fit_are_refused(
        self, engine: Engine, tiny: TinyModel, source: Folders, tmp_path: Path
    ) -> None:
        """One of another base model, and a damaged one: an error of the family, and the engine goes on."""
        if not engine.capabilities.adapters:
            return
        folder = tmp_path
        source.folders["foreign"] = adapter_for_another_base(folder / "foreign", tiny.adapters["warm"])
        damaged = adapter_for_another_base(folder / "damaged", tiny.adapters["warm"])
        (damaged / "adapter_config.json").write_bytes((tiny.adapters["warm"] / "adapter_config.json").read_bytes())
        weights = damaged / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
        source.folders["damaged"] = damaged
        before = await chat(engine)
        for name in ("foreign", "damaged"):
            with pytest.raises(EngineError):
                await chat(engine, adapter=name)
        assert await chat(engine) == before
        assert await chat(engine, adapter="warm") != before

    def check_greedy(
        self, tiny: TinyModel, messages: Sequence[Message], text: str, max_tokens: int, adapter: str | None = None
    ) -> None:
        """Whether an answer is what greedy decoding of the tiny model gives."""
        prompt, answer = tiny.reference.prompt(messages), tiny.reference.tokens(text)
        assert len(answer) == max_tokens  # the tiny model never ends by itself
        rows = tiny.reference.logprobs([*prompt, *answer], adapter)[len(prompt) - 1 : -1]
        best = np.sort(rows, axis=1)
        for row, token, (second, first) in zip(rows, answer, best[:, -2:], strict=True):
            if first - second > self.margin:
                assert row.argmax() == token


def _check_beams(found: Sequence[tuple[int, float]], sequences: int) -> None:
    numbers = [number for number, _ in found]
    assert len(set(numbers)) == len(numbers) and all(0 <= number < sequences for number in numbers)
    assert all(first >= second for (_, first), (_, second) in pairwise(found))
    assert all(math.isfinite(score) and score <= 0 for _, score in found)
