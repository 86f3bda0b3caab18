"""Language: text embeddings, engines, prompts."""
