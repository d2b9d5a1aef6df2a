"""The JSON form of a configuration, as the protocol's clients read it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from despina.config.model_config_pb2 import ModelConfig
from despina.config.schema import entry_of


def config_to_dict(config: ModelConfig) -> dict[str, Any]:
    """The JSON form: every field that has a default, the proto's names, enums by name.

    Messages that are not set are left out, as the protocol has it. 64-bit integers are numbers
    (protobuf's own JSON form makes them strings).
    """
    return _message(config)


def config_to_json(config: ModelConfig) -> str:
    """The text of ``config_to_dict``."""
    return json.dumps(_message(config), ensure_ascii=False, separators=(",", ":"))


def _message(message: Message) -> dict[str, Any]:
    fields: Iterable[Any] = message.DESCRIPTOR.fields
    return {
        field.name: _field(field, getattr(message, field.name))
        for field in fields
        if not field.has_presence or message.HasField(field.name)
    }


def _field(field: FieldDescriptor, value: Any) -> Any:
    if entry := entry_of(field):
        of_value = entry.fields_by_name["value"]
        return {str(key): _value(of_value, value[key]) for key in sorted(value)}
    if field.is_repeated:
        return [_value(field, each) for each in value]
    return _value(field, value)


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return _message(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        return float(str(numpy.float32(value)))  # 0.1, and not what 32 bits make of it in 64
    return value
