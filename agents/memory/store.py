"""`StateStore`: conversations, memory and live updates behind one interface, whatever the database."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from langgraph.checkpoint.base import BaseCheckpointSaver

from llmrec.agents.memory.database import Database, Transaction
from llmrec.agents.memory.records import (
    TOPICS,
    Change,
    Event,
    Feedback,
    MemoryEntry,
    ThreadSummary,
    Transcript,
    check_item_row,
)
from llmrec.errors import UnknownName, UserError
from llmrec.settings import redact
from llmrec.turn import Turn, TurnRequest

_ITEM, _EVENT, _FEEDBACK = "item", "event", "feedback"


class StateStore:
    """All that a workspace remembers. Every write is idempotent.

    Conversations and memory belong to an owner (a namespace, see `TurnRequest`) and a user (None is anonymous); each
    call names both, and nothing of one is ever visible to another. Failures raise `StateError`.
    """

    def __init__(self, database: Database) -> None:
        """Use `open`."""
        self._database = database

    @classmethod
    async def open(cls, uri: str) -> Self:
        """Open `sqlite:<file>` (made where it is absent) or `postgresql://...` (tables are made).

        Raises `UserError` for another scheme, `MissingExtra` without the PostgreSQL driver, `StateError` where the
        database cannot be used.
        """
        scheme, _, rest = uri.partition(":")
        if scheme == "sqlite" and rest:
            from llmrec.agents.memory.sqlite import SqliteDatabase

            return cls(await SqliteDatabase.open(Path(rest)))
        if scheme in ("postgresql", "postgres"):
            from llmrec.agents.memory.postgres import PostgresDatabase

            return cls(await PostgresDatabase.open(uri))
        raise UserError(f"cannot keep state in {redact(uri)!r}: use sqlite:<file> or postgresql://user@host/database")

    async def aclose(self) -> None:
        """Close the connections; writes that have begun are finished."""
        await self._database.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # --- Conversations ------------------------------------------------------------------------------------------------

    def checkpointer(self) -> BaseCheckpointSaver[Any]:
        """The LangGraph checkpointer; its `thread_id` is `checkpoint_id(...)`, never a thread that a client names.

        It reads back the types of `acts`, `filters` and `turn` and LangGraph's safe ones; `with_allowlist` adds others.
        """
        return self._database.checkpointer()

    @staticmethod
    def checkpoint_id(owner: str, user: str | None, thread: str) -> str:
        """LangGraph's `thread_id` of a conversation: two users who choose one thread name have two conversations."""
        key = json.dumps([owner, user or "", thread])
        return hashlib.sha256(key.encode()).hexdigest()

    async def save_turn(self, request: TurnRequest, turn: Turn) -> Turn:
        """Log a turn; returns the turn that is stored, an earlier one where this message was answered before."""
        key = (request.owner, request.user or "", turn.thread, turn.message_id)

        async def work(transaction: Transaction) -> Turn:
            added = await transaction.execute(
                "INSERT INTO llmrec_turns (owner, user_id, thread, message_id, request, turn, created) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (*key, request.model_dump_json(), turn.model_dump_json(), time.time()),
            )
            if added:
                return turn
            rows = await transaction.fetch(
                "SELECT turn FROM llmrec_turns WHERE owner = ? AND user_id = ? AND thread = ? AND message_id = ?", key
            )
            return Turn.model_validate_json(rows[0][0])

        return await self._database.write(work)

    async def stored_turn(self, owner: str, user: str | None, thread: str | None, message_id: str) -> Turn | None:
        """The answer that a message got before. Without a thread, any of the user's; none for anonymous users."""
        if thread is None and not user:
            return None
        sql = "SELECT turn FROM llmrec_turns WHERE owner = ? AND user_id = ? AND message_id = ?"
        parameters: tuple[str, ...] = (owner, user or "", message_id)
        if thread is not None:
            sql, parameters = f"{sql} AND thread = ?", (*parameters, thread)
        rows = await self._database.read(f"{sql} ORDER BY seq DESC LIMIT 1", parameters)
        return Turn.model_validate_json(rows[0][0]) if rows else None

    async def history(self, owner: str, user: str | None, thread: str) -> list[tuple[TurnRequest, Turn]]:
        """All turns of a conversation, oldest first; `UnknownName` where this user has no such conversation."""
        rows = await self._database.read(
            "SELECT request, turn FROM llmrec_turns WHERE owner = ? AND user_id = ? AND thread = ? ORDER BY seq",
            (owner, user or "", thread),
        )
        if not rows:
            raise UnknownName(f"there is no conversation {thread!r} of this user: start one without a thread")
        return [(TurnRequest.model_validate_json(r), Turn.model_validate_json(t)) for r, t in rows]

    async def threads(self, owner: str, user: str | None) -> list[ThreadSummary]:
        """The user's conversations, newest first; those of anonymous users are not listed, they may be anyone's."""
        if not user:
            return []
        rows = await self._database.read(
            "SELECT thread, COUNT(*), MIN(created), MAX(created) FROM llmrec_turns WHERE owner = ? AND user_id = ? "
            "GROUP BY thread ORDER BY MAX(seq) DESC",
            (owner, user),
        )
        return [ThreadSummary(*row) for row in rows]

    async def delete_thread(self, owner: str, user: str | None, thread: str) -> bool:
        """Remove a conversation with its checkpoints; what it left in memory stays. False where there is none."""
        key = (owner, user or "", thread)

        async def work(transaction: Transaction) -> int:
            where = "WHERE owner = ? AND user_id = ? AND thread = ?"
            await transaction.execute(f"DELETE FROM llmrec_transcripts {where}", key)
            return await transaction.execute(f"DELETE FROM llmrec_turns {where}", key)

        await self.checkpointer().adelete_thread(self.checkpoint_id(owner, user, thread))
        return await self._database.write(work) > 0

    async def save_transcript(self, owner: str, user: str | None, digest: str, thread: str, message_id: str) -> None:
        """Note that the transcript with this hash is the conversation `thread` up to the message `message_id`."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                "INSERT INTO llmrec_transcripts (owner, user_id, hash, thread, message_id, created) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (owner, user_id, hash) DO UPDATE SET "
                "thread = excluded.thread, message_id = excluded.message_id, created = excluded.created",
                (owner, user or "", digest, thread, message_id, time.time()),
            )

        await self._database.write(work)

    async def find_transcript(self, owner: str, user: str | None, digest: str) -> Transcript | None:
        """The conversation that a stateless client continues, by the hash of the transcript that it sends."""
        rows = await self._database.read(
            "SELECT thread, message_id FROM llmrec_transcripts WHERE owner = ? AND user_id = ? AND hash = ?",
            (owner, user or "", digest),
        )
        return Transcript(*rows[0]) if rows else None

    # --- Memory -------------------------------------------------------------------------------------------------------

    async def remember(self, entries: Sequence[MemoryEntry]) -> int:
        """Keep entries, all or none; returns how many are new."""
        if not entries:
            return 0
        rows = [
            (e.owner, e.user, e.id, TOPICS[e.kind], e.target, e.thread, e.message_id, e.model_dump_json())
            for e in entries
        ]

        async def work(transaction: Transaction) -> int:
            return await transaction.execute(
                "INSERT INTO llmrec_memory (owner, user_id, id, topic, target, thread, message_id, entry) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                *rows,
            )

        return await self._database.write(work)

    async def memory(self, owner: str, user: str | None) -> list[MemoryEntry]:
        """What counts now, oldest first: of contradicting entries on one target only the newest."""
        if not user:
            return []
        rows = await self._database.read(
            "SELECT topic, target, entry FROM llmrec_memory WHERE owner = ? AND user_id = ? ORDER BY seq",
            (owner, user),
        )
        newest: dict[tuple[str, str], str] = {}
        for topic, target, entry in rows:
            newest.pop((topic, target), None)
            newest[topic, target] = entry
        return [MemoryEntry.model_validate_json(entry) for entry in newest.values()]

    async def revert(self, owner: str, user: str | None, message_id: str, thread: str | None = None) -> int:
        """Undo: take back what a message left in memory; what that had replaced counts again. Returns how many entries.

        Give the thread where clients choose message ids that are unique in their conversation only.
        """
        sql = "DELETE FROM llmrec_memory WHERE owner = ? AND user_id = ? AND message_id = ?"
        parameters: tuple[str, ...] = (owner, user or "", message_id)
        if thread is not None:
            sql, parameters = f"{sql} AND thread = ?", (*parameters, thread)
        return await self._database.write(lambda transaction: transaction.execute(sql, parameters))

    async def forget(self, owner: str, user: str | None, entry_id: str) -> MemoryEntry:
        """Remove an entry and the older ones that it replaced; `UnknownName` where the user has none of this id."""

        async def work(transaction: Transaction) -> MemoryEntry:
            rows = await transaction.fetch(
                "SELECT topic, target, entry FROM llmrec_memory WHERE owner = ? AND user_id = ? AND id = ?",
                (owner, user or "", entry_id),
            )
            if not rows:
                raise UnknownName(f"there is no memory entry {entry_id!r} of this user: list them to see their ids")
            topic, target, entry = rows[0]
            await transaction.execute(
                "DELETE FROM llmrec_memory WHERE owner = ? AND user_id = ? AND topic = ? AND target = ?",
                (owner, user, topic, target),
            )
            return MemoryEntry.model_validate_json(entry)

        return await self._database.write(work)

    async def export(self, owner: str, user: str) -> dict[str, Any]:
        """All memory entries, also replaced ones, and all feedback of a user, as plain JSON values."""
        entries = await self._database.read(
            "SELECT entry FROM llmrec_memory WHERE owner = ? AND user_id = ? ORDER BY seq", (owner, user)
        )
        feedback = await self._database.read(
            "SELECT data FROM llmrec_live WHERE kind = ? AND owner = ? AND user_id = ? ORDER BY seq",
            (_FEEDBACK, owner, user),
        )
        return {
            "user": user,
            "exported": time.time(),
            "memory": [MemoryEntry.model_validate_json(row[0]).model_dump(mode="json") for row in entries],
            "feedback": [json.loads(row[0]) for row in feedback],
        }

    async def delete_all(self, owner: str, user: str) -> int:
        """Remove what `export` shows; returns how many records it was. Conversations are `delete_thread`'s."""

        async def work(transaction: Transaction) -> int:
            where = "owner = ? AND user_id = ?"
            entries = await transaction.execute(f"DELETE FROM llmrec_memory WHERE {where}", (owner, user))
            feedback = await transaction.execute(
                f"DELETE FROM llmrec_live WHERE kind = ? AND {where}", (_FEEDBACK, owner, user)
            )
            return entries + feedback

        return await self._database.write(work)

    # --- Live updates -------------------------------------------------------------------------------------------------

    async def upsert_items(self, rows: Sequence[dict[str, Any]]) -> int:
        """Change or add items; a row changes only the columns that it names. Returns how many items there were."""
        changes: dict[str, dict[str, Any]] = {}
        try:
            for row in rows:
                item_id = check_item_row(row)
                changes[item_id] = changes.get(item_id, {}) | row
            json.dumps(changes, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UserError(f"cannot take these items: {error}") from None
        ids = list(changes)

        async def work(transaction: Transaction) -> int:
            sequence = await _advance(transaction, len(ids))
            merged = dict(changes)
            for start in range(0, len(ids), 500):
                chunk = ids[start : start + 500]
                marks = ", ".join("?" * len(chunk))
                known = await transaction.fetch(
                    f"SELECT id, data FROM llmrec_live WHERE kind = ? AND id IN ({marks})", (_ITEM, *chunk)
                )
                merged |= {item_id: json.loads(data) | changes[item_id] for item_id, data in known}
            await transaction.execute(
                _INSERT_LIVE + "ON CONFLICT (kind, id) DO UPDATE SET "
                "seq = excluded.seq, data = excluded.data, updated = excluded.updated",
                *(
                    (sequence + n, _ITEM, item_id, "", "", json.dumps(merged[item_id]), time.time())
                    for n, item_id in enumerate(ids, 1)
                ),
            )
            return len(ids)

        return await self._database.write(work) if ids else 0

    async def add_events(self, events: Sequence[Event]) -> int:
        """Append interactions; returns how many are new."""
        return await self._append(_EVENT, [(e.key, "", e.user_id, e.model_dump_json()) for e in events])

    async def add_feedback(self, feedback: Sequence[Feedback]) -> int:
        """Append verdicts; returns how many are new."""
        return await self._append(_FEEDBACK, [(f.key, f.owner, f.user or "", f.model_dump_json()) for f in feedback])

    async def _append(self, kind: str, rows: Sequence[tuple[str, str, str, str]]) -> int:
        async def work(transaction: Transaction) -> int:
            sequence = await _advance(transaction, len(rows))
            return await transaction.execute(
                _INSERT_LIVE + "ON CONFLICT (kind, id) DO NOTHING",
                *(
                    (sequence + n, kind, key, owner, user, data, time.time())
                    for n, (key, owner, user, data) in enumerate(rows, 1)
                ),
            )

        return await self._database.write(work) if rows else 0

    async def changes_since(self, sequence: int = 0) -> list[Change]:
        """Live updates of all processes after this sequence number, in order; one indexed query, cheap to poll.

        An item that changed several times comes once, as it is now.
        """
        rows = await self._database.read(
            "SELECT seq, kind, data FROM llmrec_live WHERE seq > ? ORDER BY seq", (sequence,)
        )
        return [Change(seq, kind, json.loads(data)) for seq, kind, data in rows]


_INSERT_LIVE = "INSERT INTO llmrec_live (seq, kind, id, owner, user_id, data, updated) VALUES (?, ?, ?, ?, ?, ?, ?) "


async def _advance(transaction: Transaction, count: int) -> int:
    """Reserve `count` sequence numbers; returns the last one before them.

    The row stays locked until the transaction ends, so numbers become visible in their order, and a reader that
    has seen n will never miss a smaller number that is committed later.
    """
    rows = await transaction.fetch("UPDATE llmrec_sequence SET value = value + ? RETURNING value", (count,))
    return int(rows[0][0]) - count
