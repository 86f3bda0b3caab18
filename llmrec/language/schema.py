"""JSON schemas: such that a model can satisfy them within its tokens, and whether an answer does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from llmrec.errors import EngineNonsense, EngineRefused

_DATA = frozenset({"enum", "const", "default", "examples"})
"""Keys whose values are no schemas."""
_NO_JSON = "the language model answered with something that is no JSON"


def bounded(schema: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
    """The schema with a bound on every string and list that has none, so that an answer of `max_tokens` can end.

    Whatever satisfies it satisfies the schema. Grammar alone lets a weak model write one string for ever.
    """
    longest = max(8, max_tokens // 4)

    def walk(part: Any) -> Any:
        if isinstance(part, list):
            return [walk(inner) for inner in part]
        if not isinstance(part, Mapping):
            return part
        changed = {key: value if key in _DATA else walk(value) for key, value in part.items()}
        kinds = part.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
        if "string" in kinds and not {"enum", "const", "pattern", "format", "maxLength"} & part.keys():
            changed["maxLength"] = max(longest, part.get("minLength", 0))
        if "array" in kinds and "maxItems" not in part:
            changed["maxItems"] = max(longest // 4, part.get("minItems", 0))
        return changed

    return walk(schema)


def checked(text: str, schema: Mapping[str, Any]) -> str:
    """The JSON of an answer, or else the JSON object in it, if it satisfies the schema; `EngineNonsense` if not."""
    import jsonschema
    import referencing.exceptions

    body, answer = _read(text)
    try:
        jsonschema.validate(answer, dict(schema))
    except (ValueError, RecursionError):
        raise EngineNonsense(_NO_JSON) from None
    except jsonschema.ValidationError as error:
        raise EngineNonsense(f"the language model's JSON is not what was asked for: {error.message[:200]}") from None
    except (jsonschema.SchemaError, referencing.exceptions.Unresolvable) as error:
        raise EngineRefused(f"the JSON schema is not valid: {str(error)[:200]}") from None
    return body


def _read(text: str) -> tuple[str, Any]:
    """The part that is JSON, and what it says."""
    for body in (text, text[text.find("{") : text.rfind("}") + 1]):
        with suppress(ValueError, RecursionError):
            return body, json.loads(body)
    raise EngineNonsense(_NO_JSON)
