"""What a training writes down about itself, beside the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llmrec.language.training.presets import PRESETS

FACTS = "training.json"
"""What was trained and how it went; written last, so that a folder that has it is whole."""


def read_facts(folder: Path) -> dict[str, Any] | None:
    """What `training.json` says, None where there is none."""
    try:
        return dict(json.loads((folder / FACTS).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def follows_instructions(model: str) -> bool:
    """Whether a preset, or the model in a folder or on a hub, may do so: one that was made here from scratch does not,
    nor does what was continued from it."""
    facts = read_facts(Path(model).expanduser())
    return model not in PRESETS if facts is None else bool(facts.get("instructed", True))
