"""Reading and changing the settings of the log."""

from __future__ import annotations

from typing import Any

import pytest

from despina import Code, DespinaError
from despina.control.logging import Logging
from despina.observe.logging import LogSettings

START = {
    "log_file": "/var/log/despina",
    "log_info": True,
    "log_warning": True,
    "log_error": True,
    "log_verbose_level": 0,
    "log_format": "default",
}


class Applied:
    """The operation, and what it has put into force."""

    def __init__(self) -> None:
        self.settings: list[LogSettings] = []
        self.logging = Logging(LogSettings(), self.settings.append, "/var/log/despina")


def test_the_settings_have_the_protocols_names():
    assert Applied().logging.get() == START


@pytest.mark.parametrize(
    "change",
    [
        {"log_info": False},
        {"log_warning": False, "log_error": False},
        {"log_verbose_level": 3},
        {"log_format": "ISO8601"},
        {"log_format": "json"},
    ],
)
def test_what_is_named_changes_and_the_rest_stays(change: dict[str, Any]):
    applied = Applied()
    assert applied.logging.update(change) == {**START, **change}
    assert applied.logging.get() == {**START, **change}
    (settings,) = applied.settings
    assert {key: getattr(settings, key) for key in change} == change
    assert applied.logging.update({}) == {**START, **change}


def test_unknown_names_change_nothing():
    assert Applied().logging.update({"log_level": "all"}) == START


@pytest.mark.parametrize(
    ("document", "code", "text"),
    [
        (
            {"log_file": "/tmp/other"},
            Code.UNIMPLEMENTED,
            "log file location can not be updated through network protocol",
        ),
        (
            {"log_format": "bad"},
            Code.INVALID_ARGUMENT,
            "invalid argument for --log_format, got: bad",
        ),
        (
            {"log_format": 1},
            Code.INVALID_ARGUMENT,
            "attempt to access JSON non-string as string",
        ),
        (
            {"log_info": 1},
            Code.INVALID_ARGUMENT,
            "attempt to access JSON non-boolean as boolean",
        ),
        (
            {"log_error": None},
            Code.INVALID_ARGUMENT,
            "attempt to access JSON non-boolean as boolean",
        ),
        (
            {"log_verbose_level": True},
            Code.INVALID_ARGUMENT,
            "attempt to access JSON non-unsigned-integer as unsigned-integer",
        ),
        (
            {"log_verbose_level": -1},
            Code.INVALID_ARGUMENT,
            "'log_verbose_level' is not between 0 and 2147483647",
        ),
        (
            {"log_verbose_level": 1 << 40},
            Code.INVALID_ARGUMENT,
            "'log_verbose_level' is not between 0 and 2147483647",
        ),
    ],
)
def test_what_cannot_be_changes_nothing_of_the_document(
    document: dict[str, Any], code: Code, text: str
):
    applied = Applied()
    with pytest.raises(DespinaError) as raised:
        applied.logging.update({"log_warning": False, **document})
    assert (raised.value.code, raised.value.message) == (code, text)
    assert applied.logging.get() == START
    assert applied.settings == []
