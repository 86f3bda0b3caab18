"""`POST /v1/embeddings` and `POST /v1/rerank`: the workspace's text model and its personal order."""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from llmrec.ui.api.errors import ApiError, Json
from llmrec.ui.api.wire import MODEL, Body, Caller, Route, UserId, check_model, words

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant

_MOST_TEXTS = 2048  # OpenAI's limit

Text = Annotated[str, Field(min_length=1)]
Tokens = list[int]


class EmbeddingsRequest(Body):
    """OpenAI's request."""

    model: str
    input: Text | list[Text] | Tokens | list[Tokens] = Field(union_mode="left_to_right")
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = None
    user: UserId | None = None


class Document(BaseModel):
    """A document to rank: an item of the catalogue, or a text."""

    model_config = ConfigDict(extra="ignore")

    item_id: str | None = None
    text: str | None = None


class RerankRequest(Body):
    """The request of Cohere's, Jina's and vLLM's servers; a string that is an item id stands for that item."""

    model: str = MODEL
    query: str
    documents: list[str | Document] = Field(min_length=1, max_length=10_000)
    top_n: Annotated[int, Field(ge=1)] | None = None
    user: UserId | None = None


def router(assistant: Assistant, embedder: str) -> APIRouter:
    """The embedding and reranking routes; `embedder` is the model id of the text model."""
    routes = APIRouter(prefix="/v1", tags=["embeddings"], route_class=Route)

    @routes.post("/embeddings", response_class=Json)
    async def embeddings(body: EmbeddingsRequest, caller: Caller) -> Response:
        check_model(body.model, (embedder, MODEL))
        caller.user(body.user)
        texts = [body.input] if isinstance(body.input, str) else body.input
        if not texts or len(texts) > _MOST_TEXTS:
            raise ApiError(400, f"send between 1 and {_MOST_TEXTS} texts", param="input")
        if not all(isinstance(text, str) for text in texts):
            raise ApiError(400, "token ids are not understood: send texts", param="input")
        vectors = np.asarray(await assistant.embed([str(text) for text in texts]), dtype="<f4")
        if body.dimensions not in (None, vectors.shape[1]):
            message = f"this model has {vectors.shape[1]} dimensions and no others: leave 'dimensions' out"
            raise ApiError(400, message, param="dimensions")
        whole = body.encoding_format == "base64"
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector.tobytes()).decode() if whole else vector.tolist(),
            }
            for index, vector in enumerate(vectors)
        ]
        used = words(*(str(text) for text in texts))
        usage = {"prompt_tokens": used, "total_tokens": used}
        return Json({"object": "list", "model": embedder, "data": data, "usage": usage})

    @routes.post("/rerank", response_class=Json)
    async def rerank(body: RerankRequest, caller: Caller) -> Response:
        check_model(body.model, (MODEL, embedder))
        user = caller.user(body.user)
        documents = [_document(assistant, document) for document in body.documents]
        scores = await assistant.rerank(body.query, documents, user)
        # Best first; ties in the order given.
        order = sorted(range(len(documents)), key=lambda index: -scores[index])[: body.top_n]
        results: list[dict[str, Any]] = [
            {"index": index, "document": {"text": documents[index]}, "relevance_score": float(scores[index])}
            for index in order
        ]
        used = words(body.query, *documents)
        answer = {"id": f"rerank-{uuid.uuid4().hex}", "model": body.model, "results": results}
        return Json({**answer, "usage": {"total_tokens": used}})

    return routes


def _document(assistant: Assistant, document: str | Document) -> str:
    if isinstance(document, str):
        return document
    if document.item_id is not None:
        assistant.item(document.item_id)  # an unknown item is an error, not a text
        return document.item_id
    if document.text is None:
        raise ApiError(400, "a document is a string, or an object with 'item_id' or 'text'", param="documents")
    return document.text
