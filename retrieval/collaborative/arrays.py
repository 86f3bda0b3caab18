"""Named arrays in one safetensors file, read without copying."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Arrays = Mapping[str, NDArray]

_TYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "BOOL": "|b1"}


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write every array (any float32, float64, int32, int64 or bool) under its name."""
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def read_arrays(path: Path) -> dict[str, NDArray]:
    """Read-only memory maps of the arrays: opened at once, paged in when used, shared between processes.

    safetensors' own reader for numpy copies, which costs seconds and twice the memory for an EASE model.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    whole = np.memmap(path, np.uint8, mode="r")
    start = 8 + length

    def view(entry: dict) -> NDArray:
        begin, end = entry["data_offsets"]
        return whole[start + begin : start + end].view(_TYPES[entry["dtype"]]).reshape(entry["shape"])

    return {name: np.asarray(view(entry)) for name, entry in header.items()}
