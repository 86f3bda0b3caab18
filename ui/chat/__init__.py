"""The chat page: a Gradio application on the API's port that speaks to the same assistant."""

from llmrec.ui.chat.mount import mount_chat

__all__ = ["mount_chat"]
