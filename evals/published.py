"""Published figures that stand beside ours where dataset and protocol are the same."""

from __future__ import annotations

from llmrec.contracts import Row
from llmrec.evals.metrics import AT, HR, NDCG, RECALL, SR, at

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


_PATH_REASONING: dict[str, dict[str, tuple[float, float, str]]] = {
    "lastfm": {
        "Abs Greedy": (0.222, 13.48, "1,000"),
        "Max Entropy": (0.283, 13.91, "1,000"),
        "EAR": (0.429, 12.88, "1,000"),
        "SCPR": (0.465, 12.86, "1,000"),
        "UNICORN": (0.535, 11.82, "4,000"),
    },
    "lastfm-star": {
        "Abs Greedy": (0.635, 8.66, "1,000"),
        "Max Entropy": (0.669, 9.33, "1,000"),
        "EAR": (0.595, 10.51, "1,000"),
        "SCPR": (0.709, 8.43, "1,000"),
        "UNICORN": (0.788, 7.58, "4,000"),
    },
}
"""Dataset to method to SR@15, AT and how many test pairs it was measured on."""


def path_reasoning(dataset: str) -> list[Row]:
    """The figures that the page of the data gives: the published simulator, train items among the candidates."""
    return [
        Row(
            name,
            "published",
            {at(SR, 15): rate, AT: turns},
            protocol=f"as published, on {pairs} test pairs; published code counts turns differently by one"
            + ("; from memory, unchecked" if name == "UNICORN" else ""),
        )
        for name, (rate, turns, pairs) in _PATH_REASONING.get(dataset, {}).items()
    ]
