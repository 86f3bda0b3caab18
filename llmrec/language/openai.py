"""Any OpenAI-compatible endpoint as an `Engine`: vLLM, Ray Serve, llama.cpp, hosted ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmrec.contracts import AdapterSource, Capabilities, Message, Prompt
from llmrec.errors import EngineError, EngineNonsense, EngineTimeout, EngineUnavailable, NotSupported, UserError
from llmrec.language.engines import key_from_environment
from llmrec.language.trie import TokenTrie

RETRIES = 1
"""How often a call that failed before its first word is tried again; the deadline counts all tries."""


class OpenAIEngine:
    """Chat at an OpenAI-compatible endpoint, streamed. One client for all calls; close it with `aclose`."""

    def __init__(
        self,
        target: str,
        *,
        timeout: float = 20.0,
        adapters: AdapterSource | None = None,
        folder: Path | None = None,
        retries: int = RETRIES,
    ) -> None:
        """See `contracts.EngineFactory`; `target`: `<base url>[#model]`."""
        url, _, model = target.partition("#")
        if not url.startswith(("http://", "https://")):
            raise UserError(f"cannot read the llm address {url!r}: write openai:https://host/v1#model")
        from openai import AsyncOpenAI

        self.url, self.name = url, model
        self._timeout = timeout
        # an endpoint without keys takes any; the client refuses to have none
        self._client = AsyncOpenAI(
            base_url=url, api_key=key_from_environment() or "none", timeout=timeout, max_retries=retries
        )

    def __repr__(self) -> str:
        return f"OpenAIEngine({self.url!r}, model={self.name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """Chat, with JSON schemas."""
        return Capabilities(chat=True, structured=True)

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        schema: Mapping[str, Any] | None = None,
        adapter: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  (the contract's: it covers a stream, not one await)
    ) -> AsyncIterator[str]:
        """See `Engine.chat`. With a schema the answer comes in one piece, after it has been checked.

        A caller that stops iterating (or is cancelled) closes the connection, so that the server stops too.
        """
        if adapter is not None:
            raise NotSupported("an openai: engine serves no adapters: name the adapted model in the URI instead")
        clock = asyncio.get_running_loop().time
        deadline = clock() + (timeout or self._timeout)
        pieces: list[str] = []
        answer = self._answer(messages, max_tokens, temperature, schema)
        try:
            while True:
                try:
                    # a deadline for each piece, because one around a yield would cancel the caller's own work
                    async with asyncio.timeout_at(deadline):
                        piece = await anext(answer)
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    raise EngineTimeout(
                        f"the language model at {self.url} did not answer within {timeout or self._timeout:g} s"
                    ) from None
                if schema is None:
                    yield piece
                else:
                    pieces.append(piece)
        finally:
            await answer.aclose()
        if schema is not None:
            yield _checked("".join(pieces), schema)

    async def _answer(
        self, messages: Sequence[Message], max_tokens: int, temperature: float, schema: Mapping[str, Any] | None
    ) -> AsyncGenerator[str]:
        import openai

        options: dict[str, Any] = {}
        if schema is not None:
            options["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": dict(schema), "strict": True},
            }
        finished = begun = False
        try:
            stream: Any = await self._client.chat.completions.create(
                model=await self._model(),
                messages=[{"role": m.role, "content": m.content} for m in messages],  # type: ignore[misc]
                max_tokens=max_tokens,
                temperature=temperature,
                stream=True,
                **options,
            )
            begun = True
            try:
                async for chunk in stream:
                    for choice in (chunk.choices or [])[:1]:
                        finished = finished or choice.finish_reason is not None
                        if choice.delta is not None and choice.delta.content:
                            yield choice.delta.content
            finally:
                await stream.close()
        except EngineError:
            raise
        except openai.APITimeoutError:
            raise EngineTimeout(f"the language model at {self.url} did not answer in time") from None
        except openai.AuthenticationError:
            raise EngineError(f"the endpoint {self.url} refuses the key: set LLMREC_LLM_KEY") from None
        except openai.NotFoundError:
            raise EngineError(
                f"the endpoint {self.url} does not know the model {self.name!r}: name another after # in the setting"
            ) from None
        except (openai.RateLimitError, openai.InternalServerError) as error:
            raise EngineUnavailable(f"the language model at {self.url} answered {error.status_code}") from None
        except openai.APIStatusError as error:
            raise EngineError(f"the language model at {self.url} refused the request ({error.status_code})") from None
        except openai.APIConnectionError:
            what = "broke off its answer" if begun else "cannot be reached"
            raise EngineUnavailable(f"the language model at {self.url} {what}") from None
        except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError, openai.APIResponseValidationError):
            raise EngineNonsense(f"the language model at {self.url} sent what is no chat completion") from None
        except Exception as error:  # transport errors while streaming come as the HTTP library's own
            raise EngineUnavailable(
                f"the language model at {self.url} broke off its answer ({type(error).__name__})"
            ) from None
        if not finished:
            raise EngineUnavailable(f"the language model at {self.url} broke off its answer")

    async def _model(self) -> str:
        if not self.name:
            page = await self._client.models.list()
            if not page.data:
                raise EngineError(f"the endpoint {self.url} serves no model: name one after # in the llm setting")
            self.name = page.data[0].id
        return self.name

    async def score(
        self, prompt: Prompt, continuations: Sequence[Prompt], *, adapter: str | None = None
    ) -> list[float]:
        """Not supported: chat endpoints do not tell the probability of given text."""
        raise NotSupported("an openai: engine cannot score given texts: use a transformers: or vllm: engine")

    async def beam(
        self, prompt: Prompt, trie: TokenTrie, width: int, *, adapter: str | None = None
    ) -> list[tuple[int, float]]:
        """Not supported: chat endpoints have no constrained beam search."""
        raise NotSupported("an openai: engine has no constrained beam search: use a transformers: or vllm: engine")

    async def encode(self, texts: Sequence[str], *, adapter: str | None = None) -> NDArray[np.float32]:
        """Not supported: embeddings have a setting of their own."""
        raise NotSupported("an openai: engine does not embed: set embeddings to openai:<base url>#<model> instead")

    async def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Not supported: chat endpoints keep their tokenizer to themselves."""
        raise NotSupported("an openai: engine does not tell tokens: use a transformers: or vllm: engine")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


def _checked(text: str, schema: Mapping[str, Any]) -> str:
    """The JSON object in an answer, if it satisfies the schema; else `EngineNonsense`."""
    import jsonschema

    start, end = text.find("{"), text.rfind("}")
    body = text[start : end + 1] if 0 <= start < end else text
    try:
        jsonschema.validate(json.loads(body), dict(schema))
    except (json.JSONDecodeError, RecursionError):
        raise EngineNonsense("the language model answered with something that is no JSON") from None
    except jsonschema.ValidationError as error:
        raise EngineNonsense(f"the language model's JSON is not what was asked for: {error.message[:200]}") from None
    return body
