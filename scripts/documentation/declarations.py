"""Reads a header of C or C++: its declarations, each with the comment above or behind it.

Knows what the SDK's headers are made of, as clang-format lays them out; it is no parser of C++.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

COMMENT = re.compile(r"/\*(?P<block>.*?)\*/|//(?P<line>[^\n]*)", re.DOTALL)
DIRECTIVE = re.compile(r"#(?:[^\\\n]|\\\n)*")
ACCESS = re.compile(r"(public|protected|private):")
# What is looked through: its braces hold declarations of the level around it.
BLOCK = re.compile(r'(?:extern "C"|namespace (?P<name>[\w:]+)) \{')
TEMPLATE = r"template <[^{]*>\s*"
OPEN, CLOSE = "([{", ")]}"


@dataclass
class Declaration:
    """One declaration.

    Attributes:
        text: as in the header, without bodies of functions and without what is not public.
        comment: what stands above it or behind it.
        members: those of a class or a structure.
        joined: whether it follows the one before without an empty line.
    """

    text: str
    comment: str = ""
    members: list[Declaration] = field(default_factory=list)
    joined: bool = False

    @property
    def is_remark(self) -> bool:
        """Whether it is a comment that stands alone."""
        return not self.text


def read(text: str) -> list[Declaration]:
    """The declarations of a header, without those of namespaces called ``detail``."""
    return list(_Reader(text).declarations())


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._comment: list[str] = []
        self._last: Declaration | None = None
        self._public = True

    def declarations(self) -> Iterator[Declaration]:
        while self._at < len(self._text):
            spaces = self._take(re.compile(r"\s*"))
            if spaces.count("\n") > 1:
                yield from self._remark()
                self._last = None
            if self._at == len(self._text):
                break
            yield from self._next(same_line="\n" not in spaces)
        yield from self._remark()

    def _next(self, same_line: bool) -> Iterator[Declaration]:
        if comment := COMMENT.match(self._text, self._at):
            self._at = comment.end()
            self._note(_words(comment), same_line)
        elif self._text[self._at] == "#":
            directive = self._take(DIRECTIVE)
            if directive.startswith("#define ") and not directive.endswith("_H"):
                yield self._declare(Declaration(directive))
        elif access := ACCESS.match(self._text, self._at):
            self._at = access.end()
            self._public = access[1] == "public"
        elif block := BLOCK.match(self._text, self._at):
            self._at = block.end()
            inside = self._until_closed()
            self._take(re.compile(r"[ \t]*(?://[^\n]*)?"))
            if block["name"] != "detail":
                yield from read(inside)
        else:
            statement = self._statement()
            if self._public and not statement.startswith("static_assert"):
                yield self._declare(_declaration(statement))
            self._comment = []

    def _note(self, words: str, same_line: bool) -> None:
        if same_line and self._last:
            self._last.comment = f"{self._last.comment}\n{words}".strip("\n")
        else:
            self._comment.append(words)

    def _remark(self) -> Iterator[Declaration]:
        if self._comment and self._public:
            yield Declaration("", "\n".join(self._comment))
        self._comment = []

    def _declare(self, declaration: Declaration) -> Declaration:
        declaration.comment, self._comment = "\n".join(self._comment), []
        declaration.joined = self._last is not None
        self._last = declaration
        return declaration

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        assert found
        self._at = found.end()
        return found[0]

    def _until_closed(self) -> str:
        """What is left of the braces that have been opened."""
        start, depth = self._at, 1
        while depth:
            self._step()
            last = self._text[self._at - 1]
            depth += (last in OPEN) - (last in CLOSE)
        return self._text[start : self._at - 1]

    def _statement(self) -> str:
        """Up to its semicolon, or to the end of a function's body."""
        start, depth, body = self._at, 0, False
        while self._at < len(self._text):
            self._step()
            last = self._text[self._at - 1]
            if last == "{" and depth == 0:
                # What a member is initialised with follows its name at once.
                body = self._text[self._at - 2].isspace()
            depth += (last in OPEN) - (last in CLOSE)
            text = self._text[start : self._at]
            if depth == 0 and (last == ";" or (last == "}" and body and _is_function(text))):
                return text
        return self._text[start:]

    def _step(self) -> None:
        """Past one character, or past a comment, which may hold any."""
        comment = COMMENT.match(self._text, self._at)
        self._at = comment.end() if comment else self._at + 1


def _words(comment: re.Match[str]) -> str:
    if comment["line"] is not None:
        return comment["line"].removeprefix(" ").rstrip()
    lines = [re.sub(r"^ *\* ?", "", line).rstrip() for line in comment["block"].splitlines()]
    return "\n".join(lines).strip()


def _is_function(text: str) -> bool:
    """Whether a statement with braces is a function with its body."""
    head = _head(text)
    return ")" in head and not re.match(
        r"(?:typedef |template <[^{]*>\s*)?(?:class|struct)\b", head
    )


def _head(text: str) -> str:
    """What stands before the body, or before the initialisers of members."""
    depth = 0
    for at, each in enumerate(text):
        depth += (each in "([") - (each in ")]")
        initialisers = text[at : at + 2] == ": " and text[at - 1] != ":" and ")" in text[:at]
        if depth == 0 and (each == "{" or initialisers):
            return text[:at].rstrip()
    return text.rstrip()


def _declaration(statement: str) -> Declaration:
    if _is_function(statement):
        return Declaration(_head(statement).removesuffix(";") + ";")
    body = re.search(r"^[^{=]*\b(?:class|struct)\b[^{;]*\{(.*)\}[^{}]*;$", statement, re.DOTALL)
    if not body:
        return Declaration(statement)
    reader = _Reader(body[1])
    reader._public = not re.match(rf"(?:{TEMPLATE})?class\b", statement)
    return Declaration(statement, members=list(reader.declarations()))
