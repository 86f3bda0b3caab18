"""What to do next in a conversation: one file for each policy."""
