"""A small catalogue with everything in it: attributes with and without facets, brands, prices, years, awkward names."""

from __future__ import annotations

import pytest

from llmrec.agents.conversation.understanding.interpret import Interpreter
from llmrec.data.catalogue import Catalogue
from llmrec.testing.datasets import make_dataset

ITEMS = [
    ("m1", "Harbour Lights", ["folk", "sad", "acoustic", "love"], None, None, 1994),
    ("m2", "The Glass Tigers", ["indie rock", "post-punk", "happy"], None, None, 2003),
    ("m3", "Yes", ["progressive rock", "70s music"], None, None, 1971),
    ("m4", "The The", ["post-punk", "new wave", "awesome"], None, None, 1983),
    ("m5", "Sigur Rós", ["post-rock", "ambient", "beautiful"], None, None, 1999),
    ("m6", "Heat", ["Thriller", "Crime"], None, None, 1995),
    ("m7", "Empire of Dust, The", ["Sci-Fi", "War", "Comedy"], None, None, 1980),
    ("p1", "Acme Quietkeys keyboard Black", ["product type: Keyboard", "colour: Black"], "Acme", 49.9, 2020),
    ("p2", "Zenit Roll mouse Silver", ["type: Mouse", "colour: Silver", "bluetooth: True"], "Zenit", 19.5, 2021),
    ("p3", "Acme Nomad notebook", ["type: Notebook", "colour: Silver", "touchscreen: True"], "Acme", 899, 2022),
    ("p4", "Brother Labeller", ["product type: Label printer", "colour: White"], "Brother", 75, 2019),
    ("m8", "Nobody Home", ["jazz", "metal", "Horror", "Comedy", "Documentary", "hip-hop"], None, None, 2011),
]  # fmt: skip


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    rows = [
        {"item_id": i, "title": t, "attributes": a, "brand": b, "price": p, "year": y} for i, t, a, b, p, y in ITEMS
    ]
    return Catalogue.from_dataset(make_dataset(rows))


@pytest.fixture(scope="session")
def interpreter(catalogue: Catalogue) -> Interpreter:
    return Interpreter(catalogue)
