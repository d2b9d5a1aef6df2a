"""One thing that is wrong with a configuration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from despina.errors import ConfigError


class Problem(NamedTuple):
    """A field, written ``input[0].dims``, and what is wrong with it."""

    field: str
    text: str


def refuse(model: str, origin: str, problems: Iterable[Problem]) -> None:
    """Raises one error that has all of the problems, if there are any.

    Args:
        model: the name of the model.
        origin: the file of its configuration.
        problems: what was found.

    Raises:
        ConfigError: there are problems; each names file, model and field.
    """
    texts = [f"{origin}: model '{model}': {field}: {text}" for field, text in problems]
    if texts:
        raise ConfigError(texts)
