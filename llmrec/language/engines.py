"""Language models behind one URI: none, any OpenAI-compatible endpoint, or a plugin's."""

from __future__ import annotations

import os
from typing import cast

from llmrec import plugins
from llmrec.contracts import Engine
from llmrec.errors import NotSupported, UserError

KEY_VARIABLES = ("LLMREC_LLM_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key of an endpoint, first found first."""
_LATER = ("transformers", "vllm")


def open_engine(uri: str, *, timeout: float = 20.0) -> Engine | None:
    """The engine behind a URI, or None for "": everything works without one.

    `openai:<base url>[#model]`: any compatible endpoint; without a model, the first that it lists. The key comes from
    `LLMREC_LLM_KEY` or `OPENAI_API_KEY`. Other schemes are plugins of the group `llmrec.engines`, called with the
    rest of the URI and `timeout` (seconds for one answer).

    Raises `UserError` for a URI that cannot be read and `NotSupported` for engines that this version lacks.
    """
    if not uri:
        return None
    scheme, colon, rest = uri.partition(":")
    if not colon or not rest:
        raise UserError(f"cannot read the llm setting {uri!r}: write openai:https://host/v1#model, or leave it empty")
    if scheme in plugins.names("llmrec.engines"):
        return cast(Engine, plugins.load("llmrec.engines", scheme)(rest, timeout=timeout))
    if scheme in _LATER:
        raise NotSupported(
            f"{scheme}: engines come with a later version: serve the model elsewhere and use openai:http://host/v1#model"
        )
    return cast(Engine, plugins.load("llmrec.engines", scheme)(rest, timeout=timeout))


def key_from_environment() -> str:
    """The endpoint's key, or "" where none is set."""
    return next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), "")
