"""What may stand behind `transformers:` in a URI."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qsl

from llmrec.errors import UserError

Precision = Literal["auto", "float32", "bfloat16"]
_PRECISIONS: tuple[Precision, ...] = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Target:
    """What stands behind `transformers:`."""

    model: str
    """A folder, or a name on the Hugging Face hub."""
    dtype: Precision = "auto"

    @classmethod
    def parse(cls, text: str) -> Self:
        """`<folder or hub name>[?dtype=float32|bfloat16]`; `UserError` where it cannot be that."""
        model, _, query = text.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        dtype = options.pop("dtype", "auto")
        if options or dtype not in _PRECISIONS:
            raise UserError(
                f"cannot read {'?' + query!r} in the llm setting: ?dtype=float32 or ?dtype=bfloat16 may follow"
            )
        folder = Path(model).expanduser()
        if folder.is_dir():
            if not (folder / "config.json").is_file():
                raise UserError(f"the folder {model} holds no language model: name one that save_pretrained wrote")
            model = str(folder.absolute())
        elif folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
            raise UserError(f"there is no folder {model}: name a folder with a language model, or one of the hub")
        return cls(model, dtype)
