"""Filters on the catalogue, shared by search, conversation and API: `price<=100`, `brand!=HP`, `attribute=jazz`."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from llmrec.errors import UserError

Field = Literal["price", "year", "brand", "attribute"]
Operator = Literal["<=", ">=", "!=", "<", ">", "="]

_PATTERN = re.compile(r"^\s*(price|year|brand|attribute)\s*(<=|>=|!=|<|>|=)\s*(.+?)\s*$", re.IGNORECASE | re.DOTALL)


class Filter(BaseModel):
    """One condition on an item. Several filters are joined by AND.

    `price` and `year` take numbers and every operator; `brand` and `attribute` take names (compared without
    case) and only `=` and `!=`. An item without a price or year never satisfies a bound on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: Field
    operator: Operator
    value: str | float

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.field in ("price", "year"):
            if isinstance(self.value, str):
                try:
                    object.__setattr__(self, "value", float(self.value))
                except ValueError:
                    raise ValueError(f"a filter on {self.field} needs a number, not {self.value!r}") from None
            if self.value != self.value or abs(float(self.value)) == float("inf"):
                raise ValueError(f"a filter on {self.field} needs a finite number")
        else:
            if self.operator not in ("=", "!="):
                raise ValueError(f"a filter on {self.field} takes = or !=, not {self.operator}")
            object.__setattr__(self, "value", str(self.value))
        return self

    @classmethod
    def parse(cls, text: str) -> Filter:
        """Read `price<=100`; raises `UserError` with an example where it cannot."""
        match = _PATTERN.match(text)
        if not match:
            raise UserError(
                f"cannot read the filter {text!r}: write it like 'price<=100', 'brand!=HP' or 'attribute=jazz'"
            )
        field, operator, value = match.groups()
        try:
            return cls(field=field.lower(), operator=operator, value=value)  # type: ignore[arg-type]
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise UserError(f"cannot read the filter {text!r}: {reason}") from None

    def __str__(self) -> str:
        value = f"{self.value:g}" if isinstance(self.value, float) else self.value
        return f"{self.field}{self.operator}{value}"
