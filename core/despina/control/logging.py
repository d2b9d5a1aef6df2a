"""Settings of the log, as clients read and change them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from despina.errors import DespinaError
from despina.observe.logging import FORMATS, LogSettings
from despina_sdk import Code

MAX_VERBOSE_LEVEL = (1 << 31) - 1
_SWITCHES = ("log_info", "log_warning", "log_error")


class Logging:
    """The operations. One call at a time."""

    def __init__(
        self, settings: LogSettings, apply: Callable[[LogSettings], None], file: str = ""
    ) -> None:
        """Takes what is in force.

        Args:
            settings: those of the start.
            apply: puts others into force.
            file: that lines are written to, or nothing.
        """
        self._settings, self._apply, self._file = settings, apply, file

    def get(self) -> dict[str, Any]:
        """The settings, in the protocol's form."""
        return {"log_file": self._file, **asdict(self._settings)}

    def update(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Changes what the document names, all of it or nothing.

        Returns:
            The settings after that.

        Raises:
            DespinaError: INVALID_ARGUMENT: a value that cannot be. UNIMPLEMENTED: the file.
        """
        settings = updated(self._settings, document)
        self._apply(settings)
        self._settings = settings
        return self.get()


def updated(settings: LogSettings, document: Mapping[str, Any]) -> LogSettings:
    """The settings with what a client's document changes of them; unknown names change nothing.

    Raises:
        DespinaError: as ``Logging.update``.
    """
    if "log_file" in document:
        text = "log file location can not be updated through network protocol"
        raise DespinaError(Code.UNIMPLEMENTED, text)
    changed: dict[str, Any] = {}
    for name in _SWITCHES:
        if name in document:
            changed[name] = _typed(document[name], bool, "boolean")
    if "log_verbose_level" in document:
        level = _typed(document["log_verbose_level"], int, "unsigned-integer")
        if not 0 <= level <= MAX_VERBOSE_LEVEL:
            text = f"'log_verbose_level' is not between 0 and {MAX_VERBOSE_LEVEL}"
            raise DespinaError(Code.INVALID_ARGUMENT, text)
        changed["log_verbose_level"] = level
    if "log_format" in document:
        name = _typed(document["log_format"], str, "string")
        if name not in FORMATS:
            text = f"invalid argument for --log_format, got: {name}"
            raise DespinaError(Code.INVALID_ARGUMENT, text)
        changed["log_format"] = name
    return replace(settings, **changed)


def _typed(value: Any, kind: type, name: str) -> Any:
    """The value, if it is of that type: a boolean is no integer."""
    if type(value) is not kind:
        text = f"attempt to access JSON non-{name} as {name}"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    return value
