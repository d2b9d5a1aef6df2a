"""What the message's declaration says, in the terms that the readers of its forms need."""

from __future__ import annotations

from typing import cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message


def descriptor_of(message: Message) -> Descriptor:
    """The declaration of a message."""
    return cast("Descriptor", message.DESCRIPTOR)


def entry_of(field: FieldDescriptor) -> Descriptor | None:
    """The declaration of the entries of a field that is a map; nothing for other fields."""
    message = field.message_type
    return message if message is not None and message.GetOptions().map_entry else None
