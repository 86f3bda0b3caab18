"""Content: items whose words and attributes are like those of a person's latest items; new items are reached too."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from llmrec.contracts import Config, Progress
from llmrec.data import columns as c
from llmrec.data.catalogue import Catalogue
from llmrec.data.dataset import Dataset
from llmrec.retrieval.collaborative.arrays import Arrays
from llmrec.retrieval.collaborative.base import HistoryRecommender
from llmrec.retrieval.lexical import stems


class ContentConfig(Config):
    """Settings of `Content`."""

    decay: float = Field(0.7, gt=0, le=1)
    """Weight of an item of the history relative to the next one."""


class Content(HistoryRecommender):
    """Cosine of an item and a person's profile, which is the sum of the history's items, the newest weighing most.

    Items are TF-IDF vectors of unit length (Salton and Buckley 1988) over the stems of `Catalogue.text` and the
    attributes. It knows every item of the catalogue, so that those without interactions are found.
    """

    config_type = ContentConfig
    config: ContentConfig
    knows_all_items: ClassVar[bool] = True

    def _fit(self, matrix: sparse.csr_matrix, dataset: Dataset, progress: Progress) -> NDArray[np.bool_]:
        progress("content", 0, 1)
        self._set(_tf_idf(dataset))
        return np.diff(self._vectors.indptr) > 0

    def _set(self, vectors: sparse.csr_matrix) -> None:
        self._vectors = vectors
        self._items_of_terms = vectors.T.tocsr()

    def _score(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        lengths = np.diff(histories.indptr)
        age = np.repeat(histories.indptr[1:], lengths) - 1 - np.arange(histories.nnz)
        weights = np.float32(self.config.decay) ** age.astype(np.float32)
        profiles = sparse.csr_matrix((weights, histories.indices, histories.indptr), shape=histories.shape)
        profiles = _unit_rows(profiles @ self._vectors)
        return (profiles @ self._items_of_terms).toarray()

    def _arrays(self) -> Arrays:
        v = self._vectors
        return {"data": v.data, "indices": v.indices, "indptr": v.indptr, "terms": np.array([v.shape[1]])}

    def _restore(self, arrays: Arrays) -> None:
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        self._set(sparse.csr_matrix(parts, shape=(len(self._items), int(arrays["terms"][0]))))


def _tf_idf(dataset: Dataset) -> sparse.csr_matrix:
    """Unit vectors (items, terms) of the terms that at least two items share."""
    catalogue = Catalogue.from_dataset(dataset)
    n = len(catalogue)
    terms: dict[str, int] = {}
    rows, columns, counts = [], [], []
    # A whole attribute is a term of its own beside the words that it may consist of.
    for row, (text, attributes) in enumerate(
        zip(catalogue.text(range(n)), dataset.items[c.ATTRIBUTES].to_list(), strict=True)
    ):
        for term, count in Counter([*stems(text), *(f"={name}" for name in attributes)]).items():
            rows.append(row)
            columns.append(terms.setdefault(term, len(terms)))
            counts.append(count)
    matrix = sparse.csr_matrix((np.array(counts, np.float32), (rows, columns)), shape=(n, len(terms)))
    carriers = np.bincount(matrix.indices, minlength=len(terms))
    matrix, carriers = matrix[:, carriers > 1], carriers[carriers > 1]
    matrix.data = (1 + np.log(matrix.data)) * (np.log((1 + n) / (1 + carriers[matrix.indices])) + 1)
    return _unit_rows(matrix)


def _unit_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scaled = sparse.diags(1 / np.maximum(lengths, np.finfo(np.float32).tiny)) @ matrix
    return scaled.tocsr().astype(np.float32)
