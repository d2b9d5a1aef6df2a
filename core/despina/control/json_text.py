"""Documents of JSON that clients send, and what is in them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from despina.errors import DespinaError, reason
from despina_sdk import Code


def json_object(text: bytes, what: str = "the request JSON buffer") -> dict[str, Any]:
    """The object that a text holds; an empty one for no text.

    Args:
        text: JSON.
        what: the text is, for errors.

    Raises:
        DespinaError: INVALID_ARGUMENT: it is no JSON, no object, or has a name twice.
    """
    if not text:
        return {}
    try:
        # Of bytes json would take other encodings too, and halves of characters.
        value = json.loads(
            text.decode(),
            object_pairs_hook=_members,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        why = f"failed to parse {what}: {reason(error)}"
        raise DespinaError(Code.INVALID_ARGUMENT, why) from error
    if not isinstance(value, dict):
        why = f"failed to parse {what}: it is not an object"
        raise DespinaError(Code.INVALID_ARGUMENT, why)
    return value


def member(value: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    """A member of an object, or the default.

    Raises:
        DespinaError: INVALID_ARGUMENT: it is of another type.
    """
    found = value.get(name, default)
    if not isinstance(found, kind):
        wanted = {dict: "an object", bool: "a boolean", str: "a string"}[kind]
        raise DespinaError(Code.INVALID_ARGUMENT, f"Unable to parse '{name}': it is not {wanted}")
    return found


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, each in pairs:
        if name in value:
            raise ValueError(f"'{name}' is there more than once")
        value[name] = each
    return value
