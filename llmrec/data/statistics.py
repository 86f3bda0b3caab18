"""What a dataset looks like in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmrec.data import columns as c
from llmrec.data.dataset import Dataset


def statistics(dataset: Dataset) -> dict[str, Any]:
    """Counts, density, shares of known facts and shape of the popularity distribution; JSON can hold it.

    `gini` is the Gini coefficient of positive events over all items: 0 for equal popularity, towards 1 for one hit.
    `density` is the share of user-item pairs with a positive event. Shares are of items.
    """
    items, positives = dataset.items, dataset.positives
    matrix = dataset.matrix()
    users, n = matrix.shape
    popularity = np.asarray(matrix.sum(axis=0)).ravel()
    lengths = np.fromiter((len(history) for history in dataset.histories.values()), np.int64)
    events = dataset.interactions[c.EVENT].drop_nulls().value_counts(sort=True)
    times = dataset.interactions[c.TIMESTAMP].drop_nulls()
    names = items[c.ATTRIBUTES].explode(empty_as_null=False, keep_nulls=False)
    return {
        "name": dataset.name,
        "items": n,
        "users": users,
        "interactions": len(dataset.interactions),
        "positives": len(positives),
        "events": dict(events.iter_rows()),
        "density": matrix.nnz / (users * n) if users and n else 0.0,
        "history_median": float(np.median(lengths)) if len(lengths) else 0.0,
        "history_max": int(lengths.max(initial=0)),
        "items_without_positives": int((popularity == 0).sum()),
        "gini": _gini(popularity),
        "attributes": names.n_unique(),
        "attributes_per_item": len(names) / n,
        "with_attributes": float((items[c.ATTRIBUTES].list.len() > 0).mean() or 0.0),  # type: ignore[arg-type]
        "with_description": float((items[c.DESCRIPTION] != "").mean() or 0.0),  # type: ignore[arg-type]
        "with_brand": float((items[c.BRAND] != "").mean() or 0.0),  # type: ignore[arg-type]
        "with_price": 1 - items[c.PRICE].null_count() / n,
        "with_year": 1 - items[c.YEAR].null_count() / n,
        "first_event": int(times.min()) if len(times) else None,  # type: ignore[arg-type]
        "last_event": int(times.max()) if len(times) else None,  # type: ignore[arg-type]
        "queries": dataset.judgments[c.QUERY].n_unique(),
        "judgments": len(dataset.judgments),
        "reviews": len(dataset.reviews),
    }


def _gini(counts: NDArray[np.float32]) -> float:
    ordered = np.sort(counts.astype(np.float64))
    total = ordered.sum()
    if total == 0:
        return 0.0
    n = len(ordered)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))
