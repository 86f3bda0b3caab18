"""Text embeddings behind one URI: the offline MiniLM, any sentence-transformers model, any OpenAI-compatible server."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmrec.contracts import Embedder, Progress, no_progress
from llmrec.errors import EngineNonsense, EngineTimeout, EngineUnavailable, UserError

MINILM = "minilm"
_OPENAI = "openai:"
_CACHED = 4096
"""Vectors kept: queries repeat, and a chat turn has no time to embed one twice."""
_SMALL = 16
"""Calls with at most this many texts are queries and go through the cache; larger ones are catalogues."""


def open_embedder(uri: str = MINILM) -> Embedder:
    """The embedder behind a URI.

    `minilm` is the model of the offline package; `openai:<base url>#<model>` a server with `/embeddings` (key from
    `OPENAI_API_KEY`); anything else a sentence-transformers name or folder. Raises `UserError` where there is none.
    """
    if uri == MINILM:
        from llmrec.language.minilm import MiniLM

        return CachedEmbedder(MiniLM())
    if uri.startswith(_OPENAI):
        url, _, model = uri.removeprefix(_OPENAI).partition("#")
        if not url.startswith(("http://", "https://")) or not model:
            raise UserError(f"cannot read the embeddings URI {uri!r}: write openai:https://host/v1#model")
        return CachedEmbedder(OpenAIEmbedder(url, model))
    if not uri:
        raise UserError("the embeddings setting is empty: name a model, such as minilm")
    return CachedEmbedder(SentenceTransformerEmbedder(uri))


class CachedEmbedder:
    """An embedder that remembers the vectors of recent queries. Safe to share between threads."""

    def __init__(self, inner: Embedder, size: int = _CACHED) -> None:
        self.inner = inner
        self.name = inner.name
        self._size = size
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def dimensions(self) -> int:
        return self.inner.dimensions

    def embed(self, texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
        """(n, dimensions) unit vectors."""
        if len(texts) > _SMALL:
            return self.inner.embed(texts, progress)
        with self._lock:
            known = {text: self._vectors[text] for text in texts if text in self._vectors}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known |= dict(zip(missing, self.inner.embed(missing, progress), strict=True))
        with self._lock:
            for text in known:
                self._vectors[text] = known[text]
                self._vectors.move_to_end(text)
            while len(self._vectors) > self._size:
                self._vectors.popitem(last=False)
        return np.array([known[text] for text in texts], np.float32).reshape(len(texts), self.dimensions)


class SentenceTransformerEmbedder:
    """A sentence-transformers model from the hub's cache, the hub or a folder."""

    def __init__(self, name: str) -> None:
        from sentence_transformers import SentenceTransformer

        self.name = name
        try:
            self._model: Any = SentenceTransformer(name)
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"cannot load the embedding model {name!r} ({reason}): name a sentence-transformers model that can be "
                "reached, its folder, or 'minilm', which needs no network"
            ) from error
        self.dimensions = int(self._model.get_embedding_dimension() or 0)

    def embed(self, texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
        """(n, dimensions) unit vectors."""
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        chunk = 1024  # it sorts by length itself; chunks are for the progress alone
        for start in range(0, len(texts), chunk):
            part = list(texts[start : start + chunk])
            vectors[start : start + chunk] = self._model.encode(
                part, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
            )
            progress("embedding texts", start + len(part), len(texts))
        return vectors


class OpenAIEmbedder:
    """A server that speaks the OpenAI embeddings API, such as vLLM. Failures raise the `EngineError` family."""

    def __init__(self, url: str, model: str, timeout: float = 60.0, batch: int = 128) -> None:
        from openai import OpenAI

        self.name = model
        self._batch = batch
        key = os.environ.get("OPENAI_API_KEY", "none")  # the client insists on one, local servers do not
        self._client = OpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=2)

    @cached_property
    def dimensions(self) -> int:
        return int(self._request(["dimensions"]).shape[1])

    def embed(self, texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
        """(n, dimensions) unit vectors."""
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for start in range(0, len(texts), self._batch):
            part = self._request(list(texts[start : start + self._batch]))
            if part.shape[1] != self.dimensions:
                raise EngineNonsense(
                    f"the embeddings server changed its dimensions to {part.shape[1]}: check {self.name}"
                )
            vectors[start : start + len(part)] = part
            progress("embedding texts", start + len(part), len(texts))
        return vectors

    def _request(self, texts: list[str]) -> NDArray[np.float32]:
        import openai

        try:
            # Servers answer an empty text with an error.
            answer = self._client.embeddings.create(
                model=self.name, input=[text or " " for text in texts], encoding_format="float"
            )
            rows = sorted(answer.data, key=lambda row: row.index)
            vectors = np.array([row.embedding for row in rows], np.float32)
        except openai.APITimeoutError as error:
            raise EngineTimeout(f"the embeddings server at {self._client.base_url} did not answer in time") from error
        except (openai.APIConnectionError, openai.InternalServerError) as error:
            raise EngineUnavailable(
                f"the embeddings server at {self._client.base_url} cannot be reached ({error}): start it, or change "
                "the setting 'embeddings'"
            ) from error
        except openai.APIStatusError as error:
            raise EngineUnavailable(f"the embeddings server refused the model {self.name!r}: {error}") from error
        except (openai.OpenAIError, AttributeError, TypeError, ValueError) as error:
            raise EngineNonsense(f"the embeddings server's answer cannot be read: {error}") from error
        length = np.linalg.norm(vectors, axis=1, keepdims=True) if vectors.ndim == 2 else np.zeros(1)
        if len(vectors) != len(texts) or not np.isfinite(length).all() or not length.all():
            raise EngineNonsense(
                f"the embeddings server did not answer with one vector for each text: check {self.name}"
            )
        return vectors / length
