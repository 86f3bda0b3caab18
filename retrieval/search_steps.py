"""The steps of a build that make a catalogue searchable, and how to open what they made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmrec.contracts import Embedder, Progress, no_progress
from llmrec.data.catalogue import Catalogue
from llmrec.language.embeddings import open_embedder
from llmrec.retrieval.hybrid import HybridSearch
from llmrec.retrieval.item_vectors import ItemVectors
from llmrec.retrieval.lexical import LexicalIndex
from llmrec.retrieval.semantic import SemanticIndex
from llmrec.retrieval.vectors import VectorStore, check_uri
from llmrec.workspace import Step, StepContext, Workspace

LEXICAL, EMBEDDINGS, VECTORS = "retrieval/lexical", "retrieval/embeddings", "retrieval/vectors"


def search_steps(catalogue: str, embeddings: str = "minilm", vectors: str = "") -> list[Step]:
    """The steps for the artefact named `catalogue` (what `Catalogue.save` wrote).

    `embeddings` and `vectors` are the settings of that name; `vectors` "" is Chroma in the artefact's own folder.
    """
    if vectors:
        check_uri(vectors)

    def lexical(context: StepContext) -> None:
        LexicalIndex.build(Catalogue.load(context.inputs[catalogue]), progress=context.progress).save(context.folder)

    def embed(context: StepContext) -> None:
        items = Catalogue.load(context.inputs[catalogue])
        ItemVectors.build(items, open_embedder(embeddings), context.progress).save(context.folder)

    def store(context: StepContext) -> None:
        SemanticIndex.rebuild(context.inputs[EMBEDDINGS], vectors or _beside(context.folder), context.progress)

    return [
        Step(LEXICAL, build=lexical, needs=(catalogue,)),
        Step(EMBEDDINGS, build=embed, needs=(catalogue,), settings={"embeddings": embeddings}),
        Step(VECTORS, build=store, needs=(EMBEDDINGS,), settings={"vectors": vectors}),
    ]


def open_search(
    workspace: Workspace,
    catalogue: Catalogue,
    embedder: Embedder,
    vectors: str = "",
    popularity: NDArray[np.float32] | None = None,
    progress: Progress = no_progress,
) -> HybridSearch:
    """Search over what `search_steps` built. `vectors` as in the settings: another store than the build's is filled.

    Raises `VectorStoreError` where the store is damaged or out of reach; see `rebuild_vectors`.
    """
    lexical = LexicalIndex.load(workspace.artefact(LEXICAL), catalogue)
    folder = workspace.artefact(EMBEDDINGS)
    if vectors and not VectorStore.holds(vectors, ItemVectors.load(folder).fingerprint):
        SemanticIndex.rebuild(folder, vectors, progress)
    uri = vectors or _beside(workspace.artefact(VECTORS))
    return HybridSearch(catalogue, lexical, SemanticIndex.open(catalogue, folder, embedder, uri), popularity)


def rebuild_vectors(workspace: Workspace, vectors: str, progress: Progress = no_progress) -> None:
    """Write the workspace's vectors anew into the store that the setting `vectors` names.

    The store inside the workspace is an artefact: rebuild it by `Workspace.build(steps, rebuild={VECTORS})`.
    """
    SemanticIndex.rebuild(workspace.artefact(EMBEDDINGS), vectors, progress)


def _beside(folder: Path) -> str:
    return f"chroma:{folder}"
