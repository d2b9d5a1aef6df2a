"""The one exception that the server raises to its users."""

from __future__ import annotations

from collections.abc import Sequence

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


class ConfigError(DespinaError):
    """A model configuration that cannot be served. ``problems`` has every one that was found."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(Code.INVALID_ARGUMENT, "; ".join(problems))
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
