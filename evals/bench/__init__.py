"""Benchmarks of speed and memory, started by `llmrec bench NAME`; one file each, options are the class's fields."""
