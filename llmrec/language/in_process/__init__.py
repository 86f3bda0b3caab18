"""`transformers:` engines: a language model in this process."""
