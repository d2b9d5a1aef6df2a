"""Python's records in the engine's log."""

import logging
from collections.abc import Iterator

import pytest

from despina.observe.logging import EngineHandler, configure_logging


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.getLogger("test_logging")
    logger.handlers, logger.propagate = [EngineHandler()], False
    logger.setLevel(logging.DEBUG)
    return logger


@pytest.fixture
def configured() -> Iterator[None]:
    """Puts the process's logging back after a test that changes it."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    configure_logging(error=True, warning=True, info=True, verbose=0)
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return capfd.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("level", "letter"),
    [(logging.CRITICAL, "E"), (logging.ERROR, "E"), (logging.WARNING, "W"), (logging.INFO, "I")],
)
def test_a_record_is_one_line_with_level_file_and_text(logger, capfd, level: int, letter: str):
    logger.log(level, "model '%s' is ready", "m")
    (line,) = lines(capfd)
    assert line.startswith(letter)
    assert "test_logging.py:" in line
    assert line.endswith("] model 'm' is ready")


def test_text_from_outside_cannot_forge_a_line(logger, capfd):
    logger.error("name %s", "a\nE1123 00:00:00.000000 1 x.cc:1] forged\x1b[31m\udc80")
    (line,) = lines(capfd)
    assert "a\\nE1123" in line
    assert "\\x1b[31m" in line
    assert "\\udc80" in line


def test_a_traceback_is_marked_line_by_line(logger, capfd):
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logger.exception("failed")
    first, *others = (line.partition("] ")[2] for line in lines(capfd))
    assert first == "failed"
    assert others[0] == "| Traceback (most recent call last):"
    assert others[-2:] == ["| ValueError: first", "| second"]
    assert all(line.startswith("| ") for line in others)


def test_levels_are_chosen_one_by_one(configured, capfd):
    configure_logging(error=True, warning=False, info=True, verbose=0)
    logger = logging.getLogger("anybody")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logger.log(level, "text")
    assert [line[0] for line in lines(capfd)] == ["I", "E"]
    configure_logging(error=False, warning=False, info=False, verbose=1)
    logger.debug("detail")
    logger.error("text")
    assert [line.partition("] ")[2] for line in lines(capfd)] == ["detail"]
