"""The demo world: a seeded simulation of a bookshop with invented books, readers, searches and reviews."""

from llmrec.data.demo_world.world import Truth, generate, load_truth

__all__ = ["Truth", "generate", "load_truth"]
