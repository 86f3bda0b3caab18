"""What the state store keeps: memory entries, feedback, events, and the changes that processes tell each other."""

from __future__ import annotations

import hashlib
import math
import time
import uuid
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, computed_field, model_validator

MemoryKind = Literal["like", "dislike", "seen", "accept", "reject"]
"""`like`, `dislike` and `seen` of items, `accept` and `reject` of attributes."""

TOPICS: dict[str, str] = {"like": "taste", "dislike": "taste", "seen": "seen", "accept": "wish", "reject": "wish"}
"""Kinds of one topic contradict each other: of all that was said on a target, the newest of each topic counts."""


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "replace")).hexdigest()[
        :16
    ]


def _new_id() -> str:
    return uuid.uuid4().hex


class MemoryEntry(BaseModel):
    """One thing that a user said about an item or an attribute, kept across conversations."""

    model_config = ConfigDict(frozen=True)

    owner: str = ""
    user: str = Field(min_length=1)
    """Anonymous users have no memory."""
    kind: MemoryKind
    item_id: str | None = None
    attribute: str | None = None
    thread: str = ""
    message_id: str = Field(default_factory=_new_id)
    """The message that said it; undoing that message takes the entry back."""
    created: float = Field(default_factory=time.time)
    """Unix time."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.item_id is None) == (self.kind in ("like", "dislike", "seen")):
            raise ValueError("like, dislike and seen need an item_id, accept and reject an attribute")
        if (self.attribute is None) == (self.kind in ("accept", "reject")):
            raise ValueError("like, dislike and seen need an item_id, accept and reject an attribute")
        return self

    @property
    def target(self) -> str:
        """The item id or the attribute."""
        return self.item_id if self.item_id is not None else self.attribute or ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def id(self) -> str:
        """The same for the same statement of the same message: this makes writes idempotent."""
        return _digest(self.owner, self.user, self.thread, self.message_id, self.kind, self.target)


class Event(BaseModel):
    """One interaction that happened since the build."""

    model_config = ConfigDict(frozen=True)

    user_id: str = Field(min_length=1)
    item_id: str = Field(min_length=1)
    event: str = "view"
    timestamp: float = Field(default_factory=time.time, allow_inf_nan=False)
    """Unix time."""
    event_id: str = ""
    """Where it is not given, the same user, item, event and timestamp are the same event."""

    @property
    def key(self) -> str:
        return self.event_id or _digest(self.user_id, self.item_id, self.event, repr(self.timestamp))


class Feedback(BaseModel):
    """A verdict on a recommended item, from a button or the API."""

    model_config = ConfigDict(frozen=True)

    owner: str = ""
    user: str | None = None
    item_id: str = Field(min_length=1)
    kind: str
    thread: str | None = None
    message_id: str | None = None
    created: float = Field(default_factory=time.time)
    """Unix time."""

    @property
    def key(self) -> str:
        """The same for the same verdict on the same message; without a message each one is new."""
        message = self.message_id or _new_id()
        return _digest(self.owner, self.user or "", self.thread or "", message, self.item_id, self.kind)


@dataclass(frozen=True)
class Change:
    """One live update; `sequence` grows in the order in which updates become visible."""

    sequence: int
    kind: Literal["item", "event", "feedback"]
    data: dict[str, Any]
    """The item's row as it is now, or the fields of `Event` or `Feedback`."""


@dataclass(frozen=True)
class Transcript:
    """Where a transcript of a stateless client stands: the conversation, and the last message that is part of it."""

    thread: str
    message_id: str


@dataclass(frozen=True)
class ThreadSummary:
    """One conversation of a user; times are unix times."""

    thread: str
    turns: int
    created: float
    updated: float


def check_item_row(row: dict[str, Any]) -> str:
    """The item id of a row to upsert; `ValueError` where the row cannot be kept."""
    item_id = row.get("item_id")
    if not isinstance(item_id, str) or not item_id:
        raise ValueError("an item needs an item_id, a string that is not empty")
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"the {name} of item {item_id!r} is not a finite number")
    return item_id
