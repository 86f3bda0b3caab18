"""The agents: conversation, search, memory, and the assistant that composes a workspace's parts."""
