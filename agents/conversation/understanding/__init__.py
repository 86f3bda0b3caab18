"""From what people type to typed acts (`llmrec.acts`)."""

from llmrec.agents.conversation.understanding.understanding import Source, Understanding, Understood

__all__ = ["Source", "Understanding", "Understood"]
