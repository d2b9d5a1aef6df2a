"""What to say of a field that does not exist."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from despina.config.schema import entry_of
from despina.text import did_you_mean

_OTHER_NAMES = {
    "delay": "max_queue_delay_microseconds",
    "dtype": "data_type",
    "filename": "default_model_filename",
    "inputs": "input",
    "outputs": "output",
    "shape": "dims",
    "steps": "step",
}
"""What people call a field, where the nearest name by its letters is another."""


def no_such_field(message: Descriptor, name: str, around: Sequence[Descriptor] = ()) -> str:
    """Says so, with the field that was probably meant.

    Args:
        message: has no such field.
        name: of the field.
        around: the messages that the message stands in.
    """
    return f"{message.name} has no field '{name}'{_hint(message, name, around)}"


def _hint(message: Descriptor, name: str, around: Sequence[Descriptor]) -> str:
    if (other := _OTHER_NAMES.get(name)) in message.fields_by_name:
        return f"; did you mean '{other}'?"
    if owner := next((each for each in reversed(around) if name in each.fields_by_name), None):
        return f"; it is a field of {owner.name}"
    if inside := [field.name for field in message.fields if _holds(field, name)]:
        return f"; it is a field of '{inside[0]}'"
    return did_you_mean(name, message.fields_by_name)


def _holds(field: FieldDescriptor, name: str) -> bool:
    """Whether a field is a message that has a field of that name."""
    message = field.message_type
    return message is not None and not entry_of(field) and name in message.fields_by_name
