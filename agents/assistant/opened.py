"""A workspace, opened: its models in memory, the heavy ones when they are first needed."""

from __future__ import annotations

import difflib
import json
import threading
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from llmrec.agents.assistant import steps
from llmrec.agents.assistant.people import People
from llmrec.contracts import Embedder, Progress, Recommender, no_progress
from llmrec.data.catalogue import Catalogue
from llmrec.errors import UnknownName, WorkspaceError
from llmrec.retrieval.hybrid import HybridSearch
from llmrec.retrieval.item_vectors import ItemVectors
from llmrec.retrieval.search_steps import EMBEDDINGS, open_search
from llmrec.settings import Settings
from llmrec.workspace import Workspace


class Opened:
    """One version of a workspace, as it was built; `close` lets go of it."""

    def __init__(self, workspace: Workspace, settings: Settings, embedder: LazyEmbedder) -> None:
        """Use `open`."""
        self.workspace, self.embedder = workspace, embedder
        self.name = str(json.loads((workspace.artefact(steps.DATASET) / steps.ABOUT).read_text("utf-8"))["name"])
        self.catalogue = Catalogue.load(workspace.artefact(steps.CATALOGUE))
        self.people = People.load(workspace.artefact(steps.PRIOR))
        self._settings = settings
        self._models: dict[str, Recommender] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, workspace: Workspace, settings: Settings) -> Self:
        """Open it; takes over `workspace`, which is closed by `close` and where this fails.

        Raises `WorkspaceError` where the settings do not fit the build.
        """
        try:
            built = workspace.record(EMBEDDINGS).settings["embeddings"]
            if built != settings.embeddings:
                raise WorkspaceError(
                    f"the workspace was built with the embeddings {built!r}, but the setting is "
                    f"{settings.embeddings!r}: change it back, or build the workspace again"
                )
            vectors = ItemVectors.load(workspace.artefact(EMBEDDINGS))
            embedder = LazyEmbedder(settings.embeddings, vectors.model, vectors.matrix.shape[1])
            return cls(workspace, settings, embedder)
        except BaseException:
            workspace.close()
            raise

    def close(self) -> None:
        """Let go of files and lease; what `open_search` gave is its caller's to close."""
        self.workspace.close()

    def open_search(self) -> HybridSearch:
        """Search over the catalogue of the build; imports Chroma, which takes its time.

        Raises `VectorStoreError` for a damaged store.
        """
        return open_search(
            self.workspace, self.catalogue, self.embedder, self._settings.vectors, self.people.popularity
        )

    @property
    def recommenders(self) -> list[str]:
        """Names of the recommenders that were built."""
        return [name for name in steps.recommenders() if self.workspace.has(steps.artefact(name))]

    def recommender(self, name: str) -> Recommender:
        """A recommender, loaded once; `UnknownName` where it was not built."""
        with self._lock:
            if name not in self._models:
                self._models[name] = self._load(name)
            return self._models[name]

    def _load(self, name: str) -> Recommender:
        known = self.recommenders
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"this workspace has {', '.join(known) or 'none'}"
            raise UnknownName(f"there is no recommender {name!r}: {hint}")
        return steps.recommenders()[name].load(self.workspace.artefact(steps.artefact(name)))


class LazyEmbedder:
    """An embedder that is loaded at its first use: importing it takes longer than everything else."""

    def __init__(self, uri: str, name: str, dimensions: int) -> None:
        self.uri, self.name, self.dimensions = uri, name, dimensions
        self._embedder: Embedder | None = None
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
        """(n, dimensions) unit vectors; see `contracts.Embedder`."""
        return self.load().embed(texts, progress)

    def load(self) -> Embedder:
        """The embedder itself; `WorkspaceError` where it is another than the one of the build."""
        with self._lock:
            if self._embedder is None:
                from llmrec.language.embeddings import open_embedder

                embedder = open_embedder(self.uri)
                if embedder.name != self.name:
                    raise WorkspaceError(
                        f"the embeddings {self.uri!r} are now {embedder.name!r}, the workspace was built with "
                        f"{self.name!r}: build it again"
                    )
                self._embedder = embedder
            return self._embedder
