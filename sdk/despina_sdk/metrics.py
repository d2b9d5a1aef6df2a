"""Numbers of a model's own on the server's metrics page."""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import inf
from typing import Protocol

from despina_sdk.errors import BackendError, Code


class Counter(Protocol):
    """Only grows."""

    def add(self, value: float = 1.0) -> None:
        """Adds a number that is not negative; any thread.

        Raises:
            ValueError: it is negative or no number.
        """
        ...


class Gauge(Protocol):
    """Goes up and down."""

    def add(self, value: float) -> None:
        """Adds a number; any thread."""
        ...

    def set(self, value: float) -> None:
        """Replaces it; any thread."""
        ...


class Histogram(Protocol):
    """Counts values by size."""

    def observe(self, value: float) -> None:
        """Counts one value; any thread."""
        ...


class Metrics(Protocol):
    """Makes the metrics of one model: ``ModelSpec.metrics``.

    Every series also has the labels ``model`` and ``version`` (and ``namespace``, where models have
    one), and leaves the page with its model.
    A series that is there already is given again, so that the instances of a model share it.

    All methods raise ``BackendError``: INVALID_ARGUMENT for a name or label that the page cannot
    have (names are letters, digits, ``_`` and ``:``, and do not begin with ``nv_`` or
    ``despina_``), or for bounds that do not ascend; ALREADY_EXISTS where the name is there with
    another kind, help or other bounds.
    """

    def counter(self, name: str, help: str, labels: Mapping[str, str] | None = None) -> Counter:
        """A number that only grows; by custom its name ends in ``_total``."""
        ...

    def gauge(self, name: str, help: str, labels: Mapping[str, str] | None = None) -> Gauge:
        """A number that goes up and down."""
        ...

    def histogram(
        self,
        name: str,
        help: str,
        bounds: Sequence[float],
        labels: Mapping[str, str] | None = None,
    ) -> Histogram:
        """Values counted by size.

        Args:
            name, help, labels: of the series.
            bounds: upper ones of its buckets, ascending; infinity is added.
        """
        ...


class Series:
    """One series of ``LocalMetrics``: a counter, gauge or histogram that a test can look at.

    Attributes:
        value: of a counter or gauge; of a histogram the sum of what was observed.
        buckets: of a histogram: how many values fell into each, the last one without a bound.
    """

    def __init__(self, kind: str, help: str, bounds: tuple[float, ...]) -> None:
        """Starts at 0."""
        self.value = 0.0
        self.buckets = [0] * (len(bounds) + 1)
        self._kind, self._help, self._bounds = kind, help, bounds
        self._lock = threading.Lock()

    def add(self, value: float = 1.0) -> None:
        """Adds a number."""
        if self._kind == "counter" and not 0 <= value < inf:
            raise ValueError(f"a counter cannot grow by {value}")
        with self._lock:
            self.value += value

    def set(self, value: float) -> None:
        """Replaces the number."""
        with self._lock:
            self.value = value

    def observe(self, value: float) -> None:
        """Counts one value."""
        with self._lock:
            self.value += value
            self.buckets[bisect_left(self._bounds, value)] += 1

    def is_a(self, kind: str, help: str, bounds: tuple[float, ...]) -> bool:
        """Whether it was made so."""
        return (self._kind, self._help, self._bounds) == (kind, help, bounds)


def _problem(name: str, bounds: tuple[float, ...], labels: Mapping[str, str]) -> str:
    """Why the server would refuse it; nothing if it would not."""
    if not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name):
        return "names are letters, digits, '_' and ':'"
    if name.startswith(("nv_", "despina_")):
        return "names that begin with 'nv_' or 'despina_' are the server's own"
    for key in labels:
        if not re.fullmatch(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", key):
            return f"'{key}' is no name of a label"
        if key in ("le", "model", "namespace", "version"):
            return f"label '{key}' is the server's own"
    ascending = all(one < other for one, other in pairwise((-inf, *bounds, inf)))
    return "" if ascending else "bounds are finite and ascend"


class LocalMetrics:
    """Metrics of a model that no server runs.

    Attributes:
        series: what was made, by name and labels: ``series["cups_total", frozenset()]``.
    """

    def __init__(self) -> None:
        """Has none."""
        self.series: dict[tuple[str, frozenset[tuple[str, str]]], Series] = {}

    def counter(self, name: str, help: str, labels: Mapping[str, str] | None = None) -> Counter:
        """A number that only grows."""
        return self._make("counter", name, help, (), labels)

    def gauge(self, name: str, help: str, labels: Mapping[str, str] | None = None) -> Gauge:
        """A number that goes up and down."""
        return self._make("gauge", name, help, (), labels)

    def histogram(
        self,
        name: str,
        help: str,
        bounds: Sequence[float],
        labels: Mapping[str, str] | None = None,
    ) -> Histogram:
        """Values counted by size."""
        return self._make("histogram", name, help, tuple(bounds), labels)

    def value(self, name: str, **labels: str) -> float:
        """Of a counter or gauge; of a histogram the sum.

        Raises:
            KeyError: there is no such series.
        """
        return self.series[name, frozenset(labels.items())].value

    def _make(
        self,
        kind: str,
        name: str,
        help: str,
        bounds: tuple[float, ...],
        labels: Mapping[str, str] | None,
    ) -> Series:
        if problem := _problem(name, bounds, labels or {}):
            raise BackendError(Code.INVALID_ARGUMENT, f"metric '{name}': {problem}")
        for (other, _), series in self.series.items():
            if other == name and not series.is_a(kind, help, bounds):
                text = f"metric '{name}' is there with another kind, help or other bounds"
                raise BackendError(Code.ALREADY_EXISTS, text)
        key = name, frozenset((labels or {}).items())
        return self.series.setdefault(key, Series(kind, help, bounds))
