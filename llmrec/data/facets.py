"""Readable attributes for every catalogue: what a conversation can ask about and an explanation can name."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

import polars as pl

from llmrec.data import columns as c
from llmrec.data import phrases
from llmrec.data.dataset import Dataset
from llmrec.data.index import Index

BRAND_FACET: Final = "brand: "
LEAST_ITEMS: Final = 5
"""A brand or a value of a product facet is kept when at least so many items have it."""
MOST_VALUES: Final = 60
"""A facet with more values (a code, a measure, a free text) is left out."""
LEAST_SHARE: Final = 0.01
"""A product facet is kept when at least this share of the items has it."""
MOST_FACETS: Final = 12
"""Product facets that one item keeps: those that most items have."""
LONGEST_VALUE: Final = 40
"""Characters of a value that still fits on a chip."""

_TITLE_YEAR = re.compile(r"\(((?:18|19|20)\d\d)\)\s*$")
_LOGISTICS = re.compile(
    r"package|packag|pallet|outer|carton|per pack|dimension|\b(?:weight|width|height|depth|length|diameter|thickness)\b"
    r"|^box$|temperature|humidity|altitude|harmonized|last change|born on|launch|lifecycle|discontinued|quick start"
    r"|manual|oem|warranty|certif|complian|rohs|sustainab|conflict free|country|barcode|segment|embedded options"
    r"|\b(?:ean|gtin|upc|sku|mtbf|code|model|id|url|status|units|stepping|codename)\b|consumption|frequency|voltage"
    r"|plating|adhesive type|bus type|cache|operating modes|jacket|lithography"
    r"|execute disable|speedstep|halt state|idle states"
)
"""Facets of shipping and paperwork, by words in their names: true of an item, of no use when choosing one."""
_NO = frozenset(("false", "no", "n", "none", "n/a", "na", "not applicable", "unknown", "-"))


def derive_facets(dataset: Dataset) -> Dataset:
    """`dataset` with attributes that people can read and choose by; the input stays as it was read.

    - Named attributes stay as they are. Where they are `facet: value` pairs (a product feed), numbers (their units
      are not known), codes, paperwork, rare facets and values and "no" are left out.
    - Without names (none, or only ids) and for product feeds, product words are mined from the titles.
    - A year, or a title that ends in one, adds its decade ("1990s"); a brand of several items adds "brand: X".
    - Ids and prices never become attributes.
    """
    items = _with_years(dataset.items)
    lists = items[c.ATTRIBUTES]
    paired = _is_paired(lists)
    rows: list[list[str]] = lists.to_list()
    if paired:
        rows = _tidy_pairs(rows)
    mined: dict[str, list[int]] = {}
    if paired or not any(rows):
        mined = _mine(dataset, items, rows)
        rows = [list(row) for row in rows]
        for phrase, positions in mined.items():
            for at in positions:
                rows[at].append(phrase)
    several = _brands_of_several_items(items)
    derived = []
    for row, brand, year in zip(rows, items[c.BRAND], items[c.YEAR], strict=True):
        extra = [decade(year)] if year is not None else []
        extra += [BRAND_FACET + brand] if brand in several else []
        derived.append(list(dict.fromkeys([*row, *extra])))
    items = items.with_columns(pl.Series(c.ATTRIBUTES, derived, pl.List(pl.String)))
    return replace(dataset, items=items, mined=tuple(mined))


def follow(before: Mapping[str, Any], after: Mapping[str, Any], known: Index, mined: Collection[str]) -> list[str]:
    """The attributes of an item after a change: derived ones follow its title, brand and year, the rest are as given.

    `before` ({} for a new item) and `after` are facts about the item, `known` the catalogue's attributes and `mined`
    those among them that come from titles. Only attributes that the catalogue already has are derived.
    """

    def derived(facts: Mapping[str, Any]) -> list[str]:
        words = phrases.find(facts.get(c.TITLE) or "", mined) if mined else []
        year, brand = facts.get(c.YEAR), facts.get(c.BRAND)
        extra = [decade(int(year))] if year is not None else []
        return [name for name in (*words, *extra, f"{BRAND_FACET}{brand}") if name in known]

    given = after.get(c.ATTRIBUTES) or []
    old, new = derived(before), derived(after)
    if old == new and given == before.get(c.ATTRIBUTES):
        return list(given)
    return list(dict.fromkeys([*(name for name in given if name not in old), *new]))


def decade(year: int) -> str:
    """1994 is in the "1990s"."""
    return f"{year // 10 * 10}s"


def _with_years(items: pl.DataFrame) -> pl.DataFrame:
    """Years from titles such as "Heat (1995)", if no item has a year and most titles end in one."""
    if items[c.YEAR].null_count() < len(items):
        return items
    years = items[c.TITLE].str.extract(_TITLE_YEAR.pattern).cast(pl.Int32)
    return items.with_columns(years.alias(c.YEAR)) if years.null_count() < len(items) / 2 else items


def _brands_of_several_items(items: pl.DataFrame) -> set[str]:
    counts = items.filter(pl.col(c.BRAND) != "").group_by(c.BRAND).len()
    return set(counts.filter(pl.col("len") >= _least(len(items)))[c.BRAND])


def _least(items: int) -> int:
    return LEAST_ITEMS if items >= 100 * LEAST_ITEMS else 2


def _is_paired(lists: pl.Series) -> bool:
    names = lists.explode(empty_as_null=False, keep_nulls=False)
    return len(names) > 0 and bool(names.str.contains(": ", literal=True).mean() > 0.5)  # type: ignore[operator]


def _tidy_pairs(rows: list[list[str]]) -> list[list[str]]:
    """Each row's `facet: value` pairs that help to choose; names without a facet stay."""
    long = (
        pl.DataFrame({"row": range(len(rows)), "name": pl.Series(rows, dtype=pl.List(pl.String))})
        .explode("name", empty_as_null=False, keep_nulls=False)
        .with_columns(pl.col("name").str.splitn(": ", 2).struct.rename_fields(["facet", "value"]).struct.unnest())
        .with_columns(
            pl.col("facet").str.replace_all(r"\s+", " ").str.strip_chars(),
            pl.col("value").str.strip_chars(),
            folded=pl.col("value").str.strip_chars().str.to_lowercase(),
        )
    )
    plain = pl.col("value").is_null()
    long = long.filter(
        plain
        | (
            ~pl.col("facet").str.to_lowercase().str.contains(_LOGISTICS.pattern)
            & ~pl.col("folded").is_in(list(_NO))
            & ~pl.col("folded").str.contains(r"^[-+\d.,/ x]+$")
            & (pl.col("value").str.len_chars() <= LONGEST_VALUE)
        )
    )
    long = long.filter(plain | (pl.len().over("facet", "folded") >= _least(len(rows))))
    # One spelling of each value: the most frequent.
    spelling = (
        long.group_by("facet", "folded", "value")
        .len()
        .sort(["len", "value"], descending=[True, False])
        .unique(["facet", "folded"], keep="first", maintain_order=True)
        .select("facet", "folded", spelling="value")
    )
    long = long.join(spelling, on=["facet", "folded"], how="left", maintain_order="left", nulls_equal=True)
    carriers = pl.col("row").n_unique().over("facet")
    values = pl.col("folded").n_unique().over("facet")
    long = long.filter(plain | ((values <= MOST_VALUES) & (carriers >= LEAST_SHARE * len(rows))))
    long = long.with_columns(carriers=carriers).filter(
        plain | (pl.col("carriers").rank("ordinal", descending=True).over("row") <= MOST_FACETS)
    )
    names = pl.when(plain).then("facet").otherwise(pl.concat_str("facet", pl.lit(": "), "spelling"))
    tidy: list[list[str]] = [[] for _ in rows]
    for row, name in zip(long["row"], long.select(names.alias("name"))["name"], strict=True):
        tidy[row].append(name)
    return tidy


def _mine(dataset: Dataset, items: pl.DataFrame, rows: list[list[str]]) -> dict[str, list[int]]:
    """Product words in titles (in descriptions where no item has a title) to the items that have them."""
    column = c.TITLE if (items[c.TITLE] != "").any() else c.DESCRIPTION
    values = {name.partition(": ")[2].lower() for row in rows for name in row}
    names = {word for brand in items[c.BRAND].unique() for word in re.findall(r"[^\W_]+", brand.lower())}
    shop = set(re.findall(r"[^\W_]+", dataset.name.lower()))
    smallest = max(10, len(items) // 800) if len(items) >= 1000 else max(2, len(items) // 100)
    found = phrases.mine(items[column].to_list(), names | shop, smallest)
    return {phrase: positions for phrase, positions in found.items() if phrase not in values}
