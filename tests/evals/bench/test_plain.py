"""`bench plain`: both ways are asked the same, in turns, and a short answer is no figure."""

from __future__ import annotations

import pytest

from llmrec.errors import LlmrecError
from llmrec.evals.bench.plain import PlainBench, _figures
from llmrec.testing.scripted_server import Reply, ScriptedServer


def test_both_ways_get_the_same_requests_in_turns() -> None:
    bench = PlainBench(requests=6, tokens=8, prompt=30)
    reply = Reply("12345678", usage=(30, 8), pause=0.002)
    with ScriptedServer([reply]) as one, ScriptedServer([reply]) as other:
        ways = {"straight": one.url.removesuffix("/v1"), "through-llmrec": other.url.removesuffix("/v1")}
        seconds = bench._measure(ways, "base", "key", lambda *_: None)
    assert [taken.shape for taken in seconds.values()] == [(6, 2), (6, 2)]
    assert all((taken[:, 0] > 0).all() and (taken[:, 0] < taken[:, 1]).all() for taken in seconds.values())
    assert set(one.keys) == {"Bearer key"} and len(one.requests) == len(other.requests) == 16
    texts = [body["messages"][0]["content"] for server in (one, other) for body in server.requests]
    assert len(set(texts)) == len(texts) and {len(text) for text in texts} == {30}
    same = [{key: value for key, value in server.requests[0].items() if key != "messages"} for server in (one, other)]
    assert same[0] == same[1] and same[0]["max_tokens"] == 8
    figures = _figures(seconds["straight"])
    assert figures["first_p50_ms"] < figures["p50_ms"] <= figures["p99_ms"]


@pytest.mark.parametrize("reply", [Reply("1234", usage=(30, 4)), Reply(status=500)], ids=["short", "error"])
def test_what_is_no_such_answer_ends_it(reply: Reply) -> None:
    with ScriptedServer([reply]) as server, pytest.raises(LlmrecError, match=r"4 tokens, not 8|answered 500"):
        PlainBench(requests=1, tokens=8)._measure({"one": server.url.removesuffix("/v1")}, "m", "k", lambda *_: None)
