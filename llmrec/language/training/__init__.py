"""`llmrec train language`: tokenizers and models from scratch, hub models continued; one recipe."""
