"""Reading and writing a dataset folder: Parquet, CSV or JSON lines, one file for each table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import polars as pl

from llmrec.data import columns as c
from llmrec.data import parse
from llmrec.data.dataset import REQUIRED, SCHEMAS, Dataset, empty
from llmrec.errors import DataError, UserError

FORMATS = ("parquet", "csv", "jsonl")


def read_dataset(folder: Path) -> Dataset:
    """Read and validate the dataset in `folder`; its name is the folder's.

    Each of items, interactions, users, judgments, queries and reviews is one file, `.parquet`, `.csv` or `.jsonl`;
    only items is required. Ids become strings whatever their type. Raises `DataError` with file, row and column for
    malformed data and `UserError` for a wrong folder or an empty catalogue. What can be repaired is repaired and
    told in `Dataset.warnings`: duplicate item ids (the last row counts), events, judgments and reviews of unknown
    items (dropped), impossible prices (unknown).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"there is no data folder {str(folder)!r}: give a folder that holds items.parquet (or .csv, .jsonl)"
        )
    warnings: list[str] = []
    tables: dict[str, pl.DataFrame] = {}
    sources: dict[str, str] = {}
    for table in SCHEMAS:
        path = _find(folder, table)
        if path is None:
            if table == c.ITEMS_FILE:
                raise UserError(f"{str(folder)!r} holds no items file: add items.parquet, items.csv or items.jsonl")
            tables[table] = empty(table)
            continue
        sources[table] = path.name
        tables[table] = parse.typed(_read_file(path), table, path.name, warnings)
    if not len(tables[c.ITEMS_FILE]):
        raise UserError(
            f"the catalogue is empty: {sources[c.ITEMS_FILE]} in {str(folder)!r} has no rows, add items to it"
        )
    _last_of_each(tables, sources, c.ITEMS_FILE, [c.ITEM], warnings)
    _last_of_each(tables, sources, c.USERS_FILE, [c.USER], warnings)
    _last_of_each(tables, sources, c.JUDGMENTS_FILE, [c.QUERY, c.ITEM], warnings)
    for table in (c.INTERACTIONS_FILE, c.JUDGMENTS_FILE, c.QUERIES_FILE, c.REVIEWS_FILE):
        _drop_unknown_items(tables, sources, table, warnings)
    return Dataset(folder.resolve().name, **tables, warnings=tuple(warnings))  # type: ignore[arg-type]


def read_rows(file: Path, table: str) -> list[dict[str, Any]]:
    """The rows of one file as typed values: what a live update sends.

    A row holds the known columns in which it has something, so an empty cell changes nothing. Raises `DataError`
    with file, row and column, `UserError` for a file that is not there or of another format.
    """
    if not file.is_file() or file.suffix.removeprefix(".") not in FORMATS:
        raise UserError(f"cannot read {str(file)!r}: give a .parquet, .csv or .jsonl file")
    frame = _read_file(file)
    known = [column for column in SCHEMAS[table] if column in frame.columns]
    rows = parse.typed(frame, table, file.name, []).select(known).to_dicts()
    given = frame.select(pl.col(known).is_not_null()).to_dicts()
    return [
        {column: value for column, value in row.items() if cells[column] and value is not None}
        for row, cells in zip(rows, given, strict=True)
    ]


def write_dataset(dataset: Dataset, folder: Path) -> None:
    """Write every table that has rows as Parquet into `folder` (made if absent), without columns that hold nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in dataset.tables().items():
        if len(table):
            optional = [column for column in SCHEMAS[name] if column not in REQUIRED[name]]
            table.drop([column for column in optional if _says_nothing(table[column])]).write_parquet(
                folder / f"{name}.parquet"
            )


def _says_nothing(column: pl.Series) -> bool:
    if column.dtype == pl.Boolean:
        return bool(column.all())
    if column.dtype == pl.String:
        return bool((column.fill_null("") == "").all())
    if isinstance(column.dtype, pl.List):
        return int(column.list.len().sum()) == 0
    return column.null_count() == len(column)


def _find(folder: Path, table: str) -> Path | None:
    found = [path for path in (folder / f"{table}.{suffix}" for suffix in FORMATS) if path.is_file()]
    if len(found) > 1:
        raise UserError(f"{str(folder)!r} holds {' and '.join(p.name for p in found)}: keep one of them")
    return found[0] if found else None


def _read_file(path: Path) -> pl.DataFrame:
    """The table as it stands in the file: CSV columns all text, JSON lines as JSON types them."""
    try:
        if path.stat().st_size == 0:
            raise DataError("the file is empty", file=path.name)
        if path.suffix == ".parquet":
            return pl.read_parquet(path, memory_map=False)
        return _read_csv(path) if path.suffix == ".csv" else _read_jsonl(path)
    except UnicodeDecodeError as error:
        raise DataError(f"the file is not UTF-8 text ({error.reason} at byte {error.start})", file=path.name) from None
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror or error})", file=path.name) from None
    except pl.exceptions.PolarsError as error:
        raise DataError(f"the file cannot be read ({str(error).splitlines()[0]})", file=path.name) from None


def _read_csv(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_csv(path, infer_schema=False, encoding="utf8")
    except pl.exceptions.PolarsError:
        _check_csv_rows(path)  # names the row where it is at fault
        raise
    # Polars fills short rows with nulls, which must show in the last column.
    if frame.width and frame[frame.columns[-1]].null_count():
        _check_csv_rows(path)
    return frame


def _check_csv_rows(path: Path) -> None:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        width = len(next(rows, []))
        for number, row in enumerate((row for row in rows if row), start=1):
            if len(row) != width:
                raise DataError(f"the row has {len(row)} fields, the header has {width}", file=path.name, row=number)


def _read_jsonl(path: Path) -> pl.DataFrame:
    columns: dict[str, list[object]] = {}
    count = 0
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"the line is not JSON ({error.msg})", file=path.name, row=number) from None
            if not isinstance(row, dict):
                raise DataError("the line is not a JSON object", file=path.name, row=number)
            for key, value in row.items():
                column = columns.setdefault(key, [])
                column.extend([None] * (count - len(column)))
                column.append(value)
            count += 1
    for column in columns.values():
        column.extend([None] * (count - len(column)))
    return pl.DataFrame({key: parse.json_column(key, values, path.name) for key, values in columns.items()})


def _last_of_each(
    tables: dict[str, pl.DataFrame], sources: dict[str, str], table: str, key: list[str], warnings: list[str]
) -> None:
    frame = tables[table]
    repeated = ~frame.select(pl.struct(key).is_last_distinct().alias("last"))["last"]
    if repeated.any():
        row = repeated.arg_max() or 0
        what = " and ".join(f"{column} {frame[column][row]!r}" for column in key)
        warnings.append(
            f"{sources[table]}: {int(repeated.sum())} rows repeat a key, first at row {row + 1} ({what}); "
            "the last of each counts."
        )
        tables[table] = frame.filter(~repeated)


def _drop_unknown_items(
    tables: dict[str, pl.DataFrame], sources: dict[str, str], table: str, warnings: list[str]
) -> None:
    frame = tables[table]
    unknown = ~frame[c.ITEM].is_in(tables[c.ITEMS_FILE][c.ITEM].implode()) & frame[c.ITEM].is_not_null()
    if unknown.any():
        row = unknown.arg_max() or 0
        warnings.append(
            f"{sources[table]}: {int(unknown.sum())} rows left out because their item is not in the catalogue, "
            f"first at row {row + 1} ({c.ITEM} {frame[c.ITEM][row]!r})."
        )
        tables[table] = frame.filter(~unknown)
