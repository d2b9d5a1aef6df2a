"""Makes a message of a text, or a list of all that is wrong with it.

The parser is driven by the message's descriptor. What is wrong is noted, what it concerns is
skipped, and the parser goes on, so that one run finds every error of a file. The depth of the
schema bounds its recursion: below a field that does not exist it only counts brackets.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from despina.config.hints import no_such_field
from despina.config.scalars import BadValueError, expected
from despina.config.schema import descriptor_of, entry_of
from despina.config.text.places import Place
from despina.config.text.reader import CLOSING, CLOSING_OF, Fault, Reader, TooManyFaultsError
from despina.config.text.tokens import Kind, Token
from despina.config.text.values import read_value, shown
from despina.text import shortened


def parse_text(text: str, message: Message) -> tuple[Place, list[Fault]]:
    """Reads a text into an empty message.

    Returns:
        Where the fields are written, and what is wrong, in the order of the text. With faults, the
        message has what could be read.
    """
    reader, root = Reader(text), Place(1, 1)
    with suppress(TooManyFaultsError):
        _Parser(reader).read_body(message, root, None)
    return root, sorted(reader.faults)


class _Open(NamedTuple):
    """A message that is being read, and the bracket that it began with."""

    descriptor: Descriptor
    bracket: Token | None


class _Parser:
    """Reads the messages of one text."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._messages: list[_Open] = []
        self._lists = 0

    def read_body(self, message: Message, place: Place, bracket: Token | None) -> None:
        """Reads fields up to the end of the message.

        Args:
            message: gets the fields.
            place: of the message; gets theirs.
            bracket: what opened the message; ``None`` at the outermost, which ends with the text.
        """
        self._messages.append(_Open(descriptor_of(message), bracket))
        while not self._ends(bracket):
            self._field(message, place)
        self._messages.pop()

    def _ends(self, bracket: Token | None) -> bool:
        """Whether the message ends here, or must have ended before."""
        token = self._reader.current
        if token.kind is Kind.END:
            if bracket:
                self._reader.note_end(bracket)
            return True
        if bracket is None:
            return False
        if token.text == "]" and self._lists:
            self._reader.note(token, f"found ']', but {_is_open(bracket)}")
            return True
        if token.text in CLOSING and token.text != "]":
            if token.text != CLOSING_OF[bracket.text]:
                self._reader.note(token, f"found '{token.text}', but {_is_open(bracket)}")
            self._reader.advance()
            return True
        return self._is_outside(token, bracket)

    def _is_outside(self, token: Token, bracket: Token) -> bool:
        """Whether a field is one of a message around this one, which then was never closed."""
        *around, (descriptor, _) = self._messages
        if token.kind is not Kind.NAME or token.text in descriptor.fields_by_name:
            return False
        if not any(token.text in each.descriptor.fields_by_name for each in around):
            return False
        if self._reader.is_balanced():
            return False
        self._reader.note(token, f"found '{token.text}', but {_is_open(bracket)}")
        return True

    def _field(self, message: Message, place: Place) -> None:
        name = self._name()
        if name is None:
            return
        descriptor = descriptor_of(message)
        field = descriptor.fields_by_name.get(name.text)
        if field is None:
            around = [each.descriptor for each in self._messages[:-1]]
            self._reader.note(name, no_such_field(descriptor, name.text, around))
            self._reader.skip_value()
        elif self._colon(field, name):
            self._set(message, field, name, place)
        self._reader.accept(",;")

    def _name(self) -> Token | None:
        """The name of a field; nothing if there was something else, which is skipped."""
        token = self._reader.current
        if token.kind is Kind.NAME:
            return self._reader.advance()
        if token.kind is Kind.STRING:
            self._reader.note(token, f"the name of a field stands without quotes: {token.text}")
            self._reader.advance()
            return token._replace(kind=Kind.NAME, text=token.text[1:-1])
        if token.text == "/":
            self._reader.note(token, "a comment begins with '#'")
        elif token.text in CLOSING:
            self._reader.note(token, f"'{token.text}' closes nothing")
            self._reader.advance()
            return None
        elif token.text in ("{", "<") and len(self._messages) == 1:
            self._reader.note(token, "no brackets stand around the fields of a configuration")
        else:
            self._reader.note(token, f"expected the name of a field, found {shown(token)}")
        self._reader.skip_to_field()
        return None

    def _colon(self, field: FieldDescriptor, name: Token) -> bool:
        """Goes past ``:``, which messages need not have; whether a value can follow."""
        token = self._reader.current
        if self._reader.accept(":"):
            return True
        if token.text == "=" or field.message_type is None:
            self._reader.note(token, f"expected ':' after '{name.text}', found {shown(token)}")
        if self._reader.accept("=") or token.text in CLOSING_OF:
            return True
        if token.kind is Kind.NAME and field.enum_type:
            return token.text in field.enum_type.values_by_name
        return token.kind in (Kind.NUMBER, Kind.STRING) or field.message_type is not None

    def _set(self, message: Message, field: FieldDescriptor, name: Token, place: Place) -> None:
        here = place.below.setdefault(field.name, Place(name.line, name.column))
        opening = self._reader.current
        if opening.text != "[":
            self._value(message, field, name, here)
        elif field.is_repeated:
            self._lists += 1
            self._list(message, field, here)
            self._lists -= 1
        else:
            self._reader.note(opening, f"'{field.name}' takes {expected(field)}, not a list")
            self._reader.skip_brackets()

    def _list(self, message: Message, field: FieldDescriptor, here: Place) -> None:
        """``[a, b]``: what is missing between or behind the elements is noted."""
        opening = self._reader.advance()
        if self._reader.accept("]"):
            return
        while True:
            self._value(message, field, self._reader.current, here)
            token = self._reader.current
            if self._reader.accept("]"):
                return
            if self._reader.accept(","):
                if self._reader.current.text == "]":
                    self._reader.note(token, "no ',' may stand before ']'")
                    self._reader.advance()
                    return
            elif not self._goes_on(field, opening):
                return

    def _goes_on(self, field: FieldDescriptor, opening: Token) -> bool:
        """Notes what stands where ``,`` or ``]`` should; whether it is another element."""
        token = self._reader.current
        if token.kind is Kind.END:
            self._reader.note_end(opening)
            return False
        where = f"'{field.name}' at {opening.line}:{opening.column}"
        text = f"expected ',' or ']' in the list of {where}, found {shown(token)}"
        self._reader.note(token, text)
        if field.message_type is not None:
            is_element = token.text in ("{", "<")
        else:
            is_element = token.kind in (Kind.NUMBER, Kind.STRING)
        if not is_element and token.text in CLOSING and self._messages[-1].bracket is None:
            self._reader.advance()  # no message is open that it could close
        return is_element

    def _value(self, message: Message, field: FieldDescriptor, at: Token, here: Place) -> None:
        """Reads one value.

        Args:
            message: gets it.
            field: of the message.
            at: where it stands: the field's name, or the first word of an element of a list.
            here: the place of the field; gets that of an element.
        """
        if field.is_repeated and entry_of(field) is None:
            index = len(getattr(message, field.name))
            here = here.below.setdefault(f"[{index}]", Place(at.line, at.column))
        allowed = field.is_repeated or self._may_set(message, field, at)
        if field.message_type is None:
            self._scalar(message, field, allowed)
            return
        bracket = self._reader.current
        if bracket.text not in ("{", "<"):
            self._reader.note(bracket, _no_message(field, bracket))
            self._reader.skip_value()
            return
        self._reader.advance()
        if entry_of(field):
            self._entry(message, field, bracket, here)
        else:
            self.read_body(_target(message, field, allowed), here, bracket)

    def _may_set(self, message: Message, field: FieldDescriptor, name: Token) -> bool:
        """Whether a field that can have one value has none, nor another of its choice."""
        oneof = field.containing_oneof
        other = message.WhichOneof(oneof.name) if oneof else None
        if other is not None and other != field.name:
            text = f"'{field.name}' and '{other}' exclude each other: one of them may be given"
        elif _is_set(message, field):
            text = f"'{field.name}' is given more than once"
        else:
            return True
        self._reader.note(name, text)
        return False

    def _scalar(self, message: Message, field: FieldDescriptor, allowed: bool) -> None:
        token = self._reader.current
        if token.kind in (Kind.SYMBOL, Kind.END) and token.text != "-":
            text = f"'{field.name}' takes {expected(field)}, found {shown(token)}"
            self._reader.note(token, text)
            self._reader.skip_value()
            return
        if token.kind is Kind.UNCLOSED:
            self._reader.note(self._reader.advance(), "the text has no closing quote in its line")
            return
        is_name = token.kind is Kind.NAME
        words = [token] if is_name else self._reader.words()
        try:
            value: Any = read_value(field, words)
        except BadValueError as error:
            self._reader.note(token, str(error))
            if is_name and token.text in message.DESCRIPTOR.fields_by_name:
                return  # the value is missing, and this is the next field
        else:
            if field.is_repeated:
                getattr(message, field.name).append(value)
            elif allowed:
                setattr(message, field.name, value)
        if is_name:
            self._reader.advance()

    def _entry(self, message: Message, field: FieldDescriptor, bracket: Token, here: Place) -> None:
        """Reads an entry of a map: a message of ``key`` and ``value``."""
        entries: Any = getattr(message, field.name)
        entry = entries.GetEntryClass()()
        inside, faults = Place(bracket.line, bracket.column), len(self._reader.faults)
        self.read_body(entry, inside, bracket)
        if entry.key in entries and len(self._reader.faults) == faults:
            self._reader.note(bracket, f"'{field.name}' has the key '{entry.key}' more than once")
        if isinstance(entry.value, Message):
            entries[entry.key].CopyFrom(entry.value)
        else:
            entries[entry.key] = entry.value
        below = inside.below["value"].below if "value" in inside.below else {}
        here.below[f"['{entry.key}']"] = Place(bracket.line, bracket.column, below)


def _target(message: Message, field: FieldDescriptor, allowed: bool) -> Message:
    """What a message is read into: the field, or something that is thrown away."""
    value: Any = getattr(message, field.name)
    if field.is_repeated:
        added: Message = value.add()
        return added
    if not allowed:
        thrown_away: Message = type(value)()
        return thrown_away
    value.SetInParent()
    kept: Message = value
    return kept


def _is_set(message: Message, field: FieldDescriptor) -> bool:
    if field.has_presence:
        return message.HasField(field.name)
    return bool(getattr(message, field.name) != field.default_value)


def _no_message(field: FieldDescriptor, word: Token) -> str:
    """What to say of a word where a message should begin."""
    text = f"'{field.name}' takes a message: expected '{{', found {shown(word)}"
    inside = field.message_type.fields if field.message_type else ()
    if word.kind is Kind.STRING and len(inside) == 1:
        return f"{text}; write {{ {inside[0].name}: {shortened(word.text)} }}"
    return text


def _is_open(bracket: Token) -> str:
    return f"'{bracket.text}' at {bracket.line}:{bracket.column} is not closed"
