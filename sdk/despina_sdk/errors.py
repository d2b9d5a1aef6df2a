"""The codes that cross every boundary of Despina, and the exception that carries one."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """What became of a call. The values are those of gRPC, so that no table translates them."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class BackendError(Exception):
    """The exception that a backend raises on purpose; the client gets its code and its text.

    Whatever else leaves a backend becomes ``Code.INTERNAL``, and its traceback goes to the log.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def message(self) -> str:
        """The text, as the client gets it."""
        return str(self.args[0])
