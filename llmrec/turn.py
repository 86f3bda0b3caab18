"""What goes into one chat turn and what comes out: shared by agents, API, chat page and evaluation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from llmrec.acts import Act


class Node(BaseModel):
    """One stop of a path through the user-attribute-item graph."""

    kind: Literal["user", "attribute", "item", "query", "filter", "popular"]
    id: str
    label: str


class RecommendedItem(BaseModel):
    """One item as it is shown: catalogue facts, score and the path that leads to it."""

    item_id: str
    title: str
    score: float
    description: str = ""
    brand: str = ""
    price: float | None = None
    year: int | None = None
    attributes: list[str] = Field(default_factory=list)
    path: list[Node] = Field(default_factory=list)
    reason: str = ""
    """The path in words."""


class Question(BaseModel):
    """What the agent asks; each choice can be answered by accept, reject or dont_care."""

    text: str
    choices: list[str]
    """Attribute names, at least one."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Attribute name to the words shown on its chip."""
    why: str = ""
    path: list[Node] = Field(default_factory=list)


class Preference(BaseModel):
    """One entry of the preference panel; sending `Act(kind, value, item_id, filter, remove=True)` withdraws it."""

    act: Act
    label: str
    source: Literal["conversation", "memory"] = "conversation"


class Stage(BaseModel):
    """One step of the turn, for the trace and for showing work in progress."""

    name: str
    """understand, believe, decide, act, say"""
    detail: str = ""
    milliseconds: float = 0.0


class TurnRequest(BaseModel):
    """One message or one set of clicks by a person."""

    model_config = ConfigDict(extra="forbid")

    user: str | None = None
    """None is anonymous; an id that the workspace does not know is a new user."""
    owner: str = ""
    """The namespace of threads and memory: "" for users, who have their own; the hash of the key for anonymous
    requests, "" without keys."""
    thread: str | None = None
    """None starts a new conversation."""
    text: str = ""
    acts: list[Act] = Field(default_factory=list)
    """Clicks; together with text, both count."""
    policy: str = ""
    """What decides this turn, by the name of a policy; "" is that of the settings."""
    message_id: str | None = None
    """Makes a repeated request idempotent: the stored turn is answered again."""


class Turn(BaseModel):
    """The agent's answer."""

    thread: str
    message_id: str
    turn: int
    text: str
    acts: list[Act] = Field(default_factory=list)
    """How the request was understood."""
    question: Question | None = None
    items: list[RecommendedItem] = Field(default_factory=list)
    candidates_left: int = 0
    preferences: list[Preference] = Field(default_factory=list)
    starters: list[str] = Field(default_factory=list)
    trace: list[Stage] = Field(default_factory=list)
    data: dict[str, Any] = Field(default_factory=dict)
    """Extra results of an act: a comparison table, memory entries."""


class TurnEvent(BaseModel):
    """What a streaming turn yields: stages as they end, text as it comes, and the whole turn last."""

    kind: Literal["stage", "text", "turn"]
    stage: Stage | None = None
    text: str = ""
    turn: Turn | None = None
