"""Words with what every reader of them needs: notes of what is wrong, and ways past it."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from despina.config.text.tokens import Kind, Token, Tokens

CLOSING_OF = {"{": "}", "<": ">", "[": "]"}
CLOSING = frozenset(CLOSING_OF.values())

MAX_FAULTS = 100
"""What is wrong beyond that is not looked for."""


class Fault(NamedTuple):
    """Something wrong with the text; ``line`` and ``column`` count from 1."""

    line: int
    column: int
    text: str


class TooManyFaultsError(Exception):
    """Ends the reading."""


class Reader:
    """The words of a text, and what is found to be wrong with them."""

    def __init__(self, text: str) -> None:
        self.faults: list[Fault] = []
        self._text = text
        self._tokens = Tokens(text)
        self._noted: tuple[int, int] | None = None
        self._end_noted = False
        self._balanced: bool | None = None

    @property
    def current(self) -> Token:
        """The next word, which has not been used."""
        return self._tokens.current

    def advance(self) -> Token:
        """Uses the next word."""
        return self._tokens.advance()

    def accept(self, symbols: Container[str]) -> bool:
        """Uses the next word if it is one of the symbols."""
        found = self.current.kind is Kind.SYMBOL and self.current.text in symbols
        if found:
            self.advance()
        return found

    def note(self, at: Token, text: str) -> None:
        """Notes what is wrong with a word. Of one word only the first is kept.

        Raises:
            TooManyFaultsError: that is enough.
        """
        if (at.line, at.column) == self._noted:
            return
        self._noted = at.line, at.column
        self.faults.append(Fault(at.line, at.column, text))
        if len(self.faults) == MAX_FAULTS:
            self.faults.append(Fault(at.line, at.column, "and what follows is not looked at"))
            raise TooManyFaultsError

    def note_end(self, opening: Token) -> None:
        """Notes that the text ends within a bracket. Of several, only the innermost is noted."""
        if not self._end_noted:
            self._end_noted = True
            self.note(opening, f"'{opening.text}' is never closed")

    def is_balanced(self) -> bool:
        """Whether the text closes as many brackets as it opens."""
        if self._balanced is None:
            tokens, depth = Tokens(self._text), 0
            while tokens.current.kind is not Kind.END:
                text = tokens.advance().text
                depth += (text in CLOSING_OF) - (text in CLOSING)
            self._balanced = depth == 0
        return self._balanced

    def words(self) -> list[Token]:
        """Uses the words of one value: strings side by side, or what follows a minus sign too."""
        first = self.advance()
        found = [first]
        if first.kind is Kind.STRING:
            while self.current.kind is Kind.STRING:
                found.append(self.advance())
        elif first.text == "-" and self.current.kind in (Kind.NAME, Kind.NUMBER):
            found.append(self.advance())
        return found

    def skip_value(self) -> None:
        """Goes past one value, whatever it is; a name is the next field's unless ``:`` precedes."""
        named = self.accept(":=")
        if self.current.text in CLOSING_OF:
            self.skip_brackets()
        elif self.current.kind in (Kind.NUMBER, Kind.STRING, Kind.UNCLOSED) or (
            named and self.current.kind is Kind.NAME
        ):
            self.words()

    def skip_brackets(self) -> None:
        """Goes past a bracket, all within it and what closes it."""
        opening, depth = self.current, 0
        while self.current.kind is not Kind.END:
            text = self.advance().text
            depth += (text in CLOSING_OF) - (text in CLOSING)
            if depth == 0:
                return
        self.note_end(opening)

    def skip_to_field(self) -> None:
        """Goes past what can be no field, at least one word."""
        if self.current.text == "/":
            self._tokens.skip_line()
        elif self.current.text in CLOSING_OF:
            self.skip_brackets()
            self.skip_value()
        else:
            self.advance()
            while self.current.kind not in (Kind.NAME, Kind.END):
                if self.current.text in CLOSING:
                    return
                self.advance()
