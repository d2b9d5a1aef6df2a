"""The words of the text form, each with its place."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple


class Kind(Enum):
    """What a word is, as far as it can be told without its neighbours."""

    NAME = auto()
    NUMBER = auto()
    STRING = auto()
    UNCLOSED = auto()
    SYMBOL = auto()
    END = auto()


class Token(NamedTuple):
    """One word. ``line`` and ``column`` count from 1, columns in characters."""

    kind: Kind
    text: str
    line: int
    column: int


_SPACE = re.compile(r"(?:\s+|#.*)+")
_WORD = re.compile(
    r"""
      (?P<NAME>[a-zA-Z_][0-9a-zA-Z_]*)
    | (?P<NUMBER>(?:[0-9+-]|\.[0-9])[0-9a-zA-Z_.+-]*)
    | (?P<STRING>"(?:[^"\n\\]|\\.)*"|'(?:[^'\n\\]|\\.)*')
    | (?P<UNCLOSED>["'].*)
    | (?P<SYMBOL>.)
    """,
    re.VERBOSE,
)


class Tokens:
    """Gives the words of a text one after the other. ``current`` is the one to look at."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = self._line_start = 0
        self._line = 1
        self.current = self._next()

    def advance(self) -> Token:
        """Goes on to the next word; the one that was current."""
        passed = self.current
        self.current = self._next()
        return passed

    def skip_line(self) -> None:
        """Goes on to the first word of a later line."""
        line = self.current.line
        while self.current.line == line and self.current.kind is not Kind.END:
            self.advance()

    def _next(self) -> Token:
        if space := _SPACE.match(self._text, self._offset):
            if lines := self._text.count("\n", *space.span()):
                self._line += lines
                self._line_start = self._text.rindex("\n", *space.span()) + 1
            self._offset = space.end()
        column = self._offset - self._line_start + 1
        match = _WORD.match(self._text, self._offset)
        if match is None or match.lastgroup is None:  # nothing but the end is no word
            return Token(Kind.END, "", self._line, column)
        self._offset = match.end()
        return Token(Kind[match.lastgroup], match.group(), self._line, column)
