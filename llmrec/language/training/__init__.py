"""The small-model recipe: a tokenizer and a Qwen3 model from a dataset's own text, or any model continued."""
