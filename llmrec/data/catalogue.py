"""The catalogue: facts about items in columns, fast to filter; immutable, changed by `upsert` into a new one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from llmrec.data import columns as c
from llmrec.data import facets, parse
from llmrec.data.dataset import Dataset
from llmrec.data.index import Index
from llmrec.errors import UnknownName
from llmrec.filters import Filter

TEXT_LENGTH = 400
"""Characters of an item's text that search reads (the protocol of the product search benchmark)."""

_FACTS = (c.TITLE, c.DESCRIPTION, c.BRAND, c.PRICE, c.YEAR, c.AVAILABLE)


class Catalogue:
    """n items and m attributes. Positions are stable: an upsert appends new items and never moves or removes one."""

    def __init__(
        self,
        facts: pl.DataFrame,
        attributes: Index,
        matrix: sparse.csr_matrix,
        mined: Iterable[str] = (),
        index: Index | None = None,
    ) -> None:
        """`facts` has one typed row for each item, `matrix` (n, m) one 1.0 for each attribute of each item.

        `index` is that of the items, where it is known already.
        """
        self.index = index or Index(facts[c.ITEM])
        self.titles: list[str] = facts[c.TITLE].to_list()
        self.descriptions: list[str] = facts[c.DESCRIPTION].to_list()
        self.brands: list[str] = facts[c.BRAND].to_list()
        self.prices: NDArray[np.float32] = facts[c.PRICE].cast(pl.Float32).fill_null(np.nan).to_numpy()
        """Price (n,), nan where unknown."""
        self.years: NDArray[np.float32] = facts[c.YEAR].cast(pl.Float32).fill_null(np.nan).to_numpy()
        """Year (n,), nan where unknown."""
        self.available: NDArray[np.bool_] = facts[c.AVAILABLE].to_numpy()
        self.attributes = attributes
        """Attribute names in their spelling in the data."""
        self.matrix: sparse.csr_matrix = matrix
        """Float32 CSR (n, m) of zeros and ones."""
        self.mined = frozenset(mined)
        """Attributes that come from titles and follow them."""
        self._facts = facts

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> Catalogue:
        """The items of `dataset` with its attributes in order of first appearance; see `facets.derive_facets`."""
        facts = dataset.items.select(c.ITEM, *_FACTS)
        return cls(facts, *_encode(dataset.items[c.ATTRIBUTES], Index([])), dataset.mined)

    def save(self, folder: Path) -> None:
        """Write `items.parquet`, `attributes.parquet` and `attributes.npz` into an existing folder."""
        self._facts.write_parquet(folder / "items.parquet")
        names = pl.Series("attribute", list(self.attributes), pl.String)
        mined = pl.Series("mined", [name in self.mined for name in self.attributes], pl.Boolean)
        pl.DataFrame([names, mined]).write_parquet(folder / "attributes.parquet")
        np.savez(folder / "attributes.npz", indptr=self.matrix.indptr, indices=self.matrix.indices)

    @classmethod
    def load(cls, folder: Path) -> Catalogue:
        """Read what `save` wrote."""
        facts = pl.read_parquet(folder / "items.parquet", memory_map=False)
        names = pl.read_parquet(folder / "attributes.parquet", memory_map=False)
        attributes = Index(names["attribute"])
        with np.load(folder / "attributes.npz", allow_pickle=False) as arrays:
            indptr, indices = arrays["indptr"], arrays["indices"]
        data = np.ones(len(indices), np.float32)
        matrix = sparse.csr_matrix((data, indices, indptr), shape=(len(facts), len(attributes)))
        return cls(facts, attributes, matrix, names.filter("mined")["attribute"])

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def matrix_t(self) -> sparse.csr_matrix:
        """Float32 CSR (m, n): the items of each attribute."""
        return self.matrix.T.tocsr()

    # --- Facts ----------------------------------------------------------------------------------------------------

    def item(self, item_id: str) -> dict[str, Any]:
        """Facts about one item; price and year are None where unknown. Raises `UnknownName`."""
        at = self.index.position(item_id)
        if at < 0:
            near = self.index.near(item_id)
            raise UnknownName(
                f"there is no item {item_id!r} in the catalogue" + (f": did you mean {near!r}?" if near else "")
            )
        price, year = float(self.prices[at]), float(self.years[at])
        return {
            c.ITEM: item_id,
            c.TITLE: self.titles[at],
            c.DESCRIPTION: self.descriptions[at],
            c.BRAND: self.brands[at],
            c.PRICE: None if np.isnan(price) else round(price, 2),
            c.YEAR: None if np.isnan(year) else int(year),
            c.ATTRIBUTES: self.attributes_of(at),
            c.AVAILABLE: bool(self.available[at]),
        }

    def attributes_of(self, position: int) -> list[str]:
        """Names of the attributes of the item at `position`."""
        start, end = self.matrix.indptr[position : position + 2]
        return [str(name) for name in self.attributes.ids[self.matrix.indices[start:end]]]

    def text(self, positions: Iterable[int]) -> list[str]:
        """What search reads: the first 400 characters of title, brand and description, joined by a space.

        In a catalogue without any description the attributes take its place.
        """
        return [
            " ".join(filter(None, (self.titles[at], self.brands[at], self._prose(at))))[:TEXT_LENGTH]
            for at in positions
        ]

    def _prose(self, at: int) -> str:
        return self.descriptions[at] if self._described else ", ".join(self.attributes_of(at))

    @cached_property
    def _described(self) -> bool:
        return any(self.descriptions)

    def label(self, attribute: str) -> str:
        """Words for people: `brand: Sony` is "Sony (brand)", `bluetooth: True` is "bluetooth"."""
        facet, _, value = attribute.partition(": ")
        if not value:
            return attribute
        if value.casefold() in ("true", "yes", "y"):
            return facet
        if value.casefold() in ("false", "no", "n"):
            return f"no {facet}"
        return f"{value} ({facet})"

    # --- Filters --------------------------------------------------------------------------------------------------

    def mask(self, filters: Sequence[Filter] = ()) -> NDArray[np.bool_]:
        """Available items (n,) that satisfy every filter.

        Names compare without case. An attribute is matched by its whole name or, if there is none, by its value
        alone: `attribute=black` finds `colour: Black`. Items of unknown price or year satisfy no condition on it.
        """
        mask = self.available.copy()
        for condition in filters:
            mask &= self._satisfies(condition)
        return mask

    def _satisfies(self, condition: Filter) -> NDArray[np.bool_]:
        if condition.field in (c.PRICE, c.YEAR):
            column = self.prices if condition.field == c.PRICE else self.years
            bound = np.float32(condition.value)
            compare = {
                "<": np.less,
                "<=": np.less_equal,
                ">": np.greater,
                ">=": np.greater_equal,
                "=": np.equal,
                "!=": np.not_equal,
            }[condition.operator]
            return compare(column, bound) & ~np.isnan(column)
        name = str(condition.value).strip().casefold()
        if condition.field == c.BRAND:
            found = self._brand_codes == self._brand_names.get(name, -1)
        else:
            found = np.zeros(len(self), bool)
            for attribute in self.attribute_columns(name):
                start, end = self.matrix_t.indptr[attribute : attribute + 2]
                found[self.matrix_t.indices[start:end]] = True
        return found if condition.operator == "=" else ~found

    def attribute_columns(self, name: str) -> list[int]:
        """Columns of the attributes that `name` means in a filter, see `mask`; [] if unknown."""
        names, values = self._attribute_names
        name = name.strip().casefold()
        return names.get(name) or values.get(name, [])

    @cached_property
    def _attribute_names(self) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        names: dict[str, list[int]] = {}
        values: dict[str, list[int]] = {}
        for column, name in enumerate(self.attributes):
            names.setdefault(name.casefold(), []).append(column)
            _, _, value = name.partition(": ")
            if value:
                values.setdefault(value.casefold(), []).append(column)
        return names, values

    @cached_property
    def _brand_names(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(dict.fromkeys(brand.casefold() for brand in self.brands))}

    @cached_property
    def _brand_codes(self) -> NDArray[np.int32]:
        names = self._brand_names
        return np.fromiter((names[brand.casefold()] for brand in self.brands), dtype=np.int32, count=len(self))

    # --- Change ---------------------------------------------------------------------------------------------------

    def upsert(self, rows: Sequence[Mapping[str, Any]]) -> Catalogue:
        """A catalogue with `rows` added or changed; columns as in an items file.

        A known item changes in the columns that its row has and keeps the others; a new item is appended. Of
        several rows for one item, the later change what the earlier left. Attributes derived from title, brand and
        year follow them. Raises `DataError` for malformed rows.
        """
        if not rows:
            return self
        merged: dict[str, dict[str, Any]] = {}
        for item_id, row in zip(parse.ids_of(rows), rows, strict=True):
            known = merged.get(item_id) or (self.item(item_id) if item_id in self.index else {})
            merged[item_id] = {**known, **row, c.ITEM: item_id}
        table = parse.rows_to_items(list(merged.values()))
        table = table.with_columns(pl.Series(c.ATTRIBUTES, self._follow(table), pl.List(pl.String)))
        changed = table.select(c.ITEM, *_FACTS)
        facts = self._facts.update(changed, on=c.ITEM, how="left", include_nulls=True)
        facts = pl.concat([facts, changed.filter(~changed[c.ITEM].is_in(self._facts[c.ITEM].implode()))])

        attributes, delta = _encode(table[c.ATTRIBUTES], self.attributes)
        index = self.index.extended(table[c.ITEM].to_list())
        at = index.positions(table[c.ITEM])
        keep = np.ones(len(self), np.float32)
        keep[at[at < len(self)]] = 0
        old = sparse.diags_array(keep, format="csr") @ self.matrix
        old.eliminate_zeros()
        old.resize(len(facts), len(attributes))
        place = sparse.csr_matrix((np.ones(len(at), np.float32), (at, np.arange(len(at)))), shape=(len(facts), len(at)))
        return Catalogue(facts, attributes, sparse.csr_matrix(old + place @ delta), self.mined, index)

    def _follow(self, table: pl.DataFrame) -> list[list[str]]:
        before = [self.item(item) if item in self.index else {} for item in table[c.ITEM]]
        return [
            facets.follow(old, new, self.attributes, self.mined)
            for old, new in zip(before, table.iter_rows(named=True), strict=True)
        ]


def _encode(lists: pl.Series, known: Index) -> tuple[Index, sparse.csr_matrix]:
    """`known` with the new names of `lists` appended, and the float32 CSR matrix (len(lists), names)."""
    long = lists.explode(empty_as_null=False, keep_nulls=False)
    attributes = known.extended(long.unique(maintain_order=True).to_list())
    indptr = np.concatenate([[0], np.cumsum(lists.list.len().to_numpy())])
    indices = attributes.positions(long)
    matrix = sparse.csr_matrix(
        (np.ones(len(indices), np.float32), indices, indptr), shape=(len(lists), len(attributes))
    )
    matrix.sort_indices()
    return attributes, matrix
