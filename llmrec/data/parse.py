"""From the columns of a file to the types of the dataset format, with errors that name file, row and column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from llmrec.data import columns as c
from llmrec.data.dataset import REQUIRED, SCHEMAS
from llmrec.errors import DataError

MAX_PRICE = 1e9
"""Prices above this are slips of the keyboard or placeholders."""

UPSERT = "items"
"""What errors call the rows of an upsert, which come from no file."""

_ALLOWED = {c.EVENT: c.EVENTS, c.SPLIT: (c.TRAIN, c.VALID, c.TEST)}
_RANGES = {c.LABEL: (0, 1), c.GRADE: (0, 3), c.YEAR: (-10_000, 10_000)}


def typed(frame: pl.DataFrame, table: str, file: str, warnings: list[str]) -> pl.DataFrame:
    """`frame` with every known column of `table` in its type; unknown columns stay as they are.

    Raises `DataError`; repairs are appended to `warnings`.
    """
    frame = frame.rename({name: name.strip().lstrip("\ufeff") for name in frame.columns})
    for column in REQUIRED[table]:
        if column not in frame.columns:
            known = ", ".join(frame.columns) or "none"
            raise DataError(f"the required column is missing (columns found: {known})", file=file, column=column)
    out: dict[str, pl.Series] = {}
    for column, dtype in SCHEMAS[table].items():
        if column in frame.columns:
            optional_id = column in (c.USER, c.ITEM) and column not in REQUIRED[table]
            parser = _optional_id if optional_id else _PARSERS[column]
            out[column] = parser(frame[column], file, warnings)
        else:
            out[column] = _missing(column, dtype, len(frame))
    extra = [name for name in frame.columns if name not in SCHEMAS[table]]
    return pl.DataFrame(list(out.values())).with_columns(frame[name] for name in extra)


def json_column(name: str, values: list[Any], file: str) -> pl.Series:
    """A column of JSON values: of one type where they agree, else text (lists must be lists throughout)."""
    present = [value for value in values if value is not None]
    types = {type(value) for value in present}
    if types == {list}:
        return pl.Series(
            name, [None if v is None else [_text(x) for x in v if x is not None] for v in values], pl.List(pl.String)
        )
    if dict in types or list in types:
        row = next(i for i, v in enumerate(values, start=1) if isinstance(v, dict if dict in types else list))
        raise DataError("the value must be text or a number, or a list in every row", file=file, row=row, column=name)
    if types <= {int} and all(-(2**63) <= value < 2**63 for value in present):
        return pl.Series(name, values, pl.Int64)
    if types <= {int, float}:
        return pl.Series(name, [None if v is None else float(v) for v in values], pl.Float64)
    if types == {bool}:
        return pl.Series(name, values, pl.Boolean)
    return pl.Series(name, [None if v is None else _text(v) for v in values], pl.String)


def ids_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The item ids of upserted rows, as strings."""
    for number, row in enumerate(rows, start=1):
        if c.ITEM not in row:
            raise DataError("the item id is missing", file=UPSERT, row=number, column=c.ITEM)
        for column in row:
            if column not in SCHEMAS[c.ITEMS_FILE]:
                known = ", ".join(SCHEMAS[c.ITEMS_FILE])
                raise DataError(f"there is no such column, use {known}", file=UPSERT, row=number, column=column)
    return _id(json_column(c.ITEM, [row[c.ITEM] for row in rows], UPSERT), UPSERT, []).to_list()


def rows_to_items(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Upserted rows as a typed items table."""
    names = dict.fromkeys(name for row in rows for name in row)
    frame = pl.DataFrame([json_column(name, [row.get(name) for row in rows], UPSERT) for name in names])
    return typed(frame, c.ITEMS_FILE, UPSERT, [])


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _missing(column: str, dtype: Any, length: int) -> pl.Series:
    if isinstance(dtype, pl.List):
        return pl.Series(column, [[]] * length, dtype)
    value: Any = None
    if dtype == pl.Boolean:
        value = True
    elif column in (c.TITLE, c.DESCRIPTION, c.BRAND, c.TEXT):
        value = ""
    return pl.Series(column, [value], dtype).new_from_index(0, length)


def _fail(bad: pl.Series, series: pl.Series, message: str, file: str) -> None:
    """Raise for the first row where `bad` holds; `message` may use {value}."""
    if bad.any():
        row = bad.arg_max() or 0
        raise DataError(message.format(value=repr(series[row])), file=file, row=row + 1, column=series.name)


def _strings(series: pl.Series, file: str) -> pl.Series:
    if series.dtype == pl.String:
        return series
    if series.dtype == pl.Null or isinstance(series.dtype, pl.Categorical | pl.Enum) or series.dtype.is_integer():
        return series.cast(pl.String)
    if series.dtype.is_float():  # whole numbers that met a missing value on their way through pandas
        whole = series.is_null() | (series.is_finite() & (series == series.round()))
        return series.cast(pl.Int64 if whole.all() else series.dtype, strict=False).cast(pl.String)
    raise DataError(f"the column must hold text, not {series.dtype}", file=file, column=series.name)


def _id(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    if series.dtype.is_float():
        _fail(
            (series.is_null() | ~series.is_finite() | (series != series.round())).fill_null(True),
            series,
            "an id must be text or a whole number, not {value}",
            file,
        )
    out = _strings(series, file)
    _fail(out.fill_null("").str.strip_chars() == "", series, "the id is missing", file)
    return out


def _optional_id(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    return _strings(series, file).replace("", None)


def _prose(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    return _strings(series, file).fill_null("")


def _number(series: pl.Series, file: str, dtype: Any = pl.Float64) -> pl.Series:
    """As float64 with nulls for what is absent; text that is no number is an error."""
    if series.dtype == pl.Boolean or series.dtype.is_nested() or series.dtype.is_temporal():
        raise DataError(f"the column must hold numbers, not {series.dtype}", file=file, column=series.name)
    if series.dtype == pl.String:
        text = series.str.strip_chars().replace("", None)
        out = text.cast(dtype, strict=False)
        _fail(out.is_null() & text.is_not_null(), series, "{value} is not a number", file)
        return out
    return series.cast(dtype, strict=False)


def _real(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    out = _number(series, file)
    return (
        out.to_frame().select(pl.when(pl.col(out.name).is_finite()).then(pl.col(out.name)))[out.name].cast(pl.Float32)
    )


def _price(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    out = _number(series, file)
    bad = (out.is_not_null() & ~(out.is_finite() & (out >= 0) & (out <= MAX_PRICE))).fill_null(False)
    if bad.any():
        row = bad.arg_max() or 0
        warnings.append(
            f"{file}: {int(bad.sum())} prices are not between 0 and {MAX_PRICE:.0e} and count as unknown, "
            f"first at row {row + 1} ({series[row]!r})."
        )
    return out.to_frame().select(pl.when(~bad).then(pl.col(out.name)).alias(out.name))[out.name].cast(pl.Float32)


def _integer(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    if series.dtype == pl.Boolean:
        series = series.cast(pl.Int8)
    if not series.dtype.is_integer():
        number = _number(series, file)
        number = number.to_frame().select(pl.when(~pl.col(number.name).is_nan()).then(pl.col(number.name)))[number.name]
        _fail((number != number.round()).fill_null(False), series, "{value} is not a whole number", file)
        series = number
    if series.name in _RANGES:
        low, high = _RANGES[series.name]
        _fail(
            ((series < low) | (series > high)).fill_null(False),
            series,
            f"{{value}} is not between {low} and {high}",
            file,
        )
    return series.cast(pl.Int64)


def _small(dtype: Any) -> Callable[[pl.Series, str, list[str]], pl.Series]:
    return lambda series, file, warnings: _integer(series, file, warnings).cast(dtype)


def _grade(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    out = _integer(series, file, warnings)
    _fail(out.is_null(), series, "the grade is missing", file)
    return out.cast(pl.Int8)


def _timestamp(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    """Unix seconds; dates and ISO 8601 text (UTC unless it says otherwise) are converted."""
    if series.dtype == pl.Date or isinstance(series.dtype, pl.Datetime):
        return series.cast(pl.Datetime("us")).dt.epoch("s")
    if series.dtype == pl.String:
        text = series.str.strip_chars().replace("", None)
        out = text.cast(pl.Float64, strict=False)
        if (out.is_null() & text.is_not_null()).any():
            dates = text.map_elements(_unix, pl.Float64, skip_nulls=True)
            out = out.to_frame("n").select(pl.col("n").fill_null(dates))["n"].alias(series.name)
        _fail(out.is_null() & text.is_not_null(), series, "{value} is neither unix seconds nor an ISO 8601 date", file)
        series = out
    number = series if series.dtype.is_integer() else _number(series, file)
    if number.dtype.is_float():
        _fail((~number.is_finite()).fill_null(False), number, "{value} is not a time", file)
    return number.cast(pl.Int64)


def _unix(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _word(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    out = _strings(series, file).str.strip_chars().str.to_lowercase().replace("", None)
    allowed = _ALLOWED[series.name]
    _fail(out.is_not_null() & ~out.is_in(allowed), series, f"{{value}} is none of {', '.join(allowed)}", file)
    return out


def _list(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    """Lists of text: of a list column, or of text with `|` between the values; without repeats and empty values."""
    if isinstance(series.dtype, pl.List | pl.Array):
        inner = series.dtype.inner
        if inner is not None and (inner.is_nested() or inner.is_float() or inner == pl.Boolean):
            raise DataError(f"the lists must hold text, not {inner}", file=file, column=series.name)
        out = series.cast(pl.List(pl.String))
    else:
        out = _strings(series, file).str.split("|")
    tidy = pl.element().str.strip_chars()
    return out.fill_null([]).list.eval(tidy.filter(tidy.is_not_null() & (tidy != "")).unique(maintain_order=True))


def _id_list(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    texts = _list(series, file, warnings)
    out = texts.cast(pl.List(pl.Int32), strict=False)
    _fail(
        out.list.eval(pl.element().is_null()).list.any(),
        series,
        "{value} holds something that is not a whole number",
        file,
    )
    return out


def _flag(series: pl.Series, file: str, warnings: list[str]) -> pl.Series:
    if series.dtype == pl.Boolean:
        return series.fill_null(True)
    text = _strings(series, file).str.strip_chars().str.to_lowercase().replace("", None)
    _fail(
        text.is_not_null() & ~text.is_in(["true", "false", "1", "0", "yes", "no"]),
        series,
        "{value} is neither true nor false",
        file,
    )
    return text.is_in(["true", "1", "yes"]).fill_null(True)


_PARSERS: dict[str, Callable[[pl.Series, str, list[str]], pl.Series]] = {
    c.ITEM: _id,
    c.USER: _id,
    c.QUERY: _id,
    c.TITLE: _prose,
    c.DESCRIPTION: _prose,
    c.BRAND: _prose,
    c.TEXT: _prose,
    c.PRICE: _price,
    c.RATING: _real,
    c.YEAR: _small(pl.Int32),
    c.LABEL: _small(pl.Int8),
    c.GRADE: _grade,
    c.TIMESTAMP: _timestamp,
    c.EVENT: _word,
    c.SPLIT: _word,
    c.ATTRIBUTES: _list,
    c.ATTRIBUTE_IDS: _id_list,
    c.FRIENDS: _list,
    c.LIKED_ATTRIBUTES: _list,
    c.AVAILABLE: _flag,
}
