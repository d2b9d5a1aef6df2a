"""Makes a message of its JSON form, or a list of all that is wrong with it.

What is taken is what protobuf's own reader takes, and enums in any case, as the incumbent reads
them. The depth of the schema bounds the recursion.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from despina.config.hints import no_such_field
from despina.config.problem import MAX_PROBLEMS, Problem
from despina.config.scalars import (
    BadValueError,
    Scalar,
    enum_number,
    enum_value,
    expected,
    in_range,
    is_integer,
)
from despina.config.schema import descriptor_of, entry_of
from despina.text import shortened

_WHOLE = re.compile(r"-?[0-9]{1,20}")
_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def read_json(fields: Mapping[str, Any], message: Message) -> list[Problem]:
    """Reads an object into an empty message.

    Args:
        fields: as a JSON reader makes them; ``None`` is no value.
        message: gets what can be read.

    Returns:
        What is wrong.
    """
    reader = _Reader()
    with suppress(_EnoughError):
        reader.read_message(fields, message, "")
    return reader.problems


class _EnoughError(Exception):
    """Ends the reading: more problems are not told."""


class _Reader:
    """Reads one object, and notes what is wrong on the way."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def read_message(self, fields: Mapping[str, Any], message: Message, path: str) -> None:
        """``path`` stands before the names of the fields: ``input[0].``."""
        descriptor = descriptor_of(message)
        known, given = _by_name(descriptor), set()
        for name, value in fields.items():
            field = known.get(name)
            if field is None:
                self._note(f"{path}{name}", no_such_field(descriptor, str(name)))
            elif value is None:
                continue  # no value
            elif field.name in given:
                self._note(f"{path}{field.name}", "is given more than once")
            else:
                given.add(field.name)
                self._field(field, value, message, f"{path}{field.name}")

    def _note(self, path: str, text: str) -> None:
        self.problems.append(Problem(path, text))
        if len(self.problems) > MAX_PROBLEMS:
            raise _EnoughError

    def _field(self, field: FieldDescriptor, value: Any, message: Message, path: str) -> None:
        target: Any = getattr(message, field.name)
        other = message.WhichOneof(field.containing_oneof.name) if field.containing_oneof else None
        if entry := entry_of(field):
            self._map(entry, value, target, path)
        elif field.is_repeated:
            self._list(field, value, target, path)
        elif other is not None:
            self._note(path, f"excludes '{other}': one of them may be given")
        elif field.message_type is None:
            read = self._scalar(field, value, path)
            if read is not None:
                setattr(message, field.name, read)
        elif self._is(Mapping, value, "an object", path):
            target.SetInParent()
            self.read_message(value, target, f"{path}.")

    def _list(self, field: FieldDescriptor, value: Any, target: Any, path: str) -> None:
        if not self._is(list | tuple, value, "a list", path):
            return
        for index, each in enumerate(value):
            here = f"{path}[{index}]"
            if field.message_type is None:
                read = self._scalar(field, each, here)
                if read is not None:
                    target.append(read)
            elif self._is(Mapping, each, "an object", here):
                self.read_message(each, target.add(), f"{here}.")

    def _map(self, entry: Descriptor, value: Any, target: Any, path: str) -> None:
        if not self._is(Mapping, value, "an object", path):
            return
        of_key, of_value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        for name, each in value.items():
            here = f"{path}['{name}']"
            key = self._scalar(of_key, str(name), here)
            if key is None:
                continue
            if of_value.message_type is None:
                read = self._scalar(of_value, each, here)
                if read is not None:
                    target[key] = read
            elif self._is(Mapping, each, "an object", here):
                self.read_message(each, target[key], f"{here}.")

    def _is(self, kind: Any, value: Any, words: str, path: str) -> bool:
        if isinstance(value, kind):
            return True
        self._note(path, f"takes {words}, not {_shown(value)}")
        return False

    def _scalar(self, field: FieldDescriptor, value: Any, path: str) -> Scalar | None:
        """The value, or nothing where it cannot be one."""
        try:
            read = _converted(field, value)
        except BadValueError as error:
            self._note(path, str(error))
            return None
        if read is None:
            self._note(path, f"takes {expected(field)}, not {_shown(value)}")
        return read


def _by_name(message: Descriptor) -> dict[str, FieldDescriptor]:
    """The fields, by the message's names and by those that JSON has for them."""
    names = {field.json_name: field for field in message.fields if field.json_name}
    return names | dict(message.fields_by_name)


def _converted(field: FieldDescriptor, value: Any) -> Scalar | None:
    """The value of a field that is no message; nothing for a value of another type.

    Raises:
        BadValueError: the type is right, the value is not.
    """
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _text(value) if isinstance(value, str) else None
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return value if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if field.enum_type is not None and isinstance(value, str) and not _WHOLE.fullmatch(value):
        return _named(field.enum_type, value)
    if field.enum_type is not None:
        number = _whole(value)
        return None if number is None else enum_number(field.enum_type, number)
    if is_integer(field):
        number = _whole(value)
        return None if number is None else in_range(field, number)
    return _number(value)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadValueError("the text has half of a surrogate pair") from error
    return value


def _named(enum: EnumDescriptor, name: str) -> int:
    """The number of an enum's name, in any case."""
    upper = name.upper()
    return enum_value(enum, upper if upper in enum.values_by_name else name)


def _whole(value: Any) -> int | None:
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value) else None
    return value if isinstance(value, int) else None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            return _FLOATS[value] if value in _FLOATS else float(value)
        except ValueError:
            return None
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return None


def _shown(value: Any) -> str:
    """A value as messages show it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case str():
            return f"the text '{shortened(value)}'"
        case _:
            return shortened(str(value))
