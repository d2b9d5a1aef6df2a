"""The loads that are put on a model one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from despina.errors import DespinaError
from despina_sdk import Code

MAX_STEPS = 100

MAX_CONCURRENCY = 100_000

MOST_UNDER_WAY = 256
"""Requests at a time of a load with a rate, unless it is said."""


@dataclass(frozen=True)
class Step:
    """One load.

    Attributes:
        concurrency: requests under way at a time, at most.
        rate: requests a second; ``None``: the next is sent when an answer has come.
    """

    concurrency: int
    rate: float | None = None

    def __str__(self) -> str:
        return f"{self.rate:g} requests/s" if self.rate else f"concurrency {self.concurrency}"


def steps(concurrency: str | None, rate: str | None) -> list[Step]:
    """The loads that two flags ask for.

    Args:
        concurrency, rate: ``8``, ``1,8,64``, ``1:64:2x`` (doubling), or ``10:50:10`` (in steps).

    Raises:
        DespinaError: INVALID_ARGUMENT: one is none of these, or both are more than one number.
    """
    under_way = [int(each) for each in _numbers("--concurrency", concurrency, whole=True)]
    if rate is None:
        return [Step(each) for each in under_way or [1]]
    if len(under_way) > 1:
        text = "--concurrency: beside --rate it is one number, of requests under way at most"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    most = under_way[0] if under_way else MOST_UNDER_WAY
    return [Step(most, each) for each in _numbers("--rate", rate, whole=False)]


def _numbers(flag: str, text: str | None, *, whole: bool) -> list[float]:
    if text is None:
        return []
    found = [
        number for part in text.split(",") for number in _part(f"{flag}={text}", part, whole=whole)
    ]
    if len(found) > MAX_STEPS:
        raise DespinaError(Code.INVALID_ARGUMENT, f"{flag}={text}: more than {MAX_STEPS} loads")
    return found


def _part(flag: str, text: str, *, whole: bool) -> Sequence[float]:
    first, *rest = text.split(":")
    if not rest:
        return [_number(flag, first, whole=whole)]
    if len(rest) != 2:
        raise _invalid(flag)
    last, by = rest
    begin, end = (_number(flag, each, whole=whole) for each in (first, last))
    factor = by.endswith("x")
    step = _number(flag, by.removesuffix("x"), whole=whole and not factor)
    if end < begin or (factor and step <= 1):
        raise _invalid(flag)
    found: list[float] = []
    while begin <= end and len(found) <= MAX_STEPS:
        found.append(float(int(begin)) if whole else begin)
        begin = begin * step if factor else begin + step
    return found


def _number(flag: str, text: str, *, whole: bool) -> float:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        raise _invalid(flag) from None
    if not (number > 0 and math.isfinite(number)) or (whole and number > MAX_CONCURRENCY):
        raise _invalid(flag)
    return number


def _invalid(flag: str) -> DespinaError:
    text = f"{flag}: not of the form 8, 1,8,64, 1:64:2x or 10:50:10, of numbers above 0"
    return DespinaError(Code.INVALID_ARGUMENT, text)
