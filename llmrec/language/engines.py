"""Language models behind one URI: none, any OpenAI-compatible endpoint, or a plugin's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from llmrec import plugins
from llmrec.contracts import AdapterSource, Engine, EngineFactory
from llmrec.errors import UserError

KEY_VARIABLES = ("LLMREC_LLM_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key of an endpoint, first found first."""


def open_engine(
    uri: str, *, timeout: float = 20.0, adapters: AdapterSource | None = None, folder: Path | None = None
) -> Engine | None:
    """The engine behind a URI, or None for "" and "none": everything works without one.

    `transformers:<path or hub name>`: in process. `vllm:<path or hub name>`: a server that the engine starts, or
    `vllm:<base url>`: one that runs. `openai:<base url>[#model]`: any compatible endpoint; without a model, the first
    that it lists; its key comes from `LLMREC_LLM_KEY` or `OPENAI_API_KEY`. Other schemes are plugins of the group
    `llmrec.engines`. The keywords are those of `contracts.EngineFactory`.

    Raises `UserError` for a URI that cannot be read.
    """
    if uri in ("", "none"):
        return None
    scheme, colon, target = uri.partition(":")
    if not colon or not target:
        raise UserError(f"cannot read the llm setting {uri!r}: write openai:https://host/v1#model, or leave it empty")
    factory = cast(EngineFactory, plugins.load("llmrec.engines", scheme))
    return factory(target, timeout=timeout, adapters=adapters, folder=folder)


def key_from_environment() -> str:
    """The endpoint's key, or "" where none is set."""
    return next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), "")
