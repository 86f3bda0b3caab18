"""The assistant: a workspace composed into the agent that `ui` and `evals` open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmrec.agents.assistant.steps import Built, build_workspace

if TYPE_CHECKING:
    from llmrec.agents.assistant.assistant import Assistant

__all__ = ["Assistant", "Built", "build_workspace"]


def __getattr__(name: str) -> Any:
    # A build does without LangGraph, which takes seconds to import.
    if name == "Assistant":
        from llmrec.agents.assistant.assistant import Assistant

        return Assistant
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
