"""People played by a language model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmrec.agents.conversation.say import Vocabulary
from llmrec.data import write_dataset
from llmrec.errors import EngineError, UserError
from llmrec.evals.simulators import Pair
from llmrec.evals.simulators.language import LanguagePerson, Player
from llmrec.evals.suites.conversation import ConversationSuite
from llmrec.language.openai import OpenAIEngine
from llmrec.testing.datasets import make_dataset
from llmrec.testing.policies import cube
from llmrec.testing.scripted_server import MODEL, Reply, ScriptedServer

CUBE = cube()


def honest(body: dict[str, Any]) -> Reply:
    """Says yes to what stands in the description of what is wanted."""
    wanted, question = body["messages"][-1]["content"].split("\nThe assistant asks: ")
    asked = question.split("“")[1].split("”")[0]
    return Reply(json.dumps({"answer": "yes" if asked in wanted else "no"}))


@pytest.fixture
def player(request: pytest.FixtureRequest) -> Iterator[tuple[Player, ScriptedServer]]:
    with ScriptedServer(request.param) as server:
        player = Player(OpenAIEngine(f"{server.url}#{MODEL}"), Vocabulary.of("cubes", CUBE))
        yield player, server
        player.close()


def person(player: Player) -> LanguagePerson:
    return LanguagePerson(player, CUBE, Pair(0, "u", "i123"))


@pytest.mark.parametrize("player", [honest], indirect=True)
def test_the_model_knows_what_is_wanted_and_is_asked_once(player: tuple[Player, ScriptedServer]) -> None:
    somebody = person(player[0])
    assert [somebody.answer(name, 1) for name in ("colour 1", "colour 2", "colour 1")] == [True, False, True]
    assert len(player[1].requests) == 2
    assert "(shape 3, size 2, colour 1)" in player[1].requests[0]["messages"][-1]["content"]
    assert somebody.opening in ("colour 1", "size 2", "shape 3") and somebody.accepts(["i123"], 1) == 1


@pytest.mark.parametrize("player", [[Reply("Well, it depends on the weather.")]], indirect=True)
def test_nonsense_is_no_preference(player: tuple[Player, ScriptedServer]) -> None:
    assert person(player[0]).answer("colour 1", 1) is None


@pytest.mark.parametrize("player", [[Reply(status=500)]], indirect=True)
def test_a_model_that_fails_is_told(player: tuple[Player, ScriptedServer]) -> None:
    with pytest.raises(EngineError):
        person(player[0]).answer("colour 1", 1)


def test_a_suite_is_played_through(tmp_path: Path) -> None:
    rows = [{"item_id": f"i{n}", "attributes": [f"a{n % 5}", f"b{n % 7}", f"c{n % 3}"]} for n in range(105)]
    events = [
        {"user_id": f"u{user}", "item_id": f"i{(user * 7 + place) % 105}", "split": part}
        for user in range(12)
        for place, part in enumerate(["train"] * 4 + ["valid", "test"])
    ]
    write_dataset(make_dataset(rows, events), tmp_path / "data")
    with ScriptedServer(honest) as server:
        options: dict[str, Any] = {"simulator": "language-model", "policies": ("planner",), "lessons": 10, "pairs": 5}
        row = ConversationSuite(llm=f"openai:{server.url}#{MODEL}", **options).run(str(tmp_path / "data"))[0]
        assert row.metrics["SR@15"] == 1 and "language-model simulator" in row.protocol
    with pytest.raises(UserError, match="--llm"):
        ConversationSuite(**options).run(str(tmp_path / "data"))
