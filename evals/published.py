"""Published figures that stand beside ours where dataset and protocol are the same."""

from __future__ import annotations

from llmrec.contracts import Row
from llmrec.evals.metrics import HR, NDCG, RECALL, at

_PROTOCOL = "as published: 5-core, leave-one-out, full ranking; most papers fit without the validation event"

_NEXT_ITEM: dict[str, dict[str, tuple[float, float | None]]] = {
    "amazon-beauty": {
        "BERT4Rec": (0.0347, 0.0170),
        "SASRec (BCE)": (0.0605, 0.0318),
        "S3-Rec": (0.0647, 0.0327),
        "TIGER": (0.0648, 0.0384),
        "ActionPiece": (0.0775, 0.0424),
        "HSTU": (0.0788, 0.0439),
        "SASRec (sampled softmax)": (0.0921, 0.0531),
        "OneRec-Foundation": (0.0924, None),
        "eSASRec": (0.0928, 0.0523),
    }
}
"""Dataset to method to HR@10 and NDCG@10."""


def next_item(dataset: str) -> list[Row]:
    """Published rows for the test events of the leave-one-out split."""
    return [
        Row(
            name,
            "published",
            {at(HR, 10): hr} | ({} if ndcg is None else {at(NDCG, 10): ndcg}),
            protocol=_PROTOCOL,
        )
        for name, (hr, ndcg) in _NEXT_ITEM.get(dataset, {}).items()
    ]


_PRODUCT_SEARCH: dict[str, dict[str, tuple[float, float]]] = {
    "chorus-electronics": {"BM25": (0.733, 0.871), "MiniLM": (0.608, 0.834), "their fusion": (0.769, 0.889)}
}
"""Dataset to method to NDCG@10 and Recall@100."""


def product_search(dataset: str) -> list[Row]:
    """The figures that the page of the data gives for the protocol of `eval search`."""
    return [
        Row(name, "published", {at(NDCG, 10): ndcg, at(RECALL, 100): recall}, protocol="ties not stated")
        for name, (ndcg, recall) in _PRODUCT_SEARCH.get(dataset, {}).items()
    ]
