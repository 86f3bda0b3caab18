"""`bench plain`: what plain chat through llmrec's API takes beside the same request straight to vLLM."""

from __future__ import annotations

import json
import random
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import httpx
import numpy as np
from pydantic import Field

from llmrec.contracts import Config, Progress, Row, no_progress
from llmrec.errors import LlmrecError
from llmrec.evals.bench.served import a_workspace, free_port, llmrec_served, running

_WARM_UP = 10


class PlainBench(Config):
    """SOURCE is a workspace, or a data folder to build one from; left out, the demo world.

    vLLM serves a small model of random weights, and `llmrec serve` is attached to that server. The two are asked in
    turns, for streams of as many tokens, one request at a time. `p50_ms` and `p99_ms` are of whole answers,
    `first_p50_ms` of first words, `more_p50_ms` of the difference within a pair.
    """

    name: ClassVar[str] = "plain"

    requests: int = Field(default=200, ge=1, description="pairs of requests")
    tokens: int = Field(default=32, ge=1, description="of an answer")
    prompt: int = Field(default=200, ge=1, le=400, description="characters of a prompt, each of them a token")
    seed: int = Field(default=0, description="of the prompts")

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """Two rows: `straight` and `through-llmrec`."""
        from llmrec.language.vllm.target import SERVED_NAME, Started, installed
        from llmrec.testing.models import make_tiny_model

        package, port, key = installed(), free_port(), secrets.token_hex(16)
        with a_workspace(source, progress) as workspace, tempfile.TemporaryDirectory(prefix="llmrec-bench-") as folder:
            model = make_tiny_model(Path(folder)).folder
            target = Started.parse(f"{model}?dtype=float32&max_loras=1&kv_cache=1")
            command, environment = target.command(package, port), target.environment(package, key, Path(folder))
            vllm = f"http://127.0.0.1:{port}"
            progress("starting vLLM", 0, 2)
            with running(command, environment, Path(folder) / "vllm.log", f"{vllm}/health", key):
                progress("starting llmrec", 1, 2)
                llm = f"vllm:{vllm}#{SERVED_NAME}"
                with llmrec_served(workspace, "--llm", llm, LLMREC_LLM_KEY=key) as (llmrec, _):
                    seconds = self._measure({"straight": vllm, "through-llmrec": llmrec}, SERVED_NAME, key, progress)
        protocol = f"vLLM, {self.requests} streams of {self.tokens} tokens after {self.prompt}, one at a time"
        more = np.median(seconds["through-llmrec"][:, 1] - seconds["straight"][:, 1]) * 1000
        return [
            Row(name, "ours", {**_figures(taken), **({"more_p50_ms": round(more, 2)} if at else {})}, protocol=protocol)
            for at, (name, taken) in enumerate(seconds.items())
        ]

    def _measure(self, ways: dict[str, str], model: str, key: str, progress: Progress) -> dict[str, Any]:
        """(requests, 2) for each way: seconds to the first word and to the end."""
        rng = random.Random(self.seed)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        with httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=60, trust_env=False) as client:
            for number in range(-_WARM_UP, self.requests):
                progress("asking", max(number, 0), self.requests)
                order = list(ways) if number % 2 else list(ways)[::-1]
                for name in order:
                    # none begins as another does, because the server remembers prompts
                    text = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz ", k=self.prompt))
                    spent = self._ask(client, ways[name], model, text)
                    if number >= 0:
                        taken[name].append(spent)
        return {name: np.array(rows) for name, rows in taken.items()}

    def _ask(self, client: httpx.Client, address: str, model: str, text: str) -> tuple[float, float]:
        body = {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": self.tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        began, first = time.perf_counter(), 0.0
        usage: dict[str, int] = {}
        with client.stream("POST", f"{address}/v1/chat/completions", json=body) as answer:
            if not answer.is_success:
                raise LlmrecError(f"{address} answered {answer.status_code}: {answer.read().decode()[:200]}")
            for line in answer.iter_lines():
                if not line.startswith("data: {"):
                    continue
                chunk = json.loads(line[6:])
                if not first and chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                    first = time.perf_counter() - began
                usage = chunk.get("usage") or usage
        ended = time.perf_counter() - began
        if usage.get("completion_tokens") != self.tokens:
            raise LlmrecError(f"{address} sent {usage.get('completion_tokens')} tokens, not {self.tokens}")
        return first, ended


def _figures(seconds: Any) -> dict[str, float]:
    first, whole = seconds.T * 1000
    figures = {
        "p50_ms": np.percentile(whole, 50),
        "p99_ms": np.percentile(whole, 99),
        "first_p50_ms": np.percentile(first, 50),
        "per_second": 1000 / whole.mean(),
    }
    return {key: round(float(value), 2) for key, value in figures.items()}
