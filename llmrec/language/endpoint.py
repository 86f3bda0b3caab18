"""The client of OpenAI-compatible servers: streamed chat and other calls, with a deadline and one family of errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llmrec.contracts import Ending, Message
from llmrec.errors import EngineError, EngineNonsense, EngineRefused, EngineTimeout, EngineUnavailable
from llmrec.language.schema import checked

RETRIES = 1
"""How often a call that failed before its first word is tried again; the deadline counts all tries."""
_DONE = "[DONE]"


class Endpoint:
    """One server. Close it with `aclose`."""

    def __init__(self, url: str, key: str, timeout: float, *, model: str = "", retries: int = RETRIES) -> None:
        """`url` ends in /v1; `timeout`: seconds for one whole answer, where a call gives no other; `model`: what is
        asked where a call names none, "" for the first that the server lists."""
        from openai import AsyncOpenAI

        self.url, self.timeout, self.model = url, timeout, model
        # an endpoint without keys takes any; the client refuses to have none
        self._client = AsyncOpenAI(base_url=url, api_key=key or "none", timeout=timeout, max_retries=retries)

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        schema: Mapping[str, Any] | None = None,
        model: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  (it covers a stream, not one await)
        options: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[str]:
        """Text deltas and an `Ending`; with a schema the answer comes in one piece, after it has been checked.

        A caller that stops iterating (or is cancelled) closes the connection, so that the server stops too. `options`:
        more keys of the request's body, where the server has some of its own.
        """
        clock = asyncio.get_running_loop().time
        seconds = timeout or self.timeout
        deadline = clock() + seconds
        pieces: list[str] = []
        answer = self._answer(model or self.model, messages, max_tokens, temperature, schema, options or {})
        try:
            while True:
                try:
                    # a deadline for each piece, because one around a yield would cancel the caller's own work
                    async with asyncio.timeout_at(deadline):
                        piece = await anext(answer)
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    raise self.too_slow(seconds) from None
                if schema is None:
                    yield piece
                else:
                    pieces.append(piece)
        finally:
            await answer.aclose()
        if schema is not None:
            yield checked("".join(pieces), schema)
            yield pieces[-1]

    async def _answer(
        self,
        model: str,
        messages: Sequence[Message],
        max_tokens: int,
        temperature: float,
        schema: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> AsyncGenerator[str]:
        format_: dict[str, Any] = {}
        if schema is not None:
            json_schema = {"name": "answer", "schema": dict(schema), "strict": True}
            format_["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        finish: str | None = None
        counts: tuple[int | None, ...] = ()
        with self._errors(model) as begun:
            model = model or await self.first_model()
            request = self._client.chat.completions.with_streaming_response.create(
                model=model,
                messages=[{"role": m.role, "content": m.content} for m in messages],  # type: ignore[misc]
                max_tokens=max_tokens,
                temperature=temperature,
                stream=True,
                extra_body=dict(options),
                **format_,
            )
            async with request as response:
                begun.append(True)
                # Read here: the client would make every chunk a tree of typed objects, a millisecond of work each.
                async for line in response.iter_lines():
                    data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                    if not data or data == _DONE:
                        continue
                    chunk = json.loads(data)
                    if chunk.get("error"):
                        raise EngineUnavailable(f"the language model at {self.url} failed in its answer")
                    if usage := chunk.get("usage"):  # of servers that send it, or were asked to
                        counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
                    for choice in (chunk.get("choices") or [])[:1]:
                        finish = choice.get("finish_reason") or finish
                        if content := (choice.get("delta") or {}).get("content"):
                            yield "" + content
            if finish is None:
                raise EngineUnavailable(f"the language model at {self.url} broke off its answer")
            yield Ending("length" if finish == "length" else "stop", *counts)

    async def post(self, path: str, body: Mapping[str, Any], *, seconds: float | None = None) -> Any:
        """What the server answers to one request: parsed JSON, or text. `path` is below /v1, or a whole address."""
        seconds = seconds or self.timeout
        try:
            async with asyncio.timeout(seconds):
                with self._errors(str(body.get("model", ""))):
                    return await self._client.post(path, body=dict(body), cast_to=object, options={"timeout": seconds})
        except TimeoutError:
            raise self.too_slow(seconds) from None

    @property
    def root(self) -> str:
        """The server's address without the /v1 at its end."""
        return self.url.removesuffix("/v1")

    async def models(self) -> list[dict[str, Any]]:
        """What the server lists at /v1/models."""
        with self._errors(""):
            page = await self._client.models.list()
            return [model.model_dump() for model in page.data]

    async def first_model(self) -> str:
        """The model that is asked where a call names none."""
        if not self.model:
            found = await self.models()
            if not found:
                raise EngineError(f"the endpoint {self.url} serves no model: name one after # in the llm setting")
            self.model = str(found[0]["id"])
        return self.model

    def too_slow(self, seconds: float) -> EngineTimeout:
        """The error of a deadline that has passed."""
        return EngineTimeout(f"the language model at {self.url} did not answer within {seconds:g} s")

    @contextmanager
    def _errors(self, model: str) -> Iterator[list[bool]]:
        """Whatever fails inside is raised as an `EngineError`. Yields a list that is not empty once an answer began."""
        import openai

        begun: list[bool] = []
        try:
            yield begun
        except EngineError:
            raise
        except openai.APITimeoutError:
            raise EngineTimeout(f"the language model at {self.url} did not answer in time") from None
        except openai.AuthenticationError:
            raise EngineError(f"the endpoint {self.url} refuses the key: set LLMREC_LLM_KEY") from None
        except openai.NotFoundError as error:
            message = f"the endpoint {self.url} does not know the model {model!r}: name another after # in the setting"
            raise EngineRefused(message, 404, _reason(error)) from None
        except (openai.RateLimitError, openai.InternalServerError) as error:
            raise EngineUnavailable(f"the language model at {self.url} answered {error.status_code}") from None
        except openai.APIStatusError as error:
            code, reason = error.status_code, _reason(error)
            message = f"the language model at {self.url} refused the request ({code}{reason and f': {reason}'})"
            raise EngineRefused(message, code, reason) from None
        except openai.APIConnectionError:
            what = "broke off its answer" if begun else "cannot be reached"
            raise EngineUnavailable(f"the language model at {self.url} {what}") from None
        except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError, openai.APIResponseValidationError):
            raise EngineNonsense(f"the language model at {self.url} sent what is no chat completion") from None
        except Exception as error:  # transport errors while streaming come as the HTTP library's own
            raise EngineUnavailable(
                f"the language model at {self.url} broke off its answer ({type(error).__name__})"
            ) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


def _reason(error: Any) -> str:
    """What the server says is wrong with a request, shortened."""
    body = error.body if isinstance(error.body, Mapping) else {}
    message = body.get("message")
    return message[:200] if isinstance(message, str) else ""
