"""What is wrong with a configuration, and where in its file that is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from despina.config.text.places import Place
from despina.errors import ConfigError, Diagnostic

MAX_PROBLEMS = 100
"""More of one configuration are not told."""


class Problem(NamedTuple):
    """A field, written ``input[0].dims``, and what is wrong with it."""

    field: str
    text: str


@dataclass(frozen=True)
class Origin:
    """Where a configuration comes from.

    Attributes:
        name: of the file, or whatever names the configuration in errors.
        fields: where they are written; nothing for a configuration that is no text.
        faults: what is wrong with the text itself.
    """

    name: str
    fields: Place | None = None
    faults: tuple[Diagnostic, ...] = ()

    def __str__(self) -> str:
        return self.name

    def is_written(self, field: str) -> bool:
        """Whether a field stands in the text itself."""
        return self.fields is not None and self.fields.find(field)[1]

    def locate(self, problem: Problem) -> Diagnostic:
        """Adds the file to a problem, and the line and column if its field is written there."""
        place, _ = self.fields.find(problem.field) if self.fields else (None, False)
        line, column = (place.line, place.column) if place else (0, 0)
        return Diagnostic(self.name, problem.text, problem.field, line, column)


def refuse(origin: Origin, problems: Iterable[Problem]) -> None:
    """Raises one error that has all that is wrong, if there is anything.

    Where the text itself has faults, the problems of fields that are not written are left out: what
    seems to be missing may be what could not be read.

    Args:
        origin: of the configuration.
        problems: what was found.

    Raises:
        ConfigError: there are problems; each names file and field, in the order of the file.
    """
    found = list(islice(problems, MAX_PROBLEMS + 1))
    more = [Diagnostic(origin.name, "and more")] if len(found) > MAX_PROBLEMS else []
    del found[MAX_PROBLEMS:]
    if origin.faults:
        found = [each for each in found if origin.is_written(each.field)]
    diagnostics = [*origin.faults, *map(origin.locate, found)]
    if diagnostics:
        diagnostics.sort(key=lambda each: (each.line, each.column))
        raise ConfigError([*diagnostics, *more])
