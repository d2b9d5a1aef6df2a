"""Records of Python's ``logging`` go to the engine's log: one form, one order."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Literal

from despina.engine import enable_log, log, set_log_format

ERROR, WARNING, INFO, VERBOSE = range(4)
"""Levels of the engine's log."""

LogFormat = Literal["default", "ISO8601", "json"]
FORMATS: tuple[LogFormat, ...] = ("default", "ISO8601", "json")
"""In the order of the engine's numbers for them."""

FIELDS = ("model", "version", "request_id")
"""What a record may say in ``extra``. Where a backend runs, its lines have them anyway."""


@dataclass(frozen=True)
class LogSettings:
    """What is written, and how.

    Attributes:
        log_error, log_warning, log_info: whether lines of that level are.
        log_verbose_level: 0: no verbose lines. More: those too.
        log_format: how a line looks.
    """

    log_info: bool = True
    log_warning: bool = True
    log_error: bool = True
    log_verbose_level: int = 0
    log_format: LogFormat = "default"


class EngineHandler(logging.Handler):
    """Writes records to the engine's log, which escapes what could forge a line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line, and one for each line of a traceback."""
        try:
            level, file = _level(record.levelno), os.path.basename(record.pathname)
            fields = [
                (name, _encodable(str(getattr(record, name))))
                for name in FIELDS
                if hasattr(record, name)
            ]
            log(level, _encodable(record.getMessage()), file, record.lineno, fields)
            if record.exc_info and record.exc_info[0]:
                for line in logging.Formatter().formatException(record.exc_info).splitlines():
                    # The bar tells lines of a traceback from messages.
                    log(level, f"| {_encodable(line)}", file, record.lineno, fields)
        except Exception:
            self.handleError(record)


def configure_logging(settings: LogSettings) -> None:
    """Applies the settings, and sends Python's records of all libraries to the engine's log."""
    logging.getLogger().handlers = [EngineHandler()]
    logging.captureWarnings(True)
    apply_log_settings(settings)


def apply_log_settings(settings: LogSettings) -> None:
    """Chooses levels and format of all lines from now on. Any thread."""
    verbose = settings.log_verbose_level > 0
    for level, enabled in (
        (ERROR, settings.log_error),
        (WARNING, settings.log_warning),
        (INFO, settings.log_info),
        (VERBOSE, verbose),
    ):
        enable_log(level, enabled)
    set_log_format(FORMATS.index(settings.log_format))
    logging.getLogger().setLevel(logging.DEBUG if verbose else logging.INFO)


def _level(number: int) -> int:
    if number >= logging.ERROR:
        return ERROR
    if number >= logging.WARNING:
        return WARNING
    return INFO if number >= logging.INFO else VERBOSE


def _encodable(text: str) -> str:
    """The text with lone surrogates, which names of files may hold, escaped."""
    return text.encode("utf-8", "backslashreplace").decode()
