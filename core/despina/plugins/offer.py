"""What is known of a backend or a plugin that somebody offers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OfferState(StrEnum):
    """How far an offer has come."""

    FOUND = "found"
    """Not imported yet."""
    LOADED = "loaded"
    REFUSED = "refused"
    SHADOWED = "shadowed"
    """Another offer has the same name."""


@dataclass(frozen=True)
class Offer:
    """One backend or plugin: who offers it, where it is, and whether it works.

    Attributes:
        abi: the version of the C interface that a library was compiled with; empty of what is
            written in Python, and of a library that has not been loaded.
        file: of the library, or the file or folder of the module.
        reason: why it is refused or shadowed.
    """

    name: str
    distribution: str
    version: str
    file: str
    state: OfferState = OfferState.FOUND
    reason: str = ""
    abi: str = ""

    @property
    def provider(self) -> str:
        """Distribution and version."""
        return f"{self.distribution} {self.version}".rstrip()
