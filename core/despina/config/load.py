"""From ``config.pbtxt`` to a message; errors say where in the file they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor

from despina.config.model_config_pb2 import DESCRIPTOR, ModelConfig
from despina.errors import ConfigError
from despina.text import did_you_mean

MAX_CONFIG_BYTES = 4 << 20
"""Far above any real configuration; it bounds what a hostile one can cost."""

_POSITION = re.compile(r"^\d+:\d+ : ")
_NO_FIELD = re.compile(r'^Message type "(?P<type>[\w.]+)" has no field named "(?P<name>[^"]*)"\.?')
_NO_VALUE = re.compile(r'Enum type "(?P<type>[\w.]+)" has no value named (?P<name>\w+)\.?$')


def load_config(path: Path) -> ModelConfig:
    """Reads a configuration in protobuf's text form.

    Raises:
        ConfigError: the file cannot be read, or ``path:line:column: what`` is wrong in it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from error
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError([f"{path}: larger than {MAX_CONFIG_BYTES} bytes"])
    try:
        return parse_config(data.decode(), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: byte {error.start} is not UTF-8"]) from error


def parse_config(text: str, origin: str) -> ModelConfig:
    """Parses protobuf's text form; ``origin`` names the text in errors.

    Raises:
        ConfigError: ``origin:line:column: what`` for the first error of the text.
    """
    config = ModelConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        what = _explained(_POSITION.sub("", str(error)))
        line, column = error.GetLine(), error.GetColumn()
        where = f"{origin}:{line}:{column}" if line is not None else origin
        raise ConfigError([f"{where}: {what}"]) from error
    return config


def config_from_dict(fields: Mapping[str, Any], origin: str) -> ModelConfig:
    """Reads the JSON form of a configuration; ``origin`` names it in errors.

    Raises:
        ConfigError: an unknown field or a value of a wrong type.
    """
    try:
        return json_format.ParseDict(dict(fields), ModelConfig())
    except json_format.ParseError as error:
        raise ConfigError([f"{origin}: {error}"]) from error


def config_to_text(config: ModelConfig) -> str:
    """The text of ``config.pbtxt``: what ``parse_config`` makes the same configuration of."""
    text: str = text_format.MessageToString(config)
    return text


def _explained(what: str) -> str:
    """The library's message with the package left out, and the nearest name that exists."""
    if match := _NO_FIELD.match(what):
        message = _find(DESCRIPTOR.message_types_by_name, match["type"])
        return _no_such("field", match, message.fields_by_name if message else ())
    if match := _NO_VALUE.search(what):
        enum = _find_enum(match["type"])
        return _no_such("value", match, enum.values_by_name if enum else ())
    return what.replace(f"{DESCRIPTOR.package}.", "").rstrip(".")


def _no_such(what: str, match: re.Match[str], known: Iterable[str]) -> str:
    owner = match["type"].rpartition(".")[2]
    return f"{owner} has no {what} '{match['name']}'{did_you_mean(match['name'], known)}"


def _find(types: Mapping[str, Descriptor], full_name: str) -> Descriptor | None:
    """A message by its full name, also one that is declared inside another."""
    for message in types.values():
        if message.full_name == full_name:
            return message
        if found := _find(message.nested_types_by_name, full_name):
            return found
    return None


def _find_enum(full_name: str) -> EnumDescriptor | None:
    outer = _find(DESCRIPTOR.message_types_by_name, full_name.rpartition(".")[0])
    enums = outer.enum_types_by_name if outer else DESCRIPTOR.enum_types_by_name
    found: EnumDescriptor | None = enums.get(full_name.rpartition(".")[2])
    return found
