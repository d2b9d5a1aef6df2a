"""Who waits for models to come, or to go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import chain

from despina.lifecycle.events import shutting_down
from despina.lifecycle.models import Model, Models
from despina.lifecycle.state import ModelStatus, Phase


class Until(Enum):
    """What somebody waits for."""

    SETTLED = auto()
    """Nothing more is to come of a model."""
    RETIRED = auto()
    """It takes no new requests, or is wanted again."""
    ENDED = auto()
    """Nothing of it is left, or it is wanted again."""


@dataclass(eq=False)
class Waiter:
    """One of them.

    Attributes:
        until: what for.
        names: of the models whose rows it gets.
        ids: of the models that it waits for.
        future: gets the rows.
        holds_up: the model that it was last seen to wait for.
    """

    until: Until
    names: Collection[str]
    ids: set[str] = field(default_factory=set)
    holds_up: str = ""
    future: Future[list[ModelStatus]] = field(default_factory=Future)


class Waiters:
    """All of them. Called on the manager's thread."""

    def __init__(self, models: Models) -> None:
        """Nobody waits yet."""
        self._models, self._waiting = models, list[Waiter]()

    def add(self, waiter: Waiter) -> None:
        """Waits from now on."""
        self._waiting.append(waiter)

    def fail(self, waiter: Waiter, error: Exception) -> None:
        """Ends one wait with an error."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        if not waiter.future.done():
            waiter.future.set_exception(error)

    def answer(self, rows: Iterable[ModelStatus]) -> None:
        """Ends the waits for what has come true."""
        for waiter in [each for each in self._waiting if self._is_over(each)]:
            self._waiting.remove(waiter)
            waiter.future.set_result([row for row in rows if row.name in waiter.names])

    def refuse(self) -> None:
        """Ends all waits: what they are for may never come."""
        for waiter in self._waiting:
            waiter.future.set_exception(shutting_down())
        self._waiting.clear()

    def _is_over(self, waiter: Waiter) -> bool:
        condition = _CONDITIONS[waiter.until]
        for each in chain([waiter.holds_up], waiter.ids):
            model = self._models.get(each)
            if model and not condition(model):
                waiter.holds_up = each
                return False
        return True


def _is_retired(model: Model) -> bool:
    served = {Phase.LOADING, Phase.READY}
    return not any(served & version.phases for version in model.versions.values())


_CONDITIONS: dict[Until, Callable[[Model], bool]] = {
    Until.SETTLED: lambda model: model.settled,
    Until.RETIRED: lambda model: model.want is not None or _is_retired(model),
    Until.ENDED: lambda model: model.want is not None or model.ended,
}
