"""Pictures for items that have none: a quiet pattern drawn from the item's id and what it is."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import NamedTuple

from markupsafe import Markup

_SIZE = 96
_PALETTE = ((158, 18), (28, 30), (205, 22), (44, 34), (340, 18), (178, 20), (258, 16), (104, 16), (14, 26), (224, 20))
"""Hue and saturation of quiet colours."""


@lru_cache(maxsize=4096)
def tile(item_id: str, kind: str) -> Markup:
    """An SVG of 96 x 96: items of one `kind` (brand, last attribute) share the hue, the id draws the shapes.

    The numbers come from digests only, so nothing of the item's text gets into the markup.
    """
    seed, family = _digest(item_id), _digest(kind or item_id)[0]
    hue, saturation = _PALETTE[family % len(_PALETTE)]
    colours = _Colours(hue, (hue + seed[0] % 40 - 26) % 360, saturation)
    shapes = (_rings, _hills, _dots, _arcs)[seed[2] % 4](seed, colours)
    return Markup(
        f'<svg class="tile" viewBox="0 0 {_SIZE} {_SIZE}" aria-hidden="true" focusable="false" '
        f'preserveAspectRatio="xMidYMid slice" style="background:linear-gradient({seed[1] * 360 // 256}deg,'
        f'hsl({colours.first} {saturation}% 82%),hsl({colours.second} {saturation + 8}% 70%))">{shapes}</svg>'
    )


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class _Colours(NamedTuple):
    first: int
    second: int
    saturation: int

    def fill(self, at: int, light: int, opacity: float) -> str:
        """Attributes of a shape; `at` alternates between the two hues."""
        hue = self.second if at % 2 else self.first
        return f'fill="hsl({hue} {self.saturation + 10}% {light}%)" fill-opacity="{opacity:.2f}"'


def _rings(seed: bytes, colours: _Colours) -> str:
    x, y = 18 + seed[3] % 60, 18 + seed[4] % 60
    return "".join(
        f'<circle cx="{x}" cy="{y}" r="{radius}" {colours.fill(at, 40 + at * 9, 0.34)}/>'
        for at, radius in enumerate((62, 44, 28, 13))
    )


def _hills(seed: bytes, colours: _Colours) -> str:
    paths = []
    for at in range(3):
        top = 34 + at * 18 + seed[3 + at] % 10
        bend = 16 + seed[6 + at] % 18
        paths.append(
            f'<path d="M0 {top} Q24 {top - bend} 48 {top} T96 {top} V96 H0Z" {colours.fill(at, 52 - at * 11, 0.42)}/>'
        )
    sun = f'<circle cx="{20 + seed[9] % 56}" cy="22" r="{7 + seed[10] % 6}" {colours.fill(1, 94, 0.8)}/>'
    return sun + "".join(paths)


def _dots(seed: bytes, colours: _Colours) -> str:
    dots = []
    for row in range(4):
        for column in range(4):
            byte = seed[(row * 4 + column) % len(seed)]
            dots.append(
                f'<circle cx="{12 + column * 24}" cy="{12 + row * 24}" r="{3 + byte % 8}" '
                f"{colours.fill(byte >> 6, 36 + byte % 50, 0.55)}/>"
            )
    return "".join(dots)


def _arcs(seed: bytes, colours: _Colours) -> str:
    arcs = []
    for at in range(4):
        turn = math.radians(seed[3 + at] * 360 / 256)
        x, y = 48 + 34 * math.cos(turn), 48 + 34 * math.sin(turn)
        radius = 22 + seed[7 + at] % 20
        arcs.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius}" {colours.fill(at, 46 + at * 10, 0.36)}/>')
    return "".join(arcs)
