"""Items, search and recommendations: `/v1/items`, `/v1/search`, `/v1/recommendations`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from llmrec.ui.api.errors import ApiError, Json
from llmrec.ui.api.wire import Body, Caller, Count, Route, UserId, listing, parse_filters

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant

Filters = Annotated[list[str], Field(default_factory=list, max_length=100)]


class RecommendationsRequest(Body):
    """For one user, for a history (a new user), or like an item; with none of them: for an anonymous user."""

    user: UserId | None = None
    history: Annotated[list[str], Field(max_length=10_000)] | None = None
    similar_to: str | None = None
    k: Count = 10
    filters: Filters
    recommender: str | None = None


class SearchRequest(Body):
    """Free text; `user` makes the order personal."""

    query: str
    k: Count = 10
    filters: Filters
    user: UserId | None = None


class ItemsRequest(Body):
    """Rows with `item_id` and the columns that change."""

    items: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)]


def router(assistant: Assistant) -> APIRouter:
    """The catalogue's routes."""
    routes = APIRouter(prefix="/v1", tags=["catalogue"], route_class=Route)

    @routes.post("/recommendations", response_class=Json)
    async def recommendations(body: RecommendationsRequest, caller: Caller) -> Response:
        user = caller.user(body.user)
        if sum(given is not None for given in (body.user, body.history, body.similar_to)) > 1:
            raise ApiError(400, "give one of user, history and similar_to")
        if body.similar_to is not None:
            if body.filters or body.recommender:
                raise ApiError(400, "similar_to takes neither filters nor recommender", param="similar_to")
            return Json(listing(await assistant.similar(body.similar_to, body.k)))
        who = body.history if body.history is not None else user or []
        filters = parse_filters(body.filters)
        [items] = await assistant.recommend([who], body.k, filters=filters, recommender=body.recommender)
        return Json(listing(items, known=assistant.knows(who) if isinstance(who, str) else bool(who)))

    @routes.post("/search", response_class=Json)
    async def search(body: SearchRequest, caller: Caller) -> Response:
        user = caller.user(body.user)
        return Json(listing(await assistant.search(body.query, body.k, parse_filters(body.filters), user)))

    @routes.get("/items", response_class=Json)
    async def list_items(
        _: Caller, limit: Annotated[int, Query(ge=1, le=1000)] = 100, after: str | None = None
    ) -> Response:
        """A page in catalogue order; `after` is the last id of the page before."""
        ids = assistant.catalogue.index.ids
        start = 0
        if after is not None:
            assistant.item(after)
            start = assistant.catalogue.index.position(after) + 1
        page = [assistant.item(str(item_id)) for item_id in ids[start : start + limit]]
        return Json({"object": "list", "items": page, "has_more": start + limit < len(ids), "total": len(ids)})

    @routes.get("/items/{item_id:path}", response_class=Json)
    async def get_item(item_id: str, _: Caller) -> Response:
        return Json(assistant.item(item_id))

    @routes.post("/items", response_class=Json)
    async def upsert_items(body: ItemsRequest, caller: Caller) -> Response:
        caller.require_all()
        return Json({"object": "items.upserted", "upserted": await assistant.upsert_items(body.items)})

    return routes
