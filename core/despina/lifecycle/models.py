"""What is known of every model: what is wanted of it, and what there is. Values, no behaviour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from despina.lifecycle.loader import Loaded
from despina.lifecycle.policy import (
    Attempt,
    Decision,
    Key,
    Member,
    Ready,
    Status,
    Wanted,
)
from despina.lifecycle.state import UNLOADED, Phase, check_move
from despina.repository.catalog import Source


@dataclass(eq=False)
class Generation:
    """What one load of a version makes.

    Attributes:
        number: no other generation has it; a later one has a larger number.
        key: the version.
        wanted: the content that it was made of.
        attempt: with the members that it was made with.
        source: of the content.
        phase: of the table.
        loaded: once it is.
    """

    number: int
    key: Key
    wanted: Wanted
    attempt: Attempt
    source: Source
    phase: Phase = Phase.LOADING
    loaded: Loaded | None = None

    def move(self, phase: Phase) -> None:
        """Goes on to another phase."""
        check_move(self.phase, phase)
        self.phase = phase


@dataclass
class Version:
    """All that is known of one version.

    Attributes:
        generations: those that have not ended, oldest first.
        failures: attempts that failed, and why; of each revision the last.
        decision: the last one.
        ended: how its last generation ended.
    """

    generations: list[Generation] = field(default_factory=list)
    failures: dict[Attempt, str] = field(default_factory=dict)
    decision: Decision = field(default_factory=Decision)
    ended: str = UNLOADED

    @property
    def phases(self) -> set[Phase]:
        """Those of its generations."""
        return {generation.phase for generation in self.generations}

    @property
    def serving(self) -> Generation | None:
        """The generation that gets requests."""
        number = self.decision.serve
        return next((each for each in self.generations if each.number == number), None)

    @property
    def status(self) -> Status:
        """As the policy sees it."""
        ready = (each for each in self.generations if each.phase is Phase.READY)
        return Status(
            tuple(Ready(each.number, each.wanted, each.attempt) for each in ready),
            Phase.LOADING in self.phases,
            self.failures,
        )

    def fail(self, attempt: Attempt, why: str) -> None:
        """Notes that an attempt failed."""
        kept = {a: w for a, w in self.failures.items() if a.revision != attempt.revision}
        self.failures = {**kept, attempt: why}


@dataclass(frozen=True)
class Want:
    """That a model is to be served.

    Attributes:
        source: of its content.
        members: of an ensemble: one for each step.
        explicit: whether somebody asked for it, and not only for an ensemble that needs it.
    """

    source: Source
    members: tuple[Member, ...] = ()
    explicit: bool = True

    def of(self, version: int) -> Wanted:
        """What is wanted of a version."""
        return Wanted(self.source.revisions[version], self.members)


@dataclass
class Model:
    """One model.

    Attributes:
        id: tells it from all others.
        name: under which clients ask for it.
        namespace: the repository, where models of several may have one name.
        want: nothing for one that is not to be served.
        problem: why what was last asked for could not even be read.
        versions: by number.
        gone: whether it is to be forgotten once nothing of it is left.
    """

    id: str
    name: str
    namespace: str = ""
    want: Want | None = None
    problem: str = ""
    versions: dict[int, Version] = field(default_factory=dict)
    gone: bool = False

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come of it, but the end of what serves no more."""
        return all(
            version.decision.settled and Phase.LOADING not in version.phases
            for version in self.versions.values()
        )

    @property
    def serves(self) -> bool:
        """Whether a version of it gets requests."""
        return any(version.decision.serve is not None for version in self.versions.values())

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left in the engine."""
        return not any(version.generations for version in self.versions.values())


class Models(dict[str, Model]):
    """All models by their ids."""

    def versions(self) -> Iterator[tuple[Key, Version]]:
        """All versions of all models."""
        for model in self.values():
            for number, version in model.versions.items():
                yield Key(model.id, number), version

    def generations(self) -> Iterator[Generation]:
        """All that have not ended."""
        for _, version in self.versions():
            yield from version.generations

    def named(self, name: str) -> list[Model]:
        """Those of a name; with namespaces there may be several."""
        return [model for model in self.values() if model.name == name]

    def wanted(self) -> dict[Key, Wanted]:
        """What is to be served."""
        return {
            Key(model.id, number): model.want.of(number)
            for model in self.values()
            if model.want
            for number in model.want.source.versions
        }

    def absent(self) -> dict[str, str]:
        """Why models are not wanted that ensembles may ask for; nothing: on purpose."""
        there = (model for model in self.values() if not model.gone)
        return {model.id: model.problem for model in there if model.want is None}

    def users(self, ids: Iterable[str]) -> set[str]:
        """The ensembles that are made of some models, also through others; and the models."""
        found = set(ids)
        while users := {
            model.id
            for model in self.values()
            if model.want and model.id not in found
            if any(member.model in found for member in model.want.members)
        }:
            found |= users
        return found
