"""The page ``docs/reference/configuration.md``, made of the message and of what is done with it.

``python -m despina.config.reference`` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from despina.config.model_config_pb2 import ModelConfig
from despina.config.scalars import is_integer
from despina.config.schema import descriptor_of, entry_of
from despina.config.support import UNSUPPORTED, UNSUPPORTED_VALUES

_HEAD = """\
# Fields of a model configuration

Made of `core/despina/config/model_config.proto` and of the tables in
`core/despina/config/support.py` by `python -m despina.config.reference`; do not edit.

`config.pbtxt` is protobuf's text form of this message, `.json` and the load request its JSON form.
Every field is checked, also one that is *refused*: a model whose configuration asks for it is not
loaded, and the error names the field. Fields below a refused one are not listed. A field that is
not here is not known, and is refused with the nearest name. `despina validate PATH` tells all that
is wrong with a configuration.

| field | value | status |
|---|---|---|
"""

_NAMES = {
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
    FieldDescriptor.CPPTYPE_STRING: "text",
}


def render() -> str:
    """The page, in Markdown."""
    return _HEAD + "".join(_rows(descriptor_of(ModelConfig()), ""))


def _rows(message: Descriptor, path: str) -> Iterator[str]:
    for field in message.fields:
        here = f"{path}{field.name}"
        yield f"| `{here}` | {_value(field)} | {_use(here, field)} |\n"
        if here not in UNSUPPORTED and (inner := _inside(field)):
            yield from _rows(inner, f"{here}.")


def _inside(field: FieldDescriptor) -> Descriptor | None:
    """The message whose fields stand below a field: of a map, that of its values."""
    if entry := entry_of(field):
        return entry.fields_by_name["value"].message_type
    return field.message_type


def _value(field: FieldDescriptor) -> str:
    if entry := entry_of(field):
        return f"map: {_one(entry.fields_by_name['value'])}"
    return f"list: {_one(field)}" if field.is_repeated else _one(field)


def _one(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        return "message"
    if field.enum_type is not None:
        return ", ".join(f"`{each.name}`" for each in field.enum_type.values)
    if is_integer(field):
        return "whole number"
    return _NAMES.get(field.cpp_type, "number")


def _use(path: str, field: FieldDescriptor) -> str:
    if path in UNSUPPORTED:
        return f"refused: {UNSUPPORTED[path]}"
    refused = [
        f"`{field.enum_type.values_by_number[value].name}` refused: {why}"
        for (where, value), why in UNSUPPORTED_VALUES.items()
        if where == path and field.enum_type
    ]
    return "; ".join(["supported", *refused])


if __name__ == "__main__":
    print(render(), end="")
