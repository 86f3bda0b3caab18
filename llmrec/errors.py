"""Errors that people read: each message is one sentence that says what is wrong and what to do."""

from __future__ import annotations


class LlmrecError(Exception):
    """Something failed that is not the user's mistake (exit code 1)."""

    exit_code = 1


class UserError(LlmrecError):
    """The user's mistake: a wrong path, option, file or id (exit code 2)."""

    exit_code = 2


class DataError(UserError):
    """A data file is malformed; the message names file, row (1-based, header not counted) and column."""

    def __init__(self, message: str, *, file: str, row: int | None = None, column: str | None = None) -> None:
        place = file + (f", row {row}" if row is not None else "") + (f", column {column!r}" if column else "")
        super().__init__(f"{place}: {message}")
        self.file, self.row, self.column = file, row, column


class UnknownName(UserError):
    """A user, item, thread, model, recommender or other name that does not exist."""


class MissingExtra(UserError):
    """An optional dependency is absent; the message holds the exact install line."""

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(f"{needed_for} needs an optional part: pip install 'llmrec[{extra}]'")


class WorkspaceError(LlmrecError):
    """The workspace cannot be built, opened or locked."""


class StateError(LlmrecError):
    """Conversations or memory cannot be read or written."""


class VectorStoreError(LlmrecError):
    """The vector store is damaged or out of reach."""


class EngineError(LlmrecError):
    """A language-model server failed; the conversation goes on without it."""


class EngineTimeout(EngineError):
    """The server did not answer in time."""


class EngineUnavailable(EngineError):
    """The server cannot be reached or answers with 5xx."""


class EngineNonsense(EngineError):
    """The server answered with something that is not what was asked for."""


class EngineRefused(EngineError):
    """The engine takes this request in no way, however often it is sent: its prompt is too long, for example."""

    def __init__(self, message: str, status: int = 400, reason: str = "") -> None:
        super().__init__(message)
        self.status, self.reason = status, reason
        """HTTP's status, and what a server says is wrong."""

    @property
    def mistake(self) -> bool:
        """Whether something is wrong with the request itself, rather than with the key or the model's name."""
        return self.status in (400, 413, 422)


class UnknownAdapter(EngineError):
    """No source has an adapter of this name, or what it has does not fit the engine's model."""


class NotSupported(EngineError):
    """The engine behind this URI cannot do what was asked for; see `Engine.capabilities`."""
