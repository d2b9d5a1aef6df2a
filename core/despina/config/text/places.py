"""Where the fields of a message are written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SEGMENT = re.compile(r"\['.*?'\]|\[\d+\]|[^.\[]+")


@dataclass(slots=True)
class Place:
    """A field, or one element of a repeated one; ``below`` it are ``dims``, ``[0]``, ``['key']``.

    A field stands where its name does, an element where its value begins.
    """

    line: int
    column: int
    below: dict[str, Place] = field(default_factory=dict)

    def find(self, path: str) -> tuple[Place | None, bool]:
        """The place of a field, or of the nearest around it that is written.

        Args:
            path: from here: ``input[0].dims``.

        Returns:
            The place, if at least the first part of the path is written; and whether all of it is.
        """
        place: Place | None = None
        inside = self.below
        for segment in _SEGMENT.findall(path):
            found = inside.get(segment)
            if found is None:
                return place, False
            place, inside = found, found.below
        return place, True
