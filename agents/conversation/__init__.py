"""The conversation: path reasoning over a belief, as a LangGraph graph of one turn."""
