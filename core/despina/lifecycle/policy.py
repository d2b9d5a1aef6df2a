"""What is to become of each version: a pure function of what is wanted and what there is.

What changed is loaded beside what serves, and takes its place once it is ready; what cannot be
loaded leaves what serves alone. An ensemble is loaded with certain generations of its members: it
is loaded anew when another generation takes the place of one, and is given up when it cannot be.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple


class Key(NamedTuple):
    """A version of a model."""

    model: str
    version: int


class Member(NamedTuple):
    """What a step of an ensemble asks for; version -1 is the latest that serves."""

    model: str
    version: int

    def __str__(self) -> str:
        """As texts name it."""
        what = f"model '{self.model}'"
        return what if self.version == -1 else f"{what} version {self.version}"


@dataclass(frozen=True)
class Wanted:
    """What is to be served of a version.

    Attributes:
        revision: another text is another content.
        members: of an ensemble: one for each step.
    """

    revision: str = ""
    members: tuple[Member, ...] = ()


class Attempt(NamedTuple):
    """What a load is of: a content and, for an ensemble, the generation of each member."""

    revision: str
    members: tuple[int, ...] = ()


class Ready(NamedTuple):
    """A generation that can serve."""

    number: int
    wanted: Wanted
    attempt: Attempt


@dataclass(frozen=True)
class Status:
    """What there is of a version.

    Attributes:
        ready: oldest first.
        loading: whether a load is under way.
        failures: attempts that failed, and why.
    """

    ready: tuple[Ready, ...] = ()
    loading: bool = False
    failures: Mapping[Attempt, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """A load to begin.

    Attributes:
        attempt: what of.
        again: the generation whose content it is, with other members; ``None``: what is wanted.
    """

    attempt: Attempt
    again: int | None = None


@dataclass(frozen=True)
class Decision:
    """What is to become of a version.

    Attributes:
        serve: the generation that gets requests; no other that is ready has a future.
        load: to begin now, beside it.
        waiting: whether something under way, here or in a member, comes first.
        reason: why what is wanted does not serve, once that is known; nothing for an ensemble that
            goes with a member which is unloaded on purpose, and comes back with it.
    """

    serve: int | None = None
    load: Load | None = None
    waiting: bool = False
    reason: str = ""

    @property
    def settled(self) -> bool:
        """Whether nothing is to happen."""
        return not self.waiting and self.load is None


def decide(
    wanted: Mapping[Key, Wanted],
    statuses: Mapping[Key, Status],
    absent: Mapping[str, str],
    standing: Mapping[Key, Decision] | None = None,
) -> dict[Key, Decision]:
    """Decides on versions; asked again after everything that happens to them or to their members.

    Args:
        wanted: what is to be served; all of it has a status.
        statuses: of all versions of the models in question.
        absent: why models are not wanted that ensembles may ask for; nothing: on purpose.
        standing: decisions on versions of other models that ensembles may ask for.

    Returns:
        A decision for each status.
    """
    standing = standing or {}
    keys = [*wanted, *_kept(wanted, statuses)]
    view = _View([*keys, *standing], absent)
    view.decisions.update(standing)
    open_keys, blocked = deque(keys), defaultdict[str, list[Key]](list)
    while open_keys:
        key = open_keys.popleft()
        decision = _decide(wanted.get(key), statuses[key], view)
        if isinstance(decision, Decision):
            view.decisions[key] = decision
            open_keys.extend(blocked.pop(key.model, ()))
        else:
            blocked[decision].append(key)
    for key in chain.from_iterable(blocked.values()):  # they wait for each other
        view.decisions[key] = _wait(statuses[key])
    return {key: view.decisions.get(key, Decision()) for key in statuses}


def releasable(members: Mapping[int, tuple[int, ...]], retired: Iterable[int]) -> list[int]:
    """Retired generations that no ensemble uses any more.

    Args:
        members: those of every generation that has not ended.
        retired: the generations in question.
    """
    used = {number for numbers in members.values() for number in numbers}
    return [number for number in retired if number not in used]


def _kept(wanted: Mapping[Key, Wanted], statuses: Mapping[Key, Status]) -> list[Key]:
    """Versions that stay until one that is wanted of their model is ready."""
    waited_for = {key.model for key in wanted}
    waited_for -= {key.model for key in wanted if statuses[key].ready}
    return [
        key
        for key, status in statuses.items()
        if key.model in waited_for and key not in wanted and status.ready
    ]


def _decide(want: Wanted | None, status: Status, view: _View) -> Decision | str:
    """What is wanted; else what served so far, with the members of today; else nothing.

    Or the model that has to be decided on first.
    """
    reason = ""
    contents: list[tuple[Wanted, int | None]] = [(want, None)] if want else []
    contents += [(ready.wanted, ready.number) for ready in reversed(status.ready)]
    for content, number in contents:
        members = view.members(content)
        if members.undecided:
            return members.undecided
        if members.missing is not None:
            reason = reason or members.missing
            continue
        if members.pending:
            return _wait(status)
        attempt = Attempt(content.revision, members.numbers)
        serving = [ready.number for ready in status.ready if ready.attempt == attempt]
        if serving:
            return Decision(serving[-1], waiting=status.loading, reason=reason)
        if attempt not in status.failures:
            load = None if status.loading else Load(attempt, number)
            return Decision(_newest(status), load, waiting=status.loading, reason=reason)
        reason = reason or status.failures[attempt]
    return Decision(waiting=status.loading, reason=reason)


def _wait(status: Status) -> Decision:
    return Decision(_newest(status), waiting=True)


def _newest(status: Status) -> int | None:
    return status.ready[-1].number if status.ready else None


class _Members(NamedTuple):
    """The generations that an ensemble would be loaded with.

    Attributes:
        numbers: one for each step.
        undecided: a model that has to be decided on first.
        pending: whether one is not settled.
        missing: why one is not there; nothing: on purpose.
    """

    numbers: tuple[int, ...] = ()
    undecided: str = ""
    pending: bool = False
    missing: str | None = None


class _View:
    """What has been decided, as far as ensembles look at it."""

    def __init__(self, keys: Iterable[Key], absent: Mapping[str, str]) -> None:
        self.decisions: dict[Key, Decision] = {}
        self._absent = absent
        self._keys: dict[str, list[Key]] = defaultdict(list)
        for key in keys:
            self._keys[key.model].append(key)

    def members(self, content: Wanted) -> _Members:
        """Finds the members of a content; a model that is no ensemble has none."""
        found = [self._find(member) for member in content.members]
        return _Members(
            tuple(number for each in found for number in each.numbers),
            next((each.undecided for each in found if each.undecided), ""),
            any(each.pending for each in found),
            max((each.missing for each in found if each.missing is not None), default=None),
        )

    def _find(self, member: Member) -> _Members:
        version = member.version
        keys = [key for key in self._keys.get(member.model, ()) if version in (-1, key.version)]
        if any(key not in self.decisions for key in keys):
            return _Members(undecided=member.model)
        decisions = [self.decisions[key] for key in sorted(keys, reverse=True)]
        if not all(decision.settled for decision in decisions):
            return _Members(pending=True)
        serving = [decision.serve for decision in decisions if decision.serve is not None]
        if serving:
            return _Members((serving[0],))
        return _Members(missing=self._why_missing(member, [each.reason for each in decisions]))

    def _why_missing(self, member: Member, reasons: list[str]) -> str:
        if not reasons:
            if member.model not in self._absent:
                return f"its {member} is not loaded"
            reasons = [self._absent[member.model]]
        reasons = list(dict.fromkeys(filter(None, reasons)))
        return f"its {member} is not available: {'; '.join(reasons)}" if reasons else ""
