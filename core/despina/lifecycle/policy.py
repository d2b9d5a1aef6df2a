"""What to do next for the models: a pure function of what is wanted and what is.

Ensembles are loaded after their members and unloaded before them; an ensemble whose member
failed fails with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Key(NamedTuple):
    """One version of a model. Version 0 stands for a model that could not be read."""

    name: str
    version: int


@dataclass(frozen=True)
class Wanted:
    """That a version is to be served.

    Attributes:
        revision: another text asks for the version to be loaded again.
        members: of an ensemble: the name and version of each step's model, -1 for any.
    """

    revision: str = ""
    members: tuple[tuple[str, int], ...] = ()


class Status(Protocol):
    """How a version is."""

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""

    @property
    def busy(self) -> bool:
        """Whether something of it is, or may be, in the engine; always so when it is ready."""

    @property
    def reason(self) -> str:
        """Why it is neither."""

    @property
    def revision(self) -> str | None:
        """What was last loaded, or failed to; ``None`` once it is unloaded."""

    @property
    def members(self) -> tuple[tuple[str, int], ...]:
        """Of an ensemble that is busy: what it sends requests to."""


@dataclass(frozen=True)
class Load:
    """Load a version."""

    key: Key


@dataclass(frozen=True)
class Unload:
    """Unload a version that is READY."""

    key: Key


@dataclass(frozen=True)
class Fail:
    """Give a version up without an attempt."""

    key: Key
    reason: str


Action = Load | Unload | Fail


def next_actions(wanted: Mapping[Key, Wanted], statuses: Mapping[Key, Status]) -> list[Action]:
    """All that can be done now. With the outcome of each the function is asked again.

    Args:
        wanted: the versions to be served.
        statuses: those that are known; every wanted one is among them.
    """
    actions: list[Action] = []
    for key, status in statuses.items():
        want = wanted.get(key)
        current = want is not None and want.revision == status.revision
        if status.ready:
            goes = _lost_member(want, wanted, statuses) if current and want else True
            if goes and not _holds(key, wanted, statuses):
                actions.append(Unload(key))
        elif want and not current and not status.busy:
            action = _load(key, want, wanted, statuses)
            actions += [action] if action else []
    return actions


def _holds(key: Key, wanted: Mapping[Key, Wanted], statuses: Mapping[Key, Status]) -> bool:
    """Whether a version has to stay for now."""
    others = [each for each in wanted if each.name == key.name and each != key]
    replaced = any(_serves(each, wanted, statuses) for each in others)
    if key not in wanted and others and not replaced:
        return True  # until another version takes over
    used = {member for status in statuses.values() if status.busy for member in status.members}
    return (key.name, key.version) in used or (not replaced and (key.name, -1) in used)


def _serves(key: Key, wanted: Mapping[Key, Wanted], statuses: Mapping[Key, Status]) -> bool:
    return statuses[key].ready and statuses[key].revision == wanted[key].revision


def _is_member(key: Key, member: tuple[str, int]) -> bool:
    """Version 0 stands for all versions of a model that could not be read."""
    name, version = member
    return key.name == name and (version in (-1, key.version) or key.version == 0)


def _lost_member(
    want: Wanted, wanted: Mapping[Key, Wanted], statuses: Mapping[Key, Status]
) -> bool:
    """Whether a member of an ensemble is to go."""
    return any(
        not any(_stays(key, member, want, statuses) for key, want in wanted.items())
        for member in want.members
    )


def _stays(key: Key, member: tuple[str, int], want: Wanted, statuses: Mapping[Key, Status]) -> bool:
    """Whether a wanted version serves a member and is not about to be loaded again."""
    status = statuses[key]
    current = not status.ready or status.revision == want.revision
    return _is_member(key, member) and current


def _load(
    key: Key, want: Wanted, wanted: Mapping[Key, Wanted], statuses: Mapping[Key, Status]
) -> Action | None:
    """Loads a version whose members are ready, fails it if one failed, or waits."""
    for member in want.members:
        candidates = [each for each in wanted if _is_member(each, member)]
        pending = [each for each in candidates if not _settled(wanted[each], statuses[each])]
        if pending:
            return None
        if not any(statuses[each].ready for each in candidates):
            return Fail(key, _without(member, candidates, statuses))
    return Load(key)


def _settled(want: Wanted, status: Status) -> bool:
    return status.ready == status.busy and status.revision == want.revision


def _without(
    member: tuple[str, int], candidates: Sequence[Key], statuses: Mapping[Key, Status]
) -> str:
    name, version = member
    what = f"model '{name}'" if version == -1 else f"model '{name}' version {version}"
    if not candidates:
        return f"its {what} is not loaded"
    reasons = "; ".join(dict.fromkeys(statuses[each].reason for each in candidates))
    return f"its {what} is not available: {reasons}"
