"""`vllm:` engines: a vLLM server that llmrec starts and supervises, or one that runs already."""
