"""The HTML report of a result: one self-contained page with a plot for each metric and the table."""

from __future__ import annotations

import html
import io
from pathlib import Path
from typing import TYPE_CHECKING

from llmrec.contracts import Row
from llmrec.errors import UserError
from llmrec.evals.table import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"ours": "#2f6f5e", "floor": "#b9b2a3", "published": "#c9803b"}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; color: #23302c; }}
h1 {{ font-weight: 600; }}
.plots {{ display: flex; flex-wrap: wrap; gap: 1rem; }} .plots svg {{ max-width: 100%; height: auto; }}
.scroll {{ overflow-x: auto; }} table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .35rem .8rem; text-align: right; border-bottom: 1px solid #e6e2d8; white-space: nowrap; }}
th:first-child, td:first-child {{ text-align: left; }} dt {{ font-weight: 600; margin-top: .6rem; }} dd {{ margin: 0; }}
.key span {{ display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin: 0 .3rem 0 1rem; }}
footer {{ color: #77817d; font-size: .85rem; margin-top: 2rem; }}
</style></head><body>
<h1>{title}</h1>
<p class="key">{key}</p>
<div class="plots">{plots}</div>
<h2>Table</h2><div class="scroll">{table}</div>
<h2>Protocols</h2><dl>{protocols}</dl>
<footer>{environment}</footer>
</body></html>
"""


def write_html(result: Result, file: Path) -> None:
    """Write the report; raises `UserError` where the file cannot be written."""
    header, *body = result.cells()
    environment = result.to_json()["environment"]
    title = f"{result.suite}: {result.dataset}" if result.dataset else result.suite
    page = _PAGE.format(
        title=html.escape(title),
        key="".join(f'<span style="background:{colour}"></span>{kind}' for kind, colour in COLOURS.items()),
        plots="".join([_plot(result, metric) for metric in result.metrics()] + _curves(result)),
        table=f"<table>{_line('th', header)}{''.join(_line('td', line) for line in body)}</table>",
        protocols="".join(
            f"<dt>{html.escape(', '.join(names))}</dt><dd>{html.escape(protocol)}</dd>"
            for protocol, names in result.protocols()
        ),
        environment=html.escape(", ".join(f"{key} {value}" for key, value in environment.items())),
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}; choose another --html file") from error


def _line(tag: str, cells: list[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _plot(result: Result, metric: str) -> str:
    """Horizontal bars with their intervals, best at the top as the table has them."""
    from matplotlib.figure import Figure

    rows = [row for row in result.rows if row.metrics.get(metric) is not None][::-1]
    if not rows:
        return ""
    figure = Figure(figsize=(5.2, 0.8 + 0.34 * len(rows)), layout="constrained")
    axes = figure.subplots()
    values = [row.metrics[metric] for row in rows]
    axes.barh(range(len(rows)), values, xerr=_errors(rows, metric), color=[COLOURS[row.kind] for row in rows])
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_title(metric, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return _svg(figure)


def _curves(result: Result) -> list[str]:
    """A plot for each title among the rows' curves, with a line for each row that has one."""
    from matplotlib.figure import Figure

    plots = []
    for title in dict.fromkeys(title for row in result.rows for title in row.curves):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.subplots()
        for row in result.rows:
            if title in row.curves:
                line = row.curves[title]
                axes.plot(range(1, len(line) + 1), line, marker=".", label=row.name)
        axes.set_title(title, loc="left", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
        plots.append(_svg(figure))
    return plots


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg")
    text = out.getvalue()
    return text[text.index("<svg") :]


def _errors(rows: list[Row], metric: str) -> list[list[float]]:
    intervals = [row.intervals.get(metric, (row.metrics[metric], row.metrics[metric])) for row in rows]
    return [
        [max(row.metrics[metric] - low, 0) for row, (low, _) in zip(rows, intervals, strict=True)],
        [max(high - row.metrics[metric], 0) for row, (_, high) in zip(rows, intervals, strict=True)],
    ]
