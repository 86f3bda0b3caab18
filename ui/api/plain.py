"""Chat with the base language model or one of its adapters: passed through, without agent, threads and memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from llmrec.contracts import Ending, Message
from llmrec.ui.api.errors import ApiError, Json, from_exception
from llmrec.ui.api.metrics import Metrics
from llmrec.ui.api.models import ChatModel
from llmrec.ui.api.wire import STREAM_HEADERS, line, words

if TYPE_CHECKING:
    from llmrec.ui.api.chat import ChatRequest

_TEMPERATURE = 1.0  # OpenAI's, where none is sent
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


async def answer(model: ChatModel, body: ChatRequest, head: Mapping[str, Any], metrics: Metrics) -> Response:
    """The engine's answer as it comes. What fails before its first word gets its own status."""
    messages = [Message(_ROLES[m.role], m.text()) for m in body.messages if m.role in _ROLES]  # type: ignore[arg-type]
    if not messages:
        raise ApiError(400, "there is no message of a system, a user or an assistant", param="messages")
    deltas = model.language.chat(
        messages,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=_TEMPERATURE if body.temperature is None else body.temperature,
        schema=_schema(body.response_format),
        adapter=model.adapter,
    )
    if body.stream:
        first = await anext(deltas, None)
        chunks = _chunks(messages, head, first, deltas, body.wants_usage, metrics)
        return StreamingResponse(chunks, media_type="text/event-stream", headers=STREAM_HEADERS)
    async with aclosing(deltas):
        texts = [delta async for delta in deltas]
    message = {"role": "assistant", "content": "".join(texts), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _ending(texts).finish}
    return Json({**head, "object": "chat.completion", "choices": [choice], "usage": _usage(messages, texts)})


async def _chunks(
    messages: list[Message],
    head: Mapping[str, Any],
    first: str | None,
    deltas: AsyncGenerator[str],
    with_usage: bool,
    metrics: Metrics,
) -> AsyncIterator[bytes]:
    head = {**head, "object": "chat.completion.chunk"}
    texts: list[str] = []

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return line({**head, "choices": [choice], "usage": None} if with_usage else {**head, "choices": [choice]})

    metrics.streams.inc()
    try:
        async with aclosing(deltas):
            yield chunk({"role": "assistant", "content": ""})
            delta = first
            while delta is not None:
                texts.append(delta)
                if delta:
                    yield chunk({"content": delta})
                delta = await anext(deltas, None)
        yield chunk({}, _ending(texts).finish)
        if with_usage:
            yield line({**head, "choices": [], "usage": _usage(messages, texts)})
        yield b"data: [DONE]\n\n"
    except Exception as error:
        yield line(from_exception(error).body)
    finally:
        metrics.streams.dec()


def _ending(texts: Sequence[str]) -> Ending:
    """How an answer ended, as far as the engine told."""
    return texts[-1] if texts and isinstance(texts[-1], Ending) else Ending()


def _usage(messages: Sequence[Message], texts: Sequence[str]) -> dict[str, int]:
    """Tokens where the engine counted them, else words."""
    ending = _ending(texts)
    asked, answered = ending.prompt_tokens, ending.completion_tokens
    if asked is None or answered is None:
        asked, answered = words(*(message.content for message in messages)), words("".join(texts))
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _schema(response_format: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The JSON schema that the answer must satisfy; `ApiError` for one that cannot be used."""
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    described = response_format.get("json_schema")
    schema = described.get("schema") if kind == "json_schema" and isinstance(described, Mapping) else None
    if not isinstance(schema, Mapping):
        message = "response_format is of type text, json_object, or json_schema with its json_schema.schema"
        raise ApiError(400, message, param="response_format")
    import jsonschema
    import referencing.jsonschema as drafts
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable

    try:
        jsonschema.validators.validator_for(schema).check_schema(schema)
        resource: Resource[Any] = Resource.from_contents(schema, default_specification=drafts.DRAFT202012)
        resolver = Registry().with_resource("", resource).resolver()
        for reference in _references(schema):
            resolver.lookup(reference)
    except jsonschema.SchemaError as error:
        raise ApiError(400, f"the JSON schema is not valid: {error.message}", param="response_format") from None
    except Unresolvable as error:
        raise ApiError(400, f"the JSON schema has nothing at {error.ref}", param="response_format") from None
    return schema


def _references(part: Any) -> Iterator[str]:
    """The references in a schema. As answers are checked here, it may have none to elsewhere, which would be fetched,
    and no pattern, which could take for ever."""
    if isinstance(part, Mapping):
        if isinstance(part.get("pattern"), str) or "patternProperties" in part:
            raise ApiError(400, "the JSON schema must not have patterns", param="response_format")
        for reference in (part[key] for key in ("$ref", "$dynamicRef") if isinstance(part.get(key), str)):
            if not reference.startswith("#"):
                raise ApiError(400, "the references of the JSON schema must begin with #", param="response_format")
            yield reference
    for inner in part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ():
        yield from _references(inner)
