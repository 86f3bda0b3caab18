"""When a language model is asked, and when it is left alone; time is the test's own."""

from __future__ import annotations

import asyncio

import pytest

from llmrec.agents.conversation.understanding.breaker import FIRST_REST, LONGEST_REST, Breaker
from llmrec.errors import EngineError, EngineNonsense, EngineTimeout, EngineUnavailable


class Model:
    """Answers, or fails, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: EngineError | None = None
        self.holds: asyncio.Event | None = None

    async def __call__(self) -> str:
        self.asked += 1
        if self.holds is not None:
            await self.holds.wait()
        if self.error is not None:
            raise self.error
        return "yes"


@pytest.fixture
def model() -> Model:
    return Model()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


async def ask(breaker: Breaker, model: Model, seconds: float = 5.0) -> str:
    try:
        return await breaker.ask(model, seconds)
    except EngineError as error:
        return str(error)


async def test_a_model_that_is_down_is_left_alone_for_longer_and_longer(
    breaker: Breaker, model: Model, clock: Clock
) -> None:
    assert breaker.state == "not asked yet"
    model.error = EngineUnavailable("out of reach")
    rests = []
    for asked in range(1, 7):
        assert await ask(breaker, model) == "out of reach"
        assert model.asked == asked
        begun = clock.now
        while (said := await ask(breaker, model)).startswith("the language model is left alone"):
            assert said.endswith("because out of reach") and model.asked == asked
            clock.now += 1
            if clock.now - begun > 1000:
                raise AssertionError("it is never asked again")
            if clock.now - begun in (FIRST_REST * 2 ** (asked - 1), LONGEST_REST):
                break
        rests.append(clock.now - begun)
    assert rests == [5, 10, 20, 40, 60, 60]
    assert breaker.state == "failing: out of reach"


async def test_one_that_answers_again_is_asked_again(breaker: Breaker, model: Model, clock: Clock) -> None:
    model.error = EngineUnavailable("out of reach")
    for _ in range(4):
        await ask(breaker, model)
        clock.now += LONGEST_REST
    model.error = None
    assert [await ask(breaker, model) for _ in range(2)] == ["yes", "yes"]
    assert breaker.state == "ready"
    model.error = EngineTimeout("too slow")
    await ask(breaker, model)
    clock.now += FIRST_REST
    model.error = None
    assert await ask(breaker, model) == "yes", "the rests begin with the first again"


async def test_after_a_rest_one_tries_for_all(breaker: Breaker, model: Model, clock: Clock) -> None:
    model.error = EngineUnavailable("out of reach")
    await ask(breaker, model)
    clock.now += FIRST_REST
    model.error, model.holds = None, asyncio.Event()
    first = asyncio.create_task(ask(breaker, model))
    await asyncio.sleep(0)
    assert all("left alone" in said for said in [await ask(breaker, model) for _ in range(5)])
    assert model.asked == 2
    model.holds.set()
    assert await first == "yes"
    assert await ask(breaker, model) == "yes"


async def test_one_outage_counts_once_however_many_were_waiting(breaker: Breaker, model: Model, clock: Clock) -> None:
    model.error, model.holds = EngineUnavailable("out of reach"), asyncio.Event()
    waiting = [asyncio.create_task(ask(breaker, model)) for _ in range(20)]
    await asyncio.sleep(0)
    model.holds.set()
    assert set(await asyncio.gather(*waiting)) == {"out of reach"}
    clock.now += FIRST_REST
    model.error = None
    assert await ask(breaker, model) == "yes"


async def test_too_slow_is_down(breaker: Breaker, model: Model) -> None:
    model.holds = asyncio.Event()
    assert await ask(breaker, model, 0.02) == "the language model took more than 0.02 s"
    assert "left alone" in await ask(breaker, model)
    assert breaker.state.startswith("failing: ")


@pytest.mark.parametrize("error", [EngineNonsense("no JSON"), EngineError("the key is refused")])
async def test_one_that_answers_costs_no_timeout(breaker: Breaker, model: Model, error: EngineError) -> None:
    model.error = error
    assert [await ask(breaker, model) for _ in range(3)] == [str(error)] * 3
    assert model.asked == 3 and breaker.state == f"failing: {error}"


async def test_while_it_starts_nobody_waits(breaker: Breaker, model: Model) -> None:
    model.holds = asyncio.Event()
    starting = asyncio.create_task(breaker.start(model, 60))
    await asyncio.sleep(0)
    assert breaker.state == "starting"
    assert await ask(breaker, model) == "the language model is still starting"
    model.holds.set()
    await starting
    assert breaker.state == "ready" and await ask(breaker, model) == "yes"


async def test_a_caller_that_leaves_is_no_failure(breaker: Breaker, model: Model) -> None:
    model.holds = asyncio.Event()
    task = asyncio.create_task(ask(breaker, model))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    model.holds.set()
    assert await ask(breaker, model) == "yes"
