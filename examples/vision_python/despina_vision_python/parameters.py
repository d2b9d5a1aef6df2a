"""Reads the ``parameters`` and tensors of a model configuration, and refuses what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from despina_sdk import BackendError, Code, ModelSpec, TensorSpec

SERVER_PARAMETERS = frozenset({"isolation"})
"""Parameters that the server itself reads, whatever the backend."""


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that was probably meant."""
    return get_close_matches(name, list(names), n=1, cutoff=0.0)[0]


class Parameters:
    """Typed access to the parameters of one model; every error names model and parameter."""

    def __init__(self, spec: ModelSpec, names: Iterable[str]) -> None:
        """Takes the names that the backend knows.

        Raises:
            BackendError: the model sets another parameter (INVALID_ARGUMENT).
        """
        self._model, self._values = spec.name, spec.parameters
        names = list(names)
        for name in spec.parameters:
            if name not in names and name not in SERVER_PARAMETERS:
                raise self.error(
                    name, f"is not known; the nearest that is known is '{nearest(name, names)}'"
                )

    def error(self, name: str, problem: str) -> BackendError:
        """An INVALID_ARGUMENT to raise: what is wrong with a parameter."""
        return BackendError(
            Code.INVALID_ARGUMENT, f"model '{self._model}': parameter '{name}' {problem}"
        )

    def given(self, name: str) -> bool:
        """Whether the configuration sets it."""
        return name in self._values

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """One of a few words."""
        value = self._values.get(name, default).strip()
        if value not in choices:
            raise self.error(name, f"is '{value}', not one of {', '.join(choices)}")
        return value

    def boolean(self, name: str, default: bool) -> bool:
        """``true`` or ``false``."""
        return self.choice(name, ("true", "false"), str(default).lower()) == "true"

    def integer(
        self, name: str, default: int | None, minimum: int = 1, maximum: int | None = None
    ) -> int:
        """A whole number between bounds, both included; required if ``default`` is None."""
        if name not in self._values:
            if default is None:
                raise self.error(name, "is required")
            return default
        text = self._values[name].strip()
        if not re.fullmatch("-?[0-9]+", text):
            raise self.error(name, f"is '{text}', not a whole number")
        # A text of thousands of digits is out of range, and int() refuses to read it.
        value = int(text) if len(text) <= 20 else -1
        if value < minimum or (maximum is not None and value > maximum):
            bounds = f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"
            raise self.error(name, f"is {text}, it must be {bounds}")
        return value

    def number(self, name: str, default: float, positive: bool = False) -> float:
        """A finite decimal number or a quotient of two, as in ``1/255``."""
        return self._number(name, self._values.get(name, str(default)), positive)

    def numbers(
        self, name: str, default: float, count: int, positive: bool = False
    ) -> tuple[float, ...]:
        """``count`` numbers separated by commas; a single one stands for all."""
        parts = self._values.get(name, str(default)).split(",")
        values = tuple(self._number(name, part, positive) for part in parts)
        if len(values) not in (1, count):
            raise self.error(name, f"has {len(values)} numbers, it must have 1 or {count}")
        return values if len(values) == count else values * count

    def _number(self, name: str, text: str, positive: bool) -> float:
        dividend, slash, divisor = text.strip().partition("/")
        try:
            value = float(dividend) / float(divisor) if slash else float(dividend)
        except (ValueError, ZeroDivisionError):
            value = math.nan
        if not math.isfinite(value):
            raise self.error(name, f"is '{text.strip()}', not a finite number")
        if positive and value <= 0:
            raise self.error(name, f"is {text.strip()}, it must be greater than 0")
        return value


def settle_tensors(
    spec: ModelSpec,
    kind: str,
    configured: tuple[TensorSpec, ...],
    offered: Sequence[TensorSpec],
    required: Iterable[str],
) -> tuple[TensorSpec, ...]:
    """The inputs or outputs of a model: those configured, or all on offer if there are none.

    Args:
        spec: whose configuration it is.
        kind: "input" or "output", for messages.
        configured: as in the configuration.
        offered: what the backend can take or give; -1 in a shape fits every number.
        required: names that a configuration with a list must have in it, and not as optional.

    Raises:
        BackendError: an unknown or missing tensor, another datatype or shape (INVALID_ARGUMENT).
    """

    def error(problem: str) -> BackendError:
        return BackendError(Code.INVALID_ARGUMENT, f"model '{spec.name}': {kind} {problem}")

    if not configured:
        return tuple(offered)
    by_name: Mapping[str, TensorSpec] = {tensor.name: tensor for tensor in offered}
    settled = []
    for tensor in configured:
        known = by_name.get(tensor.name)
        if known is None:
            raise error(
                f"'{tensor.name}' is not known; the nearest that is known is "
                f"'{nearest(tensor.name, by_name)}'"
            )
        if tensor.datatype != known.datatype:
            raise error(f"'{tensor.name}' is {tensor.datatype}, it must be {known.datatype}")
        if not _shapes_fit(tensor.shape, known.shape):
            raise error(f"'{tensor.name}' is {list(tensor.shape)}, not {list(known.shape)}")
        shape = tuple(b if a == -1 else a for a, b in zip(tensor.shape, known.shape, strict=True))
        settled.append(replace(tensor, shape=shape))
    for name in required:
        found = next((tensor for tensor in settled if tensor.name == name), None)
        if found is None:
            raise error(f"'{name}' is missing from the configuration")
        if found.optional:
            raise error(f"'{name}' cannot be optional")
    return tuple(settled)


def _shapes_fit(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return len(a) == len(b) and all(-1 in (m, n) or m == n for m, n in zip(a, b, strict=True))
