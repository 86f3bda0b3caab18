"""The frame around every suite: options, tables, JSON and the HTML report."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
from pydantic import Field

from llmrec.contracts import Config, Progress, Row, no_progress
from llmrec.errors import UnknownName, UserError
from llmrec.evals import runner
from llmrec.evals.report import write_html
from llmrec.evals.table import Result

ROWS = [
    Row("<b>first</b>", "ours", {"HR@10": 0.5, "users": 1234}, "a & b", "train", {"HR@10": (0.4, 0.6)}, seconds=1.25),
    Row("floor", "floor", {"HR@10": 0.1, "NDCG@10": float("nan")}),
    Row("paper", "published", {"HR@10": np.float64(0.3)}),  # type: ignore[dict-item]
]
RESULT = Result("made", "tastes", ROWS)


class Made(Config):
    """A suite for tests."""

    name: ClassVar[str] = "made"

    names: tuple[str, ...] = ("a",)
    count: int = Field(3, ge=1)
    mode: Literal["x", "y"] = "x"
    fast: bool = False

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        return [Row(name, "ours", {"count": self.count}) for name in self.names]


def test_json_is_plain_and_complete() -> None:
    result = RESULT.to_json()
    again = json.loads(json.dumps(result, allow_nan=False))
    assert set(again) == {"suite", "dataset", "rows", "environment"}
    first, floor, paper = again["rows"]
    assert first["metrics"] == {"HR@10": 0.5, "users": 1234} and first["intervals"] == {"HR@10": [0.4, 0.6]}
    assert first["fit_on"] == "train" and first["seconds"] == 1.25 and first["kind"] == "ours"
    assert floor["metrics"]["NDCG@10"] is None and floor["seconds"] is None
    assert paper["metrics"] == {"HR@10": 0.3}
    assert {"python", "cores", "llmrec", "numpy"} <= set(again["environment"])


def test_a_table_has_a_column_for_each_metric_of_any_row() -> None:
    header, *lines = RESULT.cells()
    assert header[:2] == ["name", "kind"] and [key for key in header if "@" in key] == ["HR@10", "NDCG@10"]
    assert all(len(line) == len(header) for line in lines)
    assert lines[0][header.index("users")] == "1,234" and lines[2][header.index("NDCG@10")] == ""


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for key, value in attrs if key in ("src", "href", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_stands_alone_and_escapes_names(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "report.html"
    write_html(RESULT, file)
    page = Page()
    page.feed(file.read_text(encoding="utf-8"))
    assert page.tags.count("svg") == 3  # one plot for each metric that has a value, here HR@10, users and NDCG@10
    assert "b" not in page.tags and "<b>first</b>" in page.text and "a & b" in page.text
    assert all(link.startswith("#") for link in page.links)  # nothing is fetched
    assert "script" not in page.tags


def test_options_are_read_by_the_fields_of_a_suite() -> None:
    words = ["--names", "a,b", "--count=5", "--fast", "--mode", "y"]
    made = Made(**runner.parse_options(Made, words))
    assert (made.names, made.count, made.fast, made.mode) == (("a", "b"), 5, True, "y")
    result = runner.run(Made, "/data/tastes", {"names": ["a", "b"]})
    assert result.dataset == "tastes" and [row.name for row in result.rows] == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cout", "5"], "did you mean --count"),
        (["count"], "options are written --name value"),
        (["--count"], "needs a value"),
        (["--count", "0"], "--count: .*greater than or equal to 1"),
        (["--mode", "z"], "--mode: "),
    ],
)
def test_wrong_options_are_the_users_mistake(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        runner.run(Made, "", runner.parse_options(Made, words))


def test_names_that_do_not_exist() -> None:
    with pytest.raises(UnknownName, match="did you mean topn"):
        runner.suite("top")
    with pytest.raises(UnknownName, match="did you mean retrieval"):
        runner.benchmark("retrieva")
