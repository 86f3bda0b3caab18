"""Where adapters come from: the store, then plugins (entry points `llmrec.adapters`) in the order of their names."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path

from llmrec import plugins
from llmrec.adapters.check import check_adapter
from llmrec.adapters.store import AdapterStore, is_name
from llmrec.contracts import AdapterSource
from llmrec.errors import UserError

log = logging.getLogger(__name__)


class AdapterSources:
    """All sources as one `contracts.AdapterSource`.

    A plugin is a class, or another callable without arguments, that gives an `AdapterSource`.
    """

    def __init__(self, store: AdapterStore) -> None:
        self.store = store

    @cached_property
    def _plugins(self) -> list[tuple[str, AdapterSource]]:
        sources = []
        for name in plugins.names("llmrec.adapters"):
            try:
                sources.append((name, plugins.load("llmrec.adapters", name)()))
            except Exception as error:  # one that does not work hides no other
                log.warning("adapters of the plugin %r are left out (llmrec doctor says more): %s", name, error)
        return sources

    def resolve(self, name: str) -> Path | None:
        """The first source's folder for this name, or None; `UserError` where a plugin's folder is no good adapter."""
        folder = self.store.resolve(name)
        if folder is not None or not is_name(name):
            return folder
        for plugin, source in self._plugins:
            try:
                found = source.resolve(name)
            except Exception as error:
                log.warning("the plugin %r failed on the adapter %r: %s", plugin, name, error)
                continue
            if found is None:
                continue
            try:
                check_adapter(found)
            except UserError as error:
                raise UserError(f"the adapter {name!r} of the plugin {plugin!r} is refused: {error}") from None
            return found.absolute()
        return None
