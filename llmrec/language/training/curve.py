"""The learning curve of a run, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llmrec.language.training.loop import Row

FILE = "learning-curve.png"


def draw(rows: Sequence[Row], folder: Path) -> None:
    """Write `learning-curve.png`: training and validation loss over the tokens that were read."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for key, label, style in (("loss", "training", "-"), ("validation_loss", "validation", "o-")):
        points = [(row["tokens"], row[key]) for row in rows if key in row]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label, markersize=4)
    axes.set_xlabel("tokens")
    axes.set_ylabel("loss (nats for each token)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(folder / FILE, dpi=120, metadata={"Software": None})
