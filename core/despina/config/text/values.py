"""Single values, from the words that stand for them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from google.protobuf.descriptor import FieldDescriptor

from despina.config.scalars import (
    BadValueError,
    Scalar,
    enum_number,
    enum_value,
    expected,
    in_range,
    is_integer,
)
from despina.config.text.tokens import Kind, Token
from despina.text import shortened

# As the language is specified, and as the library in C++ reads it that the incumbent is built with.
# The one in Python takes some spellings of Python's as well: 1_000, 0b1, +1.
_INTEGER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"-?(?:inf(?:inity)?|nan|(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?)f?",
    re.IGNORECASE,
)
_ESCAPE = re.compile(
    rb"""\\(?:
      (?P<letter>[abfnrtv?'"\\])
    | (?P<octal>[0-7]{1,3})
    | x(?P<hex>[0-9a-fA-F]{1,2})
    | (?P<code>u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})
    | (?P<other>.?)
    )""",
    re.VERBOSE | re.DOTALL,
)
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_LETTERS |= {b"v": b"\v", b"?": b"?", b"'": b"'", b'"': b'"', b"\\": b"\\"}
_TRUTH = {"true": True, "t": True, "True": True, "1": True}
_TRUTH |= {"false": False, "f": False, "False": False, "0": False}

MAX_NUMBER_LENGTH = 1000
"""Of a number, in characters; making a number of many digits takes long."""


def read_value(field: FieldDescriptor, words: Sequence[Token]) -> Scalar:
    """The value of a field that is no message.

    Args:
        field: what it is a value of.
        words: one, or strings that stand side by side, or a minus sign and what it belongs to.

    Raises:
        BadValueError: the field cannot have that value.
    """
    text = "".join(word.text for word in words)
    is_text = words[0].kind is Kind.STRING
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        if is_text:
            return _unescaped(words)
        raise BadValueError(f"'{field.name}' takes text in quotes, found {shown(words[0])}")
    if is_text:
        what = f"{expected(field)}, without quotes: found {shortened(text)}"
        raise BadValueError(f"'{field.name}' takes {what}")
    return _bare(field, text)


def shown(word: Token) -> str:
    """A word as messages show it."""
    match word.kind:
        case Kind.END:
            return "the end of the file"
        case Kind.STRING | Kind.UNCLOSED:
            return f"the text {shortened(word.text)}"
        case _:
            return f"'{shortened(word.text)}'"


def _unescaped(words: Sequence[Token]) -> str:
    data = b"".join(_ESCAPE.sub(_escaped, word.text[1:-1].encode()) for word in words)
    try:
        return data.decode()
    except UnicodeDecodeError as error:  # the escapes spell bytes
        raise BadValueError(f"{shown(words[0])} is not UTF-8") from error


def _escaped(match: re.Match[bytes]) -> bytes:
    """The bytes that an escape stands for."""
    kind = match.lastgroup
    digits = match[kind] if kind else b""
    try:
        match kind:
            case "letter":
                return _LETTERS[digits]
            case "octal":
                return bytes([int(digits, 8)])
            case "hex":
                return bytes([int(digits, 16)])
            case "code":
                return chr(int(digits.lstrip(b"uU"), 16)).encode()
    except (ValueError, OverflowError):  # no byte, no code point, half of a surrogate pair
        pass
    raise BadValueError(f"there is no escape '{match[0].decode(errors='replace')}'")


def _bare(field: FieldDescriptor, text: str) -> Scalar:
    """The value of a word without quotes."""
    if len(text) > MAX_NUMBER_LENGTH:
        raise BadValueError(f"a value of {len(text)} characters")
    if field.enum_type is not None and not _INTEGER.fullmatch(text):
        return enum_value(field.enum_type, text)
    if field.enum_type is not None:
        return enum_number(field.enum_type, _integer(text))
    if is_integer(field) and _INTEGER.fullmatch(text):
        return _whole(field, text)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL and text in _TRUTH:
        return _TRUTH[text]
    is_float = field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
    if is_float and _FLOAT.fullmatch(text):
        return _float(text)
    raise BadValueError(f"'{field.name}' takes {expected(field)}, not '{text}'")


def _whole(field: FieldDescriptor, text: str) -> int:
    try:
        return in_range(field, _integer(text))
    except BadValueError as error:
        raise BadValueError(f"'{field.name}': {error}") from error


def _integer(text: str) -> int:
    digits = text.removeprefix("-")
    octal = digits.startswith("0") and digits.isdecimal()
    value = int(digits, 8 if octal else 0)
    return -value if text.startswith("-") else value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float(text[:-1])  # 1.5f
