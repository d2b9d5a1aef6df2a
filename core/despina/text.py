"""Small helpers for texts that people read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_COMPARED_WORDS = 1000
"""Among more, finding the nearest would take long."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the nearest known word, or nothing."""
    by_folded = {each.casefold(): each for each in known}
    if len(by_folded) > MAX_COMPARED_WORDS:
        return ""
    nearest = difflib.get_close_matches(word.casefold(), list(by_folded), n=1)
    return f"; did you mean '{by_folded[nearest[0]]}'?" if nearest else ""


def escaped(text: str) -> str:
    """The text with what is not printable as ``\\x1b``, so that it can drive no terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str, length: int = 80) -> str:
    """The text, or its beginning and ``…``."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def printed(text: str) -> str:
    """The text with what is no Unicode, as of a file name that is not UTF-8, as ``\\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode()


def quoted(names: Iterable[str]) -> str:
    """``'a', 'b'``, or ``none``."""
    return ", ".join(f"'{name}'" for name in names) or "none"


def duration(seconds: float) -> str:
    """``12 ms``, ``1.2 s``."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
