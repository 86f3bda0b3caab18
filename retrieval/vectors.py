"""Vectors in ChromaDB: `chroma:<folder>` on disk, `chroma+http://host:port` on its server.

On disk, each set of vectors has a folder of its own, which belongs to one process at a time (Chroma's limit): use the
server where several processes search. What a build wrote is never changed afterwards; vectors of items that change
while the system serves are a second collection beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from llmrec.contracts import Progress, no_progress
from llmrec.errors import UserError, VectorStoreError

T = TypeVar("T")

BATCH = 250
"""Vectors in one insertion: the most that Chroma takes well."""
_GRAPH = {"max_neighbors": 24, "ef_search": 400}
"""Chroma's own 16 and 100 lose a quarter of the 200 neighbours that fusion asks for (clustered vectors), these 7%."""
_FOLDER = re.compile(r"chroma:(.+)", re.DOTALL)
_SERVER = re.compile(r"chroma\+(https?)://([^/:@]+|\[[^]]+\])(?::(\d+))?/?")
_DATABASE, _CHECKS = "chroma.sqlite3", "checks.json"
_DIGEST = "text"


def check_uri(uri: str) -> None:
    """`UserError` where `uri` names no vector store."""
    if not _FOLDER.fullmatch(uri) and not _SERVER.fullmatch(uri):
        raise UserError(f"cannot read the vectors URI {uri!r}: write chroma:FOLDER or chroma+http://host:port")


class VectorStore:
    """The vectors of one catalogue in Chroma, in cosine space. Every failure is a `VectorStoreError`."""

    def __init__(self, uri: str, name: str, client: Any) -> None:
        """Use `open`; `name` is the fingerprint of the vectors."""
        self.uri = uri
        self.name = name
        self._client = client
        self._items: Any = None
        self._changed: Any = None

    @classmethod
    def build(
        cls, uri: str, name: str, ids: Sequence[str], matrix: NDArray[np.float32], progress: Progress = no_progress
    ) -> None:
        """Write n unit vectors (n, d) under this name; what the store has under it, damaged or not, is replaced.

        On disk, a build that is killed leaves what was there.
        """
        folder = _folder(uri, name)
        if folder is None:
            with closing(cls._connect(uri, name, None)) as store:
                store._write(ids, matrix, progress)
            return
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        with closing(cls._connect(uri, name, unfinished)) as store:
            store._write(ids, matrix, progress)
        (unfinished / _CHECKS).write_text(json.dumps(_checksums(unfinished), indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)

    @classmethod
    def open(cls, uri: str, name: str, count: int) -> Self:
        """Connect to the `count` vectors that `build` wrote. What is missing or damaged is said, never searched."""
        folder = _folder(uri, name)
        if folder is not None:
            _check(folder)
        store = cls._connect(uri, name, folder)
        try:
            store._items = store._try(lambda: store._client.get_collection(store._built, embedding_function=None))
            found = store._try(store._items.count)
            if found != count:
                raise VectorStoreError(_damaged(uri, f"it has {found} of {count} vectors"))
            changed = {collection.name for collection in store._try(store._client.list_collections)}
            if store._live in changed:
                store._changed = store._try(lambda: store._client.get_collection(store._live, embedding_function=None))
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def holds(cls, uri: str, name: str) -> bool:
        """Whether something is stored under this name, whole or damaged."""
        folder = _folder(uri, name)
        if folder is not None:
            return folder.exists()
        with closing(cls._connect(uri, name, None)) as store:
            return store._built in {c.name for c in store._try(store._client.list_collections)}

    def close(self) -> None:
        """Let go of the folder or the connection; safe to call twice."""
        if self._client is not None:
            client, self._client = self._client, None
            client.close()

    # --- Searching and changing ---------------------------------------------------------------------------------------

    def nearest(self, vector: NDArray[np.float32], k: int) -> tuple[list[str], NDArray[np.float32]]:
        """Ids and cosine similarities of about the k nearest built vectors (d,), nearest first."""
        found = self._try(lambda: self._items.query(query_embeddings=vector[None], n_results=k, include=["distances"]))
        return found["ids"][0], 1 - np.array(found["distances"][0], np.float32)

    def put(self, ids: Sequence[str], matrix: NDArray[np.float32], digests: Sequence[str]) -> None:
        """Keep the vectors (n, d) of changed or new items, each with the digest of its text."""
        if self._changed is None:
            self._changed = self._try(
                # Such vectors are read back as a whole and searched exactly: no graph of them is ever written.
                lambda: self._client.get_or_create_collection(
                    self._live, configuration=_configuration(sync=1_000_000), embedding_function=None
                )
            )
        for start in range(0, len(ids), BATCH):
            part = slice(start, start + BATCH)
            self._try(
                lambda part=part: self._changed.upsert(  # type: ignore[misc]
                    ids=list(ids[part]),
                    embeddings=matrix[part],
                    metadatas=[{_DIGEST: digest} for digest in digests[part]],
                )
            )

    def kept(self) -> Mapping[str, tuple[str, NDArray[np.float32]]]:
        """Item id to text digest and vector (d,) of everything that `put` has stored."""
        if self._changed is None:
            return {}
        found = self._try(lambda: self._changed.get(include=["embeddings", "metadatas"]))
        return {
            item: (str(meta[_DIGEST]), np.asarray(vector, np.float32))
            for item, vector, meta in zip(found["ids"], found["embeddings"], found["metadatas"], strict=True)
        }

    # --- Inside -------------------------------------------------------------------------------------------------------

    @property
    def _built(self) -> str:
        return f"items-{self.name}"

    @property
    def _live(self) -> str:
        return f"changed-{self.name}"

    @classmethod
    def _connect(cls, uri: str, name: str, folder: Path | None) -> Self:
        check_uri(uri)
        import chromadb
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False)
        try:
            if folder is not None:
                return cls(uri, name, chromadb.PersistentClient(str(folder), settings=settings))
            server = _SERVER.fullmatch(uri)
            assert server is not None
            scheme, host, port = server.groups()
            ssl = scheme == "https"
            client = chromadb.HttpClient(host, int(port or (443 if ssl else 8000)), ssl=ssl, settings=settings)
            return cls(uri, name, client)
        except Exception as error:
            raise VectorStoreError(_failed(uri, error)) from error

    def _write(self, ids: Sequence[str], matrix: NDArray[np.float32], progress: Progress) -> None:
        names = {collection.name for collection in self._try(self._client.list_collections)}
        for name in (self._built, self._live):
            if name in names:
                self._try(lambda name=name: self._client.delete_collection(name))  # type: ignore[misc]
        configuration = _configuration(sync=len(ids))  # the graph is written once, at the end
        items = self._try(
            lambda: self._client.create_collection(self._built, configuration=configuration, embedding_function=None)
        )
        for start in range(0, len(ids), BATCH):
            part = slice(start, start + BATCH)
            self._try(lambda part=part: items.add(ids=list(ids[part]), embeddings=matrix[part]))  # type: ignore[misc]
            progress("storing vectors", min(start + BATCH, len(ids)), len(ids))

    def _try(self, call: Callable[[], T]) -> T:
        if self._client is None:
            raise VectorStoreError(f"the vector store {self.uri} is closed: open it again")
        from chromadb.errors import NotFoundError

        try:
            return call()
        except NotFoundError as error:
            raise VectorStoreError(_damaged(self.uri, "the vectors of this catalogue are not there")) from error
        except Exception as error:
            raise VectorStoreError(_failed(self.uri, error)) from error


def _configuration(sync: int) -> Any:
    return {"hnsw": {"space": "cosine", "sync_threshold": max(sync, 2), **_GRAPH}}


def _folder(uri: str, name: str) -> Path | None:
    check_uri(uri)
    match = _FOLDER.fullmatch(uri)
    return Path(match[1]) / name if match else None


def _check(folder: Path) -> None:
    """`VectorStoreError` where a file is not as it was built: Chroma crashes the process on some damaged ones."""
    try:
        expected = json.loads((folder / _CHECKS).read_text(encoding="utf-8"))
        if expected != {name: digest for name, digest in _checksums(folder).items() if name in expected}:
            raise ValueError("its index files are not as they were written")
        with closing(sqlite3.connect(f"{(folder / _DATABASE).absolute().as_uri()}?mode=ro", uri=True)) as database:
            answer = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise ValueError(answer)
    except (OSError, ValueError, sqlite3.Error) as error:
        raise VectorStoreError(_damaged(str(folder), str(error))) from error


def _checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of the index files by relative path; the database has its own checks."""
    sums = {}
    for path in sorted(folder.glob("*/*")):
        with path.open("rb") as file:
            sums[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def _damaged(place: str, reason: str) -> str:
    return f"the vector store {place} is damaged or incomplete ({reason}): rebuild it"


def _failed(uri: str, error: Exception) -> str:
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    advice = "start the Chroma server, or correct the setting 'vectors'" if _SERVER.fullmatch(uri) else "rebuild it"
    return f"the vector store {uri} does not answer ({reason}): {advice}"
