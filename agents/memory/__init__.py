"""State: conversations, long-term memory of users and live updates, in SQLite or PostgreSQL."""

from llmrec.agents.memory.records import Change, Event, Feedback, MemoryEntry, MemoryKind, ThreadSummary, Transcript
from llmrec.agents.memory.store import StateStore

__all__ = ["Change", "Event", "Feedback", "MemoryEntry", "MemoryKind", "StateStore", "ThreadSummary", "Transcript"]
