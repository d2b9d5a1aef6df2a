"""Single values of fields: what both forms of a configuration, text and JSON, share."""

from __future__ import annotations

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from despina.text import did_you_mean

Scalar = int | float | bool | str

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}

_OTHER_NAMES = {
    "BYTES": "STRING",
    "DOUBLE": "FP64",
    "FLOAT": "FP32",
    "FLOAT16": "FP16",
    "FLOAT32": "FP32",
    "FLOAT64": "FP64",
    "BFLOAT16": "BF16",
    "INT": "INT32",
    "LONG": "INT64",
    "OBJECT": "STRING",
    "UINT": "UINT32",
}
"""What other systems call a datatype."""


class BadValueError(ValueError):
    """A value that its field cannot have; the text says why."""


def is_integer(field: FieldDescriptor) -> bool:
    """Whether the field holds whole numbers."""
    return field.cpp_type in _INTEGERS


def in_range(field: FieldDescriptor, value: int) -> int:
    """The number, if the field can hold it.

    Raises:
        BadValueError: it is too small or too large.
    """
    lowest, highest = _INTEGERS[field.cpp_type]
    if not lowest <= value <= highest:
        raise BadValueError(f"{value} is not between {lowest} and {highest}")
    return value


def enum_number(enum: EnumDescriptor, number: int) -> int:
    """The number, if a value of the enum has it.

    Raises:
        BadValueError: none has.
    """
    if number not in enum.values_by_number:
        raise BadValueError(f"{enum.name} has no value of number {number}")
    return number


def enum_value(enum: EnumDescriptor, name: str) -> int:
    """The number of a name.

    Raises:
        BadValueError: there is no such name; the nearest one is named.
    """
    if value := enum.values_by_name.get(name):
        return int(value.number)
    raise BadValueError(f"{enum.name} has no value '{name}'{_hint(enum, name)}")


def _hint(enum: EnumDescriptor, name: str) -> str:
    other = _OTHER_NAMES.get(name.upper().removeprefix("TYPE_"), "")
    if f"TYPE_{other}" in enum.values_by_name:
        return f"; did you mean 'TYPE_{other}'?"
    ending = [each for each in enum.values_by_name if each.endswith(f"_{name.upper()}")]
    return did_you_mean(ending[0] if ending else name, enum.values_by_name)


def expected(field: FieldDescriptor) -> str:
    """What a field takes, in words."""
    if field.message_type is not None:
        return "a message"
    if field.enum_type is not None:
        return f"a value of {field.enum_type.name}"
    if is_integer(field):
        return "a whole number"
    words = {
        FieldDescriptor.CPPTYPE_BOOL: "true or false",
        FieldDescriptor.CPPTYPE_STRING: "text in quotes",
    }
    return words.get(field.cpp_type, "a number")
