"""Adapters of the language model: the store of named PEFT adapters and the sources that find them."""

from llmrec.adapters.check import AdapterFacts, check_adapter
from llmrec.adapters.sources import AdapterSources
from llmrec.adapters.store import AdapterStore, StoredAdapter

__all__ = ["AdapterFacts", "AdapterSources", "AdapterStore", "StoredAdapter", "check_adapter"]
