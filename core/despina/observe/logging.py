"""Records of Python's ``logging`` go to the engine's log: one form, one order."""

from __future__ import annotations

import logging
import os

from despina.engine import enable_log, log

ERROR, WARNING, INFO, VERBOSE = range(4)
"""Levels of the engine's log."""


class EngineHandler(logging.Handler):
    """Writes records to the engine's log, which escapes what could forge a line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line, and one for each line of a traceback."""
        try:
            level, file = _level(record.levelno), os.path.basename(record.pathname)
            log(level, _encodable(record.getMessage()), file, record.lineno)
            if record.exc_info and record.exc_info[0]:
                for line in logging.Formatter().formatException(record.exc_info).splitlines():
                    # The bar tells lines of a traceback from messages.
                    log(level, f"| {_encodable(line)}", file, record.lineno)
        except Exception:
            self.handleError(record)


def configure_logging(*, error: bool, warning: bool, info: bool, verbose: int) -> None:
    """Chooses the levels, and sends Python's records of all libraries to the engine's log.

    Args:
        error, warning, info: whether lines of that level are written.
        verbose: 0: no verbose lines. More: those too.
    """
    for level, enabled in (
        (ERROR, error),
        (WARNING, warning),
        (INFO, info),
        (VERBOSE, verbose > 0),
    ):
        enable_log(level, enabled)
    root = logging.getLogger()
    root.handlers = [EngineHandler()]
    root.setLevel(logging.DEBUG if verbose > 0 else logging.INFO)
    logging.captureWarnings(True)


def _level(number: int) -> int:
    if number >= logging.ERROR:
        return ERROR
    if number >= logging.WARNING:
        return WARNING
    return INFO if number >= logging.INFO else VERBOSE


def _encodable(text: str) -> str:
    """The text with lone surrogates, which names of files may hold, escaped."""
    return text.encode("utf-8", "backslashreplace").decode()
