"""The vectors of a catalogue's texts, as a build writes them: one matrix on disk, memory-mapped while it serves."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from llmrec.contracts import Embedder, Progress, no_progress
from llmrec.data.catalogue import Catalogue
from llmrec.errors import WorkspaceError

_MATRIX, _META, _IDS = "vectors.npy", "vectors.json", "items.json"


@dataclass(frozen=True)
class ItemVectors:
    """n unit vectors of d dimensions; row i belongs to catalogue position i."""

    ids: list[str]
    matrix: NDArray[np.float32]
    """(n, d)."""
    model: str
    """Name of the embedder."""
    fingerprint: str
    """16 hex digits that name this content."""

    @classmethod
    def build(cls, catalogue: Catalogue, embedder: Embedder, progress: Progress = no_progress) -> Self:
        """Embed `Catalogue.text` of every item; equal texts are embedded once."""
        texts = catalogue.text(range(len(catalogue)))
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        matrix = embedder.embed(list(distinct), progress)[[distinct[text] for text in texts]]
        ids = [str(item) for item in catalogue.index.ids]
        content = json.dumps([embedder.name, ids, texts], ensure_ascii=False).encode()
        return cls(ids, matrix, embedder.name, hashlib.sha256(content).hexdigest()[:16])

    def save(self, folder: Path) -> None:
        """Write into an existing folder."""
        np.save(folder / _MATRIX, self.matrix, allow_pickle=False)
        (folder / _IDS).write_text(json.dumps(self.ids, ensure_ascii=False), encoding="utf-8")
        meta = {"model": self.model, "fingerprint": self.fingerprint}
        (folder / _META).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; `WorkspaceError` where it is damaged."""
        try:
            mode: Literal["r"] | None = "r" if _has_rows(folder) else None
            matrix = np.asarray(np.load(folder / _MATRIX, mmap_mode=mode, allow_pickle=False))
            ids = json.loads((folder / _IDS).read_text(encoding="utf-8"))
            meta = json.loads((folder / _META).read_text(encoding="utf-8"))
            if len(ids) != len(matrix):
                raise ValueError("ids and vectors differ in number")
            return cls(ids, matrix, meta["model"], meta["fingerprint"])
        except (OSError, ValueError, KeyError) as error:
            raise WorkspaceError(f"the vectors in {folder} are damaged ({error}): build the workspace again") from error


def _has_rows(folder: Path) -> bool:
    """Whether there is something to map; an empty array cannot be."""
    with (folder / _MATRIX).open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
    return 0 not in shape
