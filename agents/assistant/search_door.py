"""Search that opens behind the scenes: turns that need no search do not wait for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from llmrec.data.catalogue import Catalogue
from llmrec.errors import LlmrecError
from llmrec.retrieval.hybrid import HybridSearch

logger = logging.getLogger("llmrec.assistant")


class SearchDoor:
    """A `HybridSearch` that is being opened in a thread, with the catalogue's changes of the meantime."""

    def __init__(
        self,
        open_search: Callable[[], HybridSearch],
        warm: Callable[[], object],
        catalogue: Catalogue,
        changed: Sequence[str],
    ) -> None:
        """Begins to open it for `catalogue` with its `changed` items, then warms the embedder; needs an event loop."""
        self._task = asyncio.create_task(self._open(open_search, warm, catalogue, changed))
        self._task.add_done_callback(_log)
        self.ready: HybridSearch | None = None
        self.problem: str = ""
        """Why it cannot be opened, "" where it can."""

    async def _open(
        self,
        open_search: Callable[[], HybridSearch],
        warm: Callable[[], object],
        catalogue: Catalogue,
        changed: Sequence[str],
    ) -> HybridSearch:
        try:
            # Not in the pool for numerical work, which turns need meanwhile.
            search = await asyncio.to_thread(open_search)
            if changed:
                await search.upsert(catalogue, changed)
        except LlmrecError as error:
            self.problem = str(error)
            raise
        self.ready = search
        self._warm = asyncio.create_task(asyncio.to_thread(warm))
        self._warm.add_done_callback(_log)
        return search

    async def wait(self) -> HybridSearch:
        """The search; `VectorStoreError` where it cannot be opened."""
        return await asyncio.shield(self._task)

    async def upsert(self, catalogue: Catalogue, item_ids: Sequence[str]) -> None:
        """Search `catalogue` from now on, in which these items are new or changed."""
        await (await self.wait()).upsert(catalogue, item_ids)

    async def aclose(self) -> None:
        """Close it, once it is open."""
        try:
            search = await self._task
        except LlmrecError:
            return
        if not self._warm.done():
            await asyncio.wait([self._warm])
        search.semantic.close()


def _log(task: asyncio.Task[object]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("%s", error)
