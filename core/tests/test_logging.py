"""Python's records in the engine's log."""

import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from despina.observe.logging import EngineHandler, LogSettings, configure_logging


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.Logger("test_logging")  # not among those whose records pytest shows
    logger.addHandler(EngineHandler())
    return logger


@pytest.fixture
def configured() -> Iterator[None]:
    """Puts the process's logging back after a test that changes it."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    configure_logging(LogSettings())
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return capfd.readouterr().err.splitlines()


def texts(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What the lines say, without what is before it."""
    return [json.loads(line.partition("] ")[2]) for line in lines(capfd)]


@pytest.mark.parametrize(
    ("level", "letter"),
    [(logging.CRITICAL, "E"), (logging.ERROR, "E"), (logging.WARNING, "W"), (logging.INFO, "I")],
)
def test_a_record_is_one_line_with_level_file_and_text(logger, capfd, level: int, letter: str):
    logger.log(level, "model '%s' is ready", "m")
    (line,) = lines(capfd)
    assert line.startswith(letter)
    assert "test_logging.py:" in line
    assert line.endswith("] \"model 'm' is ready\"")


def test_text_from_outside_cannot_forge_a_line(logger, capfd):
    logger.error("name %s", "a\nE1123 00:00:00.000000 1 x.cc:1] forged\x1b[31m\udc80")
    (line,) = lines(capfd)
    assert "a\\nE1123" in line
    assert "\\u001b[31m" in line
    assert "\\udc80" in line


def test_a_traceback_is_marked_line_by_line(logger, capfd):
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logger.exception("failed")
    first, *others = texts(capfd)
    assert first == "failed"
    assert others[0] == "| Traceback (most recent call last):"
    assert others[-2:] == ["| ValueError: first", "| second"]
    assert all(line.startswith("| ") for line in others)


def test_levels_are_chosen_one_by_one(configured, capfd):
    configure_logging(LogSettings(log_warning=False))
    logger = logging.getLogger("anybody")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logger.log(level, "text")
    assert [line[0] for line in lines(capfd)] == ["I", "E"]
    configure_logging(
        LogSettings(log_error=False, log_warning=False, log_info=False, log_verbose_level=1)
    )
    logger.debug("detail")
    logger.error("text")
    assert texts(capfd) == ["detail"]


def test_a_record_may_say_what_it_is_about(logger, capfd):
    logger.info("slow", extra={"model": "m", "version": 2, "request_id": 'a" b="\n'})
    (line,) = lines(capfd)
    assert line.endswith('] "slow" model="m" version="2" request_id="a\\" b=\\"\\n"')


def test_lines_of_json_carry_text_and_fields(configured, capfd):
    configure_logging(LogSettings(log_format="json"))
    try:
        raise ValueError("\u2028")
    except ValueError:
        logging.getLogger("anybody").exception("it\x1b", extra={"model": "ä\udc80"})
    first, *others = map(json.loads, lines(capfd))
    assert (first["level"], first["message"], first["model"]) == ("error", "it\x1b", "ä\\udc80")
    assert first["file"] == "test_logging.py"
    assert datetime.fromisoformat(first["time"]).utcoffset() == timedelta(0)
    assert others[-1]["message"] == "| ValueError: "
    assert {each["model"] for each in others} == {"ä\\udc80"}


def test_times_may_have_the_form_of_iso_8601(configured, capfd):
    configure_logging(LogSettings(log_format="ISO8601"))
    logging.getLogger("anybody").info("text")
    (line,) = lines(capfd)
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ I \d+ test_logging.py:\d+\] "text"', line)
