"""What belongs to a user: `/v1/events`, `/v1/feedback`, `/v1/memory`, `/v1/threads`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from llmrec.agents.conversation import say
from llmrec.ui.api.errors import ApiError, Json
from llmrec.ui.api.wire import Body, Caller, Route, UserId

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant
    from llmrec.agents.memory import MemoryEntry


class EventsRequest(Body):
    """Rows with `user_id`, `item_id` and, where known, `event`, `timestamp`, `rating`."""

    events: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)]


class FeedbackRequest(Body):
    """What somebody thinks of an item that was shown."""

    user: UserId | None = None
    item_id: str
    kind: str
    thread: str | None = None
    message_id: str | None = None


class MemoryRequest(Body):
    """Something to remember of a user."""

    user: UserId | None = None
    kind: str
    item_id: str | None = None
    attribute: str | None = None


def router(assistant: Assistant) -> APIRouter:
    """The users' routes."""
    routes = APIRouter(prefix="/v1", tags=["users"], route_class=Route)

    def shown(entry: MemoryEntry) -> dict[str, Any]:
        words = say.label if entry.item_id is None else say.title
        label = words(assistant.catalogue, entry.target)
        return {**entry.model_dump(mode="json", exclude={"owner"}), "label": label}

    @routes.post("/events", response_class=Json)
    async def add_events(body: EventsRequest, caller: Caller) -> Response:
        for row, event in enumerate(body.events):
            user = event.get("user_id")
            if not isinstance(user, str) or not user:
                raise ApiError(400, f"event {row} has no user_id: send it as a string", param=f"events.{row}.user_id")
            caller.person(user)
        added = await assistant.add_events(body.events)
        unknown = sum(event["item_id"] not in assistant.catalogue.index for event in body.events)
        return Json({"object": "events.added", "added": added, "unknown_items": unknown})

    @routes.post("/feedback", response_class=Json)
    async def feedback(body: FeedbackRequest, caller: Caller) -> Response:
        user = caller.user(body.user)
        await assistant.feedback(caller.owner(user), user, body.item_id, body.kind, body.thread, body.message_id)
        return Json({"object": "feedback", "item_id": body.item_id, "kind": body.kind})

    @routes.get("/memory", response_class=Json)
    async def show_memory(caller: Caller, user: UserId | None = None) -> Response:
        person = caller.person(user)
        entries = await assistant.memory(caller.owner(person), person)
        return Json({"object": "list", "entries": [shown(entry) for entry in entries]})

    @routes.get("/memory/export", response_class=Json)
    async def export_memory(caller: Caller, user: UserId | None = None) -> Response:
        person = caller.person(user)
        return Json(await assistant.export_memory(caller.owner(person), person))

    @routes.post("/memory", response_class=Json)
    async def remember(body: MemoryRequest, caller: Caller) -> Response:
        user = caller.person(body.user)
        entry = await assistant.remember(caller.owner(user), user, body.kind, body.attribute, body.item_id)
        return Json(shown(entry))

    @routes.delete("/memory", response_class=Json)
    async def delete_memory(caller: Caller, user: UserId | None = None) -> Response:
        person = caller.person(user)
        await assistant.delete_memory(caller.owner(person), person)
        return Json({"object": "memory.deleted", "deleted": True})

    @routes.delete("/memory/{entry_id}", response_class=Json)
    async def forget(entry_id: str, caller: Caller, user: UserId | None = None) -> Response:
        person = caller.person(user)
        await assistant.forget(caller.owner(person), person, entry_id)
        return Json({"object": "memory.entry.deleted", "id": entry_id, "deleted": True})

    @routes.get("/threads/{thread}", response_class=Json)
    async def history(thread: str, caller: Caller, user: UserId | None = None) -> Response:
        person = caller.user(user)
        turns = await assistant.history(caller.owner(person), person, thread)
        shown = [
            {"request": request.model_dump(mode="json", exclude={"owner"}), "turn": turn.model_dump(mode="json")}
            for request, turn in turns
        ]
        return Json({"object": "thread", "id": thread, "turns": shown})

    return routes
