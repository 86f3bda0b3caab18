from __future__ import annotations

import math

import pytest

from llmrec.agents.conversation.understanding.bounds import find_bounds
from llmrec.agents.conversation.understanding.normalise import tokenise

PRICES = [
    ("under 50 bucks", "price<50"),
    ("less than 20€", "price<20"),
    ("cheaper than €25", "price<25"),
    ("below 300,-", "price<300"),
    ("between 20 and 40", "price>=20 price<=40"),
    ("from $40 to $20", "price>=20 price<=40"),
    ("20-40 euros", "price>=20 price<=40"),
    ("max 1,200.50", "price<=1200.5"),
    ("30 max", "price<=30"),
    ("at most 30 max", "price<=30"),
    ("1k tops", "price<=1000"),
    ("up to 1.5k", "price<=1500"),
    ("my budget is 80", "price<=80"),
    ("i only have $40", "price<=40"),
    ("a hundred bucks", "price<=100"),
    ("under two hundred bucks", "price<200"),
    ("no more than 30", "price<=30"),
    ("it must not cost more than 80", "price<=80"),
    ("i don't want to pay more than fifty dollars", "price<=50"),
    ("not under 100", "price>=100"),
    ("at least 100 pounds", "price>=100"),
    ("100 or more", "price>=100"),
    ("over 20 but under 60", "price>20 price<60"),
    ("about 100 dollars", "price>=80 price<=120"),
    ("<= 20", "price<=20"),
    ("15 inch laptop", ""),
    ("the first 2", ""),
    ("for two people", ""),
    ("under 1e999", ""),
    ("under 99999999999999999999", ""),
]
YEARS = [
    ("from the 80s", "year>=1980 year<=1989"),
    ("80s or 90s", "year>=1980 year<=1999"),
    ("early nineties", "year>=1990 year<=1994"),
    ("from the nineties", "year>=1990 year<=1999"),
    ("the 2010s", "year>=2010 year<=2019"),
    ("newer than 2010", "year>2010"),
    ("after the 60s", "year>1969"),
    ("before the 60s", "year<1960"),
    ("pre-1970", "year<1970"),
    ("since 1985", "year>=1985"),
    ("1990 or newer", "year>=1990"),
    ("from 1990 on", "year>=1990"),
    ("from 1990 to 1995", "year>=1990 year<=1995"),
    ("in 1995", "year>=1995 year<=1995"),
    ("nothing older than 1990", "year>=1990"),
    ("no films before 1980", "year>=1980"),
    ("not after 1970", "year<=1970"),
    ("not from 1995", "year!=1995"),
    ("under 50", ""),
    ("12 angry men", ""),
]


def bounds(text: str, **options: object) -> str:
    found = find_bounds(tokenise(text), **options)  # type: ignore[arg-type]
    return " ".join(str(condition) for bound in found for condition in bound.filters)


@pytest.mark.parametrize(("text", "expected"), PRICES)
def test_prices(text: str, expected: str) -> None:
    assert bounds(text, has_prices=True, has_years=False) == expected


@pytest.mark.parametrize(("text", "expected"), YEARS)
def test_years(text: str, expected: str) -> None:
    assert bounds(text, has_prices=False, has_years=True) == expected


def test_a_catalogue_with_both_tells_years_from_prices() -> None:
    text = "newer than 2010 and under 2000 dollars"
    assert bounds(text, has_prices=True, has_years=True) == "year>2010 price<2000"


def test_nothing_is_a_bound_without_prices_and_years() -> None:
    assert bounds("under 50 bucks from the 80s", has_prices=False, has_years=False) == ""


def test_cheaper_and_newer_are_measured_by_what_was_shown() -> None:
    shown = {"shown_prices": (30.0, math.nan, 20.0), "shown_years": (1990.0, 1999.0)}
    assert bounds("something cheaper", has_prices=True, has_years=True, **shown) == "price<20"
    assert bounds("more expensive ones", has_prices=True, has_years=True, **shown) == "price>30"
    assert bounds("anything newer?", has_prices=True, has_years=True, **shown) == "year>1999"
    assert bounds("which one is cheaper", has_prices=True, has_years=True, **shown) == ""
    assert bounds("something cheaper", has_prices=True, has_years=True) == ""
