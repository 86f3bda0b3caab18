"""The graph of users, items and attributes that conversations walk on."""

from llmrec.retrieval.graph.graph import AttributeGraph, Stop
from llmrec.retrieval.graph.links import Links

__all__ = ["AttributeGraph", "Links", "Stop"]
