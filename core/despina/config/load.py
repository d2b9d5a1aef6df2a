"""From ``config.pbtxt``, or its JSON form, to a message; errors say where they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Never

from google.protobuf import text_format

from despina.config.from_json import read_json
from despina.config.model_config_pb2 import ModelConfig
from despina.config.problem import Origin, refuse
from despina.config.text.parser import parse_text
from despina.errors import ConfigError, Diagnostic

MAX_CONFIG_BYTES = 1 << 20
"""Far above any real configuration; it bounds what a hostile one can cost."""


def load_config(path: Path) -> ModelConfig:
    """Reads a configuration in protobuf's text form.

    Raises:
        ConfigError: the file cannot be read, or ``path:line:column: what`` is wrong in it.
    """
    config, origin = read_config(path)
    refuse(origin, ())
    return config


def read_config(path: Path) -> tuple[ModelConfig, Origin]:
    """Reads a configuration in protobuf's text form, as far as it can be read.

    Returns:
        The message, and its origin, which has what is wrong with the text. ``refuse`` raises that
        together with what else is found.

    Raises:
        ConfigError: the file cannot be read.
    """
    return read_text(_content(path), str(path))


def parse_config(text: str, origin: str) -> ModelConfig:
    """Parses protobuf's text form; ``origin`` names the text in errors.

    Raises:
        ConfigError: ``origin:line:column: what`` for each error of the text.
    """
    config, read = read_text(text, origin)
    refuse(read, ())
    return config


def read_text(text: str, name: str) -> tuple[ModelConfig, Origin]:
    """Parses protobuf's text form, as ``read_config`` does; ``name`` names the text in errors."""
    config = ModelConfig()
    fields, faults = parse_text(text, config)
    found = (Diagnostic(name, text, "", line, column) for line, column, text in faults)
    return config, Origin(name, fields, tuple(found))


def config_from_dict(fields: Mapping[str, Any], origin: str) -> ModelConfig:
    """Reads the JSON form of a configuration; ``origin`` names it in errors.

    Names of fields are those of the message or their lowerCamelCase, names of enums are taken in
    any case, and a value of ``None`` is no value.

    Raises:
        ConfigError: unknown fields and values of wrong types; each is named with its path.
    """
    config = ModelConfig()
    refuse(Origin(origin), read_json(fields, config))
    return config


def config_from_json(text: str, origin: str) -> ModelConfig:
    """Reads a JSON text; ``origin`` names it in errors.

    Raises:
        ConfigError: it is too large or no JSON, or as ``config_from_dict`` says.
    """
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError([Diagnostic(origin, f"larger than {MAX_CONFIG_BYTES} bytes")])
    try:
        fields = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        found = Diagnostic(origin, error.msg, "", error.lineno, error.colno)
        raise ConfigError([found]) from error
    except ValueError as error:
        raise ConfigError([Diagnostic(origin, str(error))]) from error
    except RecursionError as error:
        raise ConfigError([Diagnostic(origin, "nested too deeply")]) from error
    if not isinstance(fields, dict):
        raise ConfigError([Diagnostic(origin, "it is no JSON object")])
    return config_from_dict(fields, origin)


def load_json(path: Path) -> ModelConfig:
    """Reads a file of the JSON form.

    Raises:
        ConfigError: the file cannot be read, or as ``config_from_json`` says.
    """
    return config_from_json(_content(path), str(path))


def config_to_text(config: ModelConfig) -> str:
    """The text of ``config.pbtxt``: what ``parse_config`` makes the same configuration of."""
    text: str = text_format.MessageToString(config)
    return text


def _content(path: Path) -> str:
    """The text of a file. A byte order mark, which some editors write, is no part of it."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError([Diagnostic(str(path), error.strerror or str(error))]) from error
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError([Diagnostic(str(path), f"larger than {MAX_CONFIG_BYTES} bytes")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = f"byte {error.start} is not UTF-8"
        raise ConfigError([Diagnostic(str(path), text)]) from error


def _distinct(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"an object has '{key}' more than once")
        found[key] = value
    return found


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON")
