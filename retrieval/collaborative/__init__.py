"""Recommenders that learn from interactions alone."""

from llmrec.retrieval.collaborative.ease import EASE, EASEConfig
from llmrec.retrieval.collaborative.ials import IALS, IALSConfig
from llmrec.retrieval.collaborative.item_to_item import ItemToItem, ItemToItemConfig
from llmrec.retrieval.collaborative.popularity import Popularity, PopularityConfig

__all__ = [
    "EASE",
    "IALS",
    "EASEConfig",
    "IALSConfig",
    "ItemToItem",
    "ItemToItemConfig",
    "Popularity",
    "PopularityConfig",
]
