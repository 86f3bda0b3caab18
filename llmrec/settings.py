"""Settings: one typed object, read from defaults, files, environment and flags, weakest to strongest."""

from __future__ import annotations

import difflib
import hashlib
import hmac
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator

from llmrec.contracts import Config
from llmrec.errors import UserError

FILE = "llmrec.toml"
PREFIX = "LLMREC_"
ALL = "*"
_READ_ELSEWHERE = ("workspace", "debug", "llm_key", "vllm_adapters")
"""Variables that the command line, engines and the plugin inside vLLM read themselves."""


class Limits(Config):
    """What the HTTP API takes from one client."""

    body_bytes: int = Field(default=1_000_000, gt=0)
    requests_per_minute: int = Field(default=600, gt=0)
    """For each key, or each address where no keys are set."""
    concurrency: int = Field(default=64, gt=0)
    """Requests in work at the same time, of all clients together."""


@dataclass(frozen=True)
class Access:
    """What a request may do once its key is known."""

    fingerprint: str
    """A hash of the key, "" where no keys are set."""
    users: tuple[str, ...]
    """Users that it may act for; `*` stands for all."""

    def owner(self, user: str | None) -> str:
        """The namespace of threads and memory. What belongs to a person stays theirs whatever the key, so that it
        outlives keys; what is anonymous belongs to the key, so that nobody reads it with another one."""
        return "" if user else self.fingerprint

    def may_act_for(self, user: str | None) -> bool:
        """Whether this user's data may be used; None is anonymous and has no data."""
        return user is None or ALL in self.users or user in self.users


class Settings(Config):
    """All settings of a workspace's server and commands. Keys never appear in `repr`, dumps or messages."""

    llm: str = ""
    """`transformers:<path>`, `vllm:<path or name>`, `openai:<base URL>`; "" is the workspace's own model where it has
    one (`llmrec train language`), "none" works without a language model."""
    embeddings: str = "minilm"
    vectors: str = ""
    """`chroma+http://host:port`; "" is the store that the build wrote into the workspace."""
    state: str = ""
    """`sqlite:<file>` or `postgresql://...`; "" is `state/state.sqlite` in the workspace."""
    policy: str = "planner"
    """What decides between asking and recommending: a name of the entry-point group llmrec.policies."""
    batch: str = "local"
    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)
    keys: dict[str, tuple[str, ...]] = Field(default_factory=dict, repr=False, exclude=True)
    """API key to the users it may act for; from `LLMREC_KEYS` (JSON), `LLMREC_KEYS_FILE` or a file's `[keys]`."""
    limits: Limits = Limits()
    llm_timeout: float = Field(default=20.0, gt=0)
    """Seconds to wait for the language model before a turn goes on without it."""
    seed: int = 0

    @field_validator("keys", mode="before")
    @classmethod
    def _lists(cls, keys: Any) -> Any:
        if isinstance(keys, Mapping):
            return {key: [users] if isinstance(users, str) else users for key, users in keys.items()}
        return keys

    @field_validator("keys")
    @classmethod
    def _no_empty_key(cls, keys: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if "" in keys:
            raise ValueError("a key must not be empty")
        return keys

    @classmethod
    def load(cls, workspace: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Self:
        """Defaults < `./llmrec.toml` < the workspace's `llmrec.toml` < environment `LLMREC_*` < `overrides`.

        Overrides of None count as not given. Raises `UserError` that names the source and the nearest known key.
        """
        files = [Path(FILE)] + ([workspace / FILE] if workspace else [])
        layers = [(str(file), content) for file in files if (content := _read_file(file)) is not None]
        layers += _environment()
        layers.append(("an option", {k: v for k, v in (overrides or {}).items() if v is not None}))
        merged: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for source, content in layers:
            for key, value in _with_keys(source, content).items():
                if key not in cls.model_fields:
                    raise UserError(f"{source}: there is no setting {key!r}{_near(key, cls.model_fields)}")
                merge = key == "limits" and isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
                merged[key] = {**merged[key], **value} if merge else value
                sources[key] = source
        try:
            return cls.model_validate(merged)
        except ValidationError as error:
            raise UserError(_explain(error, sources)) from None

    def access(self, key: str | None) -> Access | None:
        """What the bearer of this API key may do; None where keys are set and it is none of them."""
        if not self.keys:
            return Access("", (ALL,))
        found = None
        for known, users in self.keys.items():  # all are compared, so that time tells nothing
            if hmac.compare_digest(known.encode(), (key or "").encode()):
                found = Access(hashlib.sha256(b"llmrec owner " + known.encode()).hexdigest()[:16], users)
        return found

    def check_exposure(self) -> None:
        """`UserError` where other machines could connect although no keys are set."""
        if not self.keys and not _is_loopback(self.host):
            raise UserError(f"serving on {self.host} needs keys: set LLMREC_KEYS, or serve on 127.0.0.1")

    def state_uri(self, workspace: Path) -> str:
        """The URI of conversations and memory, for the workspace in this folder."""
        return self.state or f"sqlite:{workspace / 'state' / 'state.sqlite'}"

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, redact(value) if isinstance(value, str) else value


def redact(uri: str) -> str:
    """The URI without its password, for messages and logs."""
    uri = re.sub(r"(://[^/@:\s]*):\S*@", r"\1:***@", uri)
    return re.sub(r"([?&](?:password|api_key|token)=)[^&\s]+", r"\1***", uri, flags=re.IGNORECASE)


def _read_file(path: Path) -> dict[str, Any] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"the settings file {path} cannot be read ({error}): correct it, or remove it") from None


def _environment() -> list[tuple[str, dict[str, Any]]]:
    """One layer for each variable; `LLMREC_LIMITS__CONCURRENCY` sets `limits.concurrency`."""
    layers: list[tuple[str, dict[str, Any]]] = []
    for variable, text in sorted(os.environ.items()):
        if variable.startswith(PREFIX):
            key, _, inner = variable.removeprefix(PREFIX).lower().partition("__")
            if key in _READ_ELSEWHERE:
                continue
            value: Any = text
            if not inner and key in ("keys", "limits"):
                try:
                    value = json.loads(text)
                except ValueError:
                    raise UserError(f"the environment variable {variable} is not JSON: write an object") from None
            layers.append((f"the environment variable {variable}", {key: {inner: value} if inner else value}))
    return layers


def _with_keys(source: str, content: dict[str, Any]) -> dict[str, Any]:
    """`keys_file` replaced by the keys that the file (JSON or TOML) holds."""
    if "keys_file" not in content:
        return content
    path = Path(str(content["keys_file"]))
    if "keys" in content:
        raise UserError(f"{source}: both keys and keys_file are set: keep one")
    try:
        text = path.read_text(encoding="utf-8")
        keys = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise UserError(f"{source}: the keys file {path} cannot be read ({error.strerror})") from None
    except ValueError:  # its message could quote a key
        raise UserError(f"{source}: the keys file {path} is neither JSON nor a .toml file: correct it") from None
    return {name: value for name, value in content.items() if name != "keys_file"} | {"keys": keys}


def _near(key: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, [*known, "keys_file"], 1)
    return f": did you mean {near[0]!r}?" if near else f": known are {', '.join(known)}"


def _explain(error: ValidationError, sources: Mapping[str, str]) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    top = str(first["loc"][0])
    where = top if top == "keys" else ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{sources[top]}: there is no setting {where!r}{_near(str(first['loc'][-1]), Limits.model_fields)}"
    return f"{sources[top]}: the setting {where!r} is not valid: {first['msg']}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
