"""What a diagnosis is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """It may be meant so."""
    PROBLEM = "problem"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        remedy: what to do; every problem has one.
        details: further lines, such as a traceback.
    """

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""
    details: tuple[str, ...] = ()
