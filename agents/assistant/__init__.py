"""The assistant: a workspace composed into the agent that `ui` and `evals` open."""

from llmrec.agents.assistant.assistant import Assistant
from llmrec.agents.assistant.steps import Built, build_workspace

__all__ = ["Assistant", "Built", "build_workspace"]
