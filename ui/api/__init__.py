"""The OpenAI-compatible HTTP API: `create_app(assistant, settings)`."""

from llmrec.ui.api.app import create_app
from llmrec.ui.api.observe import log_requests

__all__ = ["create_app", "log_requests"]
