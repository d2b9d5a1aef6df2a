"""What the rules of several parts share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from despina.config.problem import Problem
from despina.text import quoted

MAX_ELEMENTS = 1 << 40
"""Of the fixed part of one tensor; keeps every product of dimensions within 64 bits."""

MAX_MICROSECONDS = 10**15
"""Of a time: thirty years, in nanoseconds within 64 bits."""


def sizes(field: str, values: Sequence[int], *, variable: bool = True) -> Iterator[Problem]:
    """Dimensions: at least 1, or -1 where one may vary."""
    for index, value in enumerate(values):
        if value < 1 and not (variable and value == -1):
            what = "neither -1 nor at least 1" if variable else "less than 1"
            yield Problem(f"{field}[{index}]", f"{value} is {what}")
    if math.prod(abs(value) for value in values) > MAX_ELEMENTS:
        yield Problem(field, f"{list(values)} has more than {MAX_ELEMENTS} elements")


def preferred_sizes(field: str, values: Sequence[int], max_batch_size: int) -> Iterator[Problem]:
    """Sizes of batches to aim at."""
    for index, size in enumerate(values):
        if not 1 <= size <= max_batch_size:
            text = f"{size} is not between 1 and max_batch_size, {max_batch_size}"
            yield Problem(f"{field}[{index}]", text)


def time(field: str, microseconds: int) -> Iterator[Problem]:
    """A time that does not overflow."""
    if microseconds > MAX_MICROSECONDS:
        yield Problem(field, f"{microseconds} is more than {MAX_MICROSECONDS}, thirty years")


def file_name(field: str, name: str) -> Iterator[Problem]:
    """A file inside of the model's folder."""
    path = PurePosixPath(name)
    if "\0" in name or path.is_absolute() or ".." in path.parts:
        yield Problem(field, f"{name!r} leads out of the model's folder")


def distinct_names(kind: str, names: Iterable[str]) -> Iterator[Problem]:
    """Elements of a list that are told apart by their names; those without are not looked at."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name and name in seen:
            yield Problem(f"{kind}[{index}].name", f"'{name}' is there more than once")
        seen.add(name)


def distinct(field: str, values: Iterable[str]) -> Iterator[Problem]:
    """Values of a list that may each stand once."""
    if repeated := [value for value, count in Counter(values).items() if count > 1]:
        yield Problem(field, f"more than once: {quoted(repeated)}")
