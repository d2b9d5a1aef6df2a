"""The states of what is loaded, and the moves between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from types import MappingProxyType

UNLOADED = "unloaded"
"""Why a version is UNAVAILABLE that was unloaded on purpose, in the protocol's word."""


class State(StrEnum):
    """Of a version of a model, named as in the repository index of the protocol."""

    UNKNOWN = "UNKNOWN"
    """Wanted, and something else has to come first."""
    LOADING = "LOADING"
    READY = "READY"
    """Takes requests."""
    UNLOADING = "UNLOADING"
    """Takes no new requests; those that it has are answered."""
    UNAVAILABLE = "UNAVAILABLE"
    """Failed, or unloaded; the reason says which."""


class Phase(Enum):
    """Of a generation: what one load of a version makes. A version may have several at a time."""

    READY = auto()
    """One of a version's serves; a newer one takes its place."""
    LOADING = auto()
    RETIRED = auto()
    """Serves no more clients; ensembles that were loaded with it still use it."""
    UNLOADING = auto()
    ENDED = auto()
    """Nothing of it is left."""


@dataclass(frozen=True)
class Row:
    """Of the table: what a version shows that has a generation in a phase, and what may follow."""

    shows: State
    next: frozenset[Phase]


TABLE: Mapping[Phase, Row] = MappingProxyType(
    {
        Phase.READY: Row(State.READY, frozenset({Phase.RETIRED})),
        Phase.LOADING: Row(State.LOADING, frozenset({Phase.READY, Phase.ENDED})),
        Phase.RETIRED: Row(State.UNLOADING, frozenset({Phase.UNLOADING})),
        Phase.UNLOADING: Row(State.UNLOADING, frozenset({Phase.ENDED})),
        Phase.ENDED: Row(State.UNAVAILABLE, frozenset()),
    }
)
"""A version shows the first of these that a generation of it is in."""


def check_move(old: Phase, new: Phase) -> None:
    """Raises ``AssertionError`` for a move that the table does not have."""
    assert new in TABLE[old].next, f"no move from {old.name} to {new.name}"


def shown(phases: Collection[Phase], *, waiting: bool) -> State:
    """The state of a version.

    Args:
        phases: of its generations.
        waiting: whether one is to be loaded as soon as something else has happened.
    """
    nothing = State.UNKNOWN if waiting else State.UNAVAILABLE
    return next((row.shows for phase, row in TABLE.items() if phase in phases), nothing)


@dataclass(frozen=True)
class ModelStatus:
    """A row of the repository index.

    Attributes:
        name: of the model.
        version: its number; 0 when the model could not be read.
        state: UNKNOWN, LOADING, READY, UNLOADING or UNAVAILABLE.
        reason: why it is UNAVAILABLE; of one that is READY, why its last change is not served.
        namespace: the repository, where models of several may have one name.
    """

    name: str
    version: int
    state: str
    reason: str = ""
    namespace: str = ""

    @property
    def failed(self) -> bool:
        """Whether what is wanted of it does not serve."""
        return self.reason not in ("", UNLOADED)
