"""The one exception that the server raises to its users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from despina.text import printed
from despina_sdk import Code


class DespinaError(Exception):
    """A call that failed: a code (the values are those of gRPC) and a text for people."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def message(self) -> str:
        """What went wrong, and with what."""
        return str(self.args[0])


@dataclass(frozen=True)
class Diagnostic:
    """One thing that is wrong with a model configuration, and where it says so.

    Attributes:
        file: names the configuration.
        text: what is wrong.
        field: written ``input[0].dims``; empty where the text itself is wrong.
        line: from 1, of the field, or of the nearest around it that is written; 0 without one.
        column: from 1, in characters.
    """

    file: str
    text: str
    field: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(each for each in (where, self.field, self.text) if each)


class ConfigError(DespinaError):
    """A model configuration that cannot be served. ``problems`` has every one that was found."""

    def __init__(self, problems: Sequence[Diagnostic]) -> None:
        super().__init__(Code.INVALID_ARGUMENT, "; ".join(map(str, problems)))
        self.problems = tuple(problems)


def reason(error: BaseException) -> str:
    """What to show of an exception where only one line of text fits."""
    try:
        text = printed(str(error))
    except Exception:  # an exception of somebody's, which cannot even say what it is
        text = ""
    if isinstance(error, DespinaError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
