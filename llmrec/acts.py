"""The typed acts of a conversation: what a message or a click means. State is a fold over these, never over text."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from llmrec.filters import Filter


class ActKind(StrEnum):
    """Every act a person can perform; the value each one carries stands behind it."""

    ACCEPT = "accept"  # value: an attribute name that is wanted (a yes: the attribute asked)
    REJECT = "reject"  # value: an attribute name that is not wanted
    DONT_CARE = "dont_care"  # value: an attribute name without preference
    LIKE_ITEM = "like_item"  # item_id
    REJECT_ITEM = "reject_item"  # item_id: not this one, never again
    SEEN = "seen"  # item_id: already known or owned; neither liked nor disliked
    MORE_LIKE = "more_like"  # item_id
    SEARCH = "search"  # value: words that are looked for
    FILTER = "filter"  # filter: a bound on price, year or brand
    RESULTS = "results"  # show recommendations now
    COMPARE = "compare"  # item_id where named; without: the shown items
    EXPLAIN = "explain"  # why was this recommended; item_id where named
    WHY = "why"  # why this question
    UNDO = "undo"  # take back the last turn
    RESET = "reset"  # start over
    MEMORY = "memory"  # value: "show", "delete" or "export"
    SMALL_TALK = "small_talk"  # greetings, thanks


class Act(BaseModel):
    """One act. `value` holds an attribute name, a title, a query or a memory verb, as `ActKind` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ActKind
    value: str | None = None
    item_id: str | None = None
    filter: Filter | None = None
    remove: bool = False
    """Withdraw an earlier act instead of adding one (the cross of the preference panel)."""
