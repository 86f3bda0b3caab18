"""The adapter `formal` is the PEFT folder adapters/formal in this package, and so on."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "adapters"


class HouseStyles:
    """An adapter source of llmrec."""

    def __init__(self) -> None:
        self._folders = {path.name: path for path in FOLDER.glob("*") if (path / "adapter_config.json").is_file()}

    def resolve(self, name: str) -> Path | None:
        """The PEFT folder of an adapter; None where the name is not ours."""
        return self._folders.get(name)
