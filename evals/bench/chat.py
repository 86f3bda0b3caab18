"""`bench chat`: how fast turns are answered through HTTP, alone and in a crowd, and whether conversations stay apart.

`llmrec serve` runs as a process of its own, with its own state, so that a workspace's conversations stay as they are.
Simulated visitors look for an item of the catalogue: they open with an attribute of it, answer questions truly, by
words or by clicks, and now and then search, ask for results, ask why or take a turn back.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx
import numpy as np
from pydantic import Field

from llmrec.contracts import Config, Progress, Row, no_progress
from llmrec.errors import LlmrecError, UserError
from llmrec.evals.bench.served import a_workspace, llmrec_served

_SAMPLE_SECONDS = 5.0
_STATED = {"accept", "reject", "dont_care"}
_INFORMING = {"compare", "explain", "why", "memory", "small_talk"}


class ChatBench(Config):
    """SOURCE is a workspace, or a data folder to build one from; left out, the demo world."""

    name: ClassVar[str] = "chat"

    conversations: int = Field(default=32, ge=1, description="conversations at once")
    minutes: float = Field(default=5.0, gt=0, description="how long they talk")
    thought: float = Field(default=1.0, ge=0, description="seconds between an answer and the next message")
    alone: int = Field(default=200, ge=1, description="turns of the part with one conversation at a time")
    seed: int = Field(default=0, description="of the visitors' choices")

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """Two rows: `alone`, one conversation at a time, and `crowd`, many at once."""
        with a_workspace(source, progress) as workspace, llmrec_served(workspace) as (address, pid):
            return asyncio.run(_measure(address, pid, self, progress))


async def _measure(address: str, pid: int, config: ChatBench, progress: Progress) -> list[Row]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        catalogue = await _read_catalogue(client)
        rng = random.Random(config.seed)
        await _talk(client, catalogue, Visitor("warm-up", rng), 20, 0.0, Tally())
        started = time.perf_counter()
        alone = Tally()
        while len(alone.seconds) + alone.errors < config.alone:
            progress("one conversation at a time", len(alone.seconds), config.alone)
            await _talk(client, catalogue, Visitor("alone", rng), 12, 0.0, alone)
        rows = [alone.row("alone", time.perf_counter() - started)]
        rows.append(await _crowd(client, pid, catalogue, config, progress))
        return rows


async def _crowd(
    client: httpx.AsyncClient, pid: int, catalogue: list[Target], config: ChatBench, progress: Progress
) -> Row:
    tally = Tally()
    started = time.perf_counter()
    end = started + config.minutes * 60

    async def visit(index: int) -> None:
        rng = random.Random(f"{config.seed} {index}")
        visitor = Visitor(f"crowd-{index}", rng)
        await asyncio.sleep(config.thought * index / config.conversations)  # not all in the same instant
        while time.perf_counter() < end:
            await _talk(client, catalogue, visitor, 12, config.thought, tally, end)

    async def watch() -> None:
        while True:
            elapsed = time.perf_counter() - started
            tally.memory.append((elapsed, *_memory_mb(pid)))
            progress(f"{config.conversations} conversations at once", int(elapsed), int(config.minutes * 60))
            await asyncio.sleep(_SAMPLE_SECONDS)

    watching = asyncio.ensure_future(watch())
    try:
        async with asyncio.TaskGroup() as visitors:
            for index in range(config.conversations):
                visitors.create_task(visit(index))
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    tally.memory.append((time.perf_counter() - started, *_memory_mb(pid)))
    return tally.row("crowd", time.perf_counter() - started, config.conversations)


# --- Visitors ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """An item that somebody looks for."""

    item_id: str
    title: str
    attributes: frozenset[str]


@dataclass
class Visitor:
    """One person, with all that they ever said, to recognise what they did not; `start` begins a conversation."""

    user: str
    rng: random.Random
    target: Target = field(default_factory=lambda: Target("", "", frozenset()))
    thread: str = ""
    depth: int = 0
    """Turns that an undo can still take back."""
    marker: str | None = None
    """The attribute that the conversation opened with."""
    asked: list[str] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    """Attributes that were part of this conversation."""
    known: set[str] = field(default_factory=set)
    """The same, of all conversations: what memory may hold."""

    def start(self, catalogue: Sequence[Target]) -> dict[str, Any]:
        """Choose an item; the first message."""
        self.target = self.rng.choice(catalogue)
        self.thread, self.depth, self.asked, self.named = "", 0, [], set()
        attributes = sorted(self.target.attributes)
        self.marker = self.rng.choice(attributes) if attributes else None
        if self.marker is None:
            return {"text": f"I am looking for {_words(self.target.title, self.rng)}"}
        self.named.add(self.marker)
        return {"acts": [{"kind": "accept", "value": self.marker}]}

    def reply(self) -> dict[str, Any]:
        """The next message: mostly an answer to the question, truly."""
        chance = self.rng.random()
        if chance < 0.08:
            return {"text": f"search for {_words(self.target.title, self.rng)}"}
        if chance < 0.14:
            return {"text": "show me results"}
        if chance < 0.18:
            return {"text": "why this question?"}
        if chance < 0.24 and self.depth > 1:
            return {"text": "undo"}
        if not self.asked:
            return {"text": "show me results"}
        liked = [attribute for attribute in self.asked if attribute in self.target.attributes]
        if chance < 0.30:
            return {"text": "I don't care"}
        if len(self.asked) == 1 and chance < 0.75:
            return {
                "text": self.rng.choice(("yes", "yes please", "sure"))
                if liked
                else self.rng.choice(("no", "no thanks"))
            }
        return {"acts": [{"kind": "accept" if a in liked else "reject", "value": a} for a in liked or self.asked]}

    def hear(self, answer: dict[str, Any]) -> str | None:
        """Take in an answer; says what in it belongs to another conversation, None where all is well."""
        if self.thread and answer["thread"] != self.thread:
            return "the thread of another conversation"
        self.thread = answer["thread"]
        kinds = {act["kind"] for act in answer["acts"]}
        if "reset" in kinds:  # nobody says that here, but words of a title may be understood so
            self.depth, self.marker, self.named = 0, None, set()
        self.depth += -1 if "undo" in kinds else int(not kinds <= _INFORMING)
        question = answer["question"]
        self.asked = list(question["choices"]) if question else []
        self.named.update(self.asked)
        # Words may be taken for attributes that nobody meant: what was understood is this conversation's, too.
        self.named.update(act["value"] for act in answer["acts"] if act["value"])
        self.known |= self.named
        stated = {(entry["source"], entry["act"]["kind"], entry["act"]["value"]) for entry in answer["preferences"]}
        for source, kind, value in stated:
            if kind in _STATED and value not in (self.named if source == "conversation" else self.known):
                return f"{kind} {value!r}, which was never spoken of"
        if self.marker is not None and not any(entry[1:] == ("accept", self.marker) for entry in stated):
            return f"the opening attribute {self.marker!r} is gone"
        return None


async def _talk(
    client: httpx.AsyncClient,
    catalogue: Sequence[Target],
    visitor: Visitor,
    turns: int,
    thought: float,
    tally: Tally,
    end: float = float("inf"),
) -> None:
    """One conversation, until the item is found or patience ends."""
    message = visitor.start(catalogue)
    for _ in range(turns):
        if time.perf_counter() >= end:
            return
        body = {
            "model": "llmrec",
            "user": visitor.user,
            "messages": [{"role": "user", "content": message.get("text", "")}],
            "metadata": {"thread": visitor.thread or "new"},
            "llmrec": {"acts": message.get("acts", [])},
        }
        began = time.perf_counter()
        try:
            response = await client.post("/v1/chat/completions", json=body)
            response.raise_for_status()
            answer = response.json()["choices"][0]["message"]["llmrec"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            tally.failed(error)
            return
        tally.seconds.append(time.perf_counter() - began)
        foreign = visitor.hear(answer)
        if foreign:
            tally.crosstalk.append(foreign)
            return
        if any(item["item_id"] == visitor.target.item_id for item in answer["items"]):
            tally.found += 1
            return
        message = visitor.reply()
        await asyncio.sleep(thought)


def _words(title: str, rng: random.Random) -> str:
    words = [word for word in title.split() if word.isalpha()] or title.split() or ["something"]
    start = rng.randrange(len(words))
    return " ".join(words[start : start + 2]).lower()


# --- Figures ----------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What was measured."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""
    crosstalk: list[str] = field(default_factory=list)
    found: int = 0
    memory: list[tuple[float, float, float]] = field(default_factory=list)
    """(seconds since the start, resident MB of the server, private MB of it)."""

    def failed(self, error: Exception) -> None:
        """Count an error."""
        self.errors += 1
        self.first_error = self.first_error or f"{type(error).__name__}: {error}"

    def row(self, name: str, seconds: float, conversations: int = 1) -> Row:
        """The figures; raises `LlmrecError` where no turn was answered."""
        if not self.seconds:
            raise LlmrecError(f"no turn was answered ({self.first_error}): see the server's log")
        milliseconds = np.asarray(self.seconds) * 1000
        metrics = {
            "p50_ms": float(np.percentile(milliseconds, 50)),
            "p99_ms": float(np.percentile(milliseconds, 99)),
            "per_second": len(self.seconds) / seconds,
            "turns": float(len(self.seconds)),
            "errors": float(self.errors),
            "crosstalk": float(len(self.crosstalk)),
            "found": float(self.found),
        }
        if self.memory:
            at, resident, private = np.asarray(self.memory).T
            metrics["peak_mb"] = resident.max()
            settled = at >= at[-1] / 5  # caches fill in the first fifth
            for key, mb in (("rss", resident), ("private", private)):
                metrics |= {f"{key}_start_mb": mb[0], f"{key}_end_mb": mb[-1]}
                if settled.sum() > 2:
                    slope = np.polyfit(at[settled], mb[settled], 1)[0] * 60
                    metrics[f"{key}_slope_mb_per_minute"] = float(slope)
        protocol = f"HTTP, {conversations} conversations at once" if conversations > 1 else "HTTP, one at a time"
        notes = [note for note in (self.first_error, *self.crosstalk[:1]) if note]
        rounded = {key: round(float(value), 3) for key, value in metrics.items()}
        return Row(name, "ours", rounded, protocol=". ".join((protocol, *notes)), seconds=round(seconds, 1))


def _memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory, and its private part. Model files are mapped: their pages become resident one by one as they
    are read, and the system may drop them, so a leak shows in the private part. NaN where there is no `/proc`."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return float("nan"), float("nan")
    kilobytes = dict(line.split()[:2] for line in lines if line.startswith(("VmRSS:", "RssAnon:")))
    return float(kilobytes["VmRSS:"]) / 1e3, float(kilobytes["RssAnon:"]) / 1e3


# --- The catalogue ----------------------------------------------------------------------------------------------------


async def _read_catalogue(client: httpx.AsyncClient, most: int = 3000) -> list[Target]:
    targets: list[Target] = []
    after: dict[str, str] = {}
    while len(targets) < most:
        page = (await client.get("/v1/items", params={"limit": "1000", **after})).raise_for_status().json()
        targets += [Target(i["item_id"], i["title"], frozenset(i["attributes"])) for i in page["items"]]
        if not page["has_more"]:
            break
        after = {"after": page["items"][-1]["item_id"]}
    if not targets:
        raise UserError("the workspace has no items: build it from a catalogue that has some")
    return targets
