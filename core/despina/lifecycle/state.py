"""The states of a model version, and the moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Names as in the repository index of the protocol."""

    UNKNOWN = "UNKNOWN"
    """Wanted, and nothing has been done for it yet."""
    LOADING = "LOADING"
    READY = "READY"
    """Takes requests."""
    UNLOADING = "UNLOADING"
    """Takes no new requests; those that it has are answered."""
    UNAVAILABLE = "UNAVAILABLE"
    """Failed, or unloaded; the reason says which."""


TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.UNKNOWN: frozenset({State.LOADING, State.UNAVAILABLE}),
        State.LOADING: frozenset({State.READY, State.UNAVAILABLE}),
        State.READY: frozenset({State.UNLOADING}),
        State.UNLOADING: frozenset({State.UNAVAILABLE}),
        State.UNAVAILABLE: frozenset({State.LOADING, State.UNAVAILABLE}),
    }
)
"""A version that is forgotten may be in UNAVAILABLE only. A new reason is a move as well."""

UNLOADED = "unloaded"
"""The reason of a version that was unloaded on purpose, in the protocol's word."""


def check_transition(old: State, new: State) -> None:
    """Raises ``AssertionError`` for a move that the table does not have."""
    assert new in TRANSITIONS[old], f"no move from {old} to {new}"


@dataclass(frozen=True)
class Status:
    """How a version is.

    Attributes:
        state: of the table.
        reason: of a version that is UNAVAILABLE.
        revision: what was last loaded, or failed to; ``None`` once it is unloaded.
        members: of an ensemble that was loaded: name and version of each step's model.
    """

    state: State = State.UNKNOWN
    reason: str = ""
    revision: str | None = None
    members: tuple[tuple[str, int], ...] = ()

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.state is State.READY

    @property
    def settled(self) -> bool:
        """Whether it is where it was going to."""
        return self.state in (State.READY, State.UNAVAILABLE)

    @property
    def busy(self) -> bool:
        """Whether something of it is, or may be, in the engine."""
        return self.state in (State.LOADING, State.READY, State.UNLOADING)


@dataclass(frozen=True)
class ModelStatus:
    """A row of the repository index.

    Attributes:
        name: of the model.
        version: its number; 0 when the model could not be read.
        state: UNKNOWN, LOADING, READY, UNLOADING or UNAVAILABLE.
        reason: why it is UNAVAILABLE.
    """

    name: str
    version: int
    state: str
    reason: str = ""
