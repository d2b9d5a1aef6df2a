"""Reads settings: from flags, else the environment, else a file, else the declaration."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import Field
from enum import StrEnum
from pathlib import Path
from typing import Any

from despina.errors import DespinaError
from despina.settings.model import (
    Settings,
    choices,
    environment_name,
    flag_name,
    is_repeatable,
    setting_fields,
    setting_type,
)
from despina.text import did_you_mean
from despina_sdk import Code

MAX_INTEGER = (1 << 63) - 1
MAX_SECONDS = 1_000_000.0
"""Of settings that have no maximum of their own; what the engine can hold."""

SHOWN_CHARACTERS = 40
"""Of a value in an error."""

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Origin(StrEnum):
    """Where a value came from."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"
    DEV = "--dev"


def resolve(
    flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None
) -> tuple[Settings, dict[str, Origin]]:
    """Puts the sources together.

    Args:
        flags: by the setting's name; text, a sequence of texts, or ``None`` for one not given.
        environment: ``DESPINA_...``; several values are separated by commas.
        file: TOML, with the names of the flags as keys.

    Returns:
        The settings, and where each came from.

    Raises:
        DespinaError: INVALID_ARGUMENT: a value that cannot be; names source and setting.
    """
    in_file = _read(file) if file else {}
    for name in flags:
        _check_name(name, "")
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for each in setting_fields():
        name, variable = each.name, environment_name(each.name)
        given = flags.get(name)
        if given is not None and given != ():
            values[name] = _values(each, given, f"--{flag_name(name)}")
            origins[name] = Origin.FLAG
        elif variable in environment:
            text = environment[variable]
            parts = text.split(each.metadata["separator"])
            given = [part for part in parts if part] if is_repeatable(name) else text
            values[name] = _values(each, given, variable)
            origins[name] = Origin.ENVIRONMENT
        elif name in in_file:
            values[name] = _values(each, in_file[name], f"{file}: {flag_name(name)}")
            origins[name] = Origin.FILE
        else:
            origins[name] = Origin.DEFAULT
    for name, value in _dev_defaults(values.get("dev", "")).items():
        if name not in values:
            values[name], origins[name] = value, Origin.DEV
    return Settings(**values), origins


def _dev_defaults(folder: str) -> dict[str, Any]:
    """What is otherwise while a plugin is being written."""
    if not folder:
        return {}
    return {"model_repository": (Path(folder, "model_repository"),), "exit_on_error": False}


def _read(file: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise _invalid(f"{file}", str(error.strerror)) from error
    except ValueError as error:  # of TOML, of UTF-8, or of an integer without end
        raise _invalid(f"{file}", str(error)) from error
    for key in table:
        _check_name(key.replace("-", "_"), f"{file}: ")
    return {key.replace("-", "_"): value for key, value in table.items()}


def _check_name(name: str, where: str) -> None:
    known = [each.name for each in setting_fields()]
    if name not in known:
        hint = did_you_mean(name, known).replace("_", "-")
        text = f"{where}there is no setting '{flag_name(name)}'{hint}"
        raise DespinaError(Code.INVALID_ARGUMENT, text)


def _values(each: Field[Any], given: Any, where: str) -> Any:
    if not is_repeatable(each.name):
        return parse(each, given, where)
    if isinstance(given, str) or not isinstance(given, Sequence):
        given = [given]
    return tuple(parse(each, one, where) for one in given)


def parse(each: Field[Any], given: Any, where: str) -> Any:
    """One value from text, or from what TOML has for it.

    Raises:
        DespinaError: INVALID_ARGUMENT: it cannot be; starts with ``where``.
    """
    kind = setting_type(each.name)
    if allowed := choices(each.name):
        if given not in allowed:
            raise _invalid(where, f"'{given}' is none of {', '.join(allowed)}")
        return given
    if kind is bool:
        return _boolean(given, where)
    if kind in (int, float):
        return _number(each, kind, given, where)
    if not isinstance(given, str):
        raise _invalid(where, f"{given!r} is not text")
    if kind is Path and not given:
        raise _invalid(where, "is empty")
    return kind(given)


def _boolean(given: Any, where: str) -> bool:
    if isinstance(given, bool):
        return given
    if str(given).lower() not in _BOOLEANS:
        raise _invalid(where, f"'{given}' is neither true nor false")
    return _BOOLEANS[str(given).lower()]


def _number(each: Field[Any], kind: type[int] | type[float], given: Any, where: str) -> float:
    what = "a whole number" if kind is int else "a number"
    if isinstance(given, bool) or not isinstance(given, str | int | kind):
        raise _invalid(where, f"{given!r} is not {what}")
    least, most = each.metadata["minimum"], each.metadata["maximum"]
    if most is None:
        most = MAX_INTEGER if kind is int else MAX_SECONDS
    try:
        value = kind(given)
    except ValueError as error:
        raise _invalid(where, f"'{_shown(given)}' is not {what}") from error
    except OverflowError as error:
        raise _invalid(where, f"{_shown(given)} is more than {most}") from error
    if isinstance(value, float) and math.isnan(value):
        raise _invalid(where, f"'{given}' is not {what}")
    if least is not None and value < least:
        raise _invalid(where, f"{_shown(given)} is less than {least}")
    if value > most:
        raise _invalid(where, f"{_shown(given)} is more than {most}")
    return value


def _shown(given: Any) -> str:
    """A value for an error; of a long one, which Python may not want to write out, the start."""
    long = isinstance(given, int) and given.bit_length() > 64
    text = hex(given) if long else str(given)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def backend_options(settings: Settings) -> dict[str, dict[str, str]]:
    """The settings for backends, by backend and key.

    Raises:
        DespinaError: INVALID_ARGUMENT: one is not of the form ``backend,key=value``.
    """
    options: dict[str, dict[str, str]] = {}
    for text in settings.backend_config:
        backend, comma, rest = text.partition(",")
        key, equals, value = rest.partition("=")
        if not (backend and comma and key and equals):
            raise _invalid("--backend-config", f"'{text}' is not BACKEND,KEY=VALUE")
        options.setdefault(backend, {})[key] = value
    return options


def _invalid(where: str, what: str) -> DespinaError:
    return DespinaError(Code.INVALID_ARGUMENT, f"{where}: {what}")
