"""What is known of every model: what is wanted of it, and what there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from despina.lifecycle.loader import Loaded
from despina.lifecycle.policy import Attempt, Decision, Key, Member, Ready, Status, Wanted
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
        beside: whether the model served when its load began.
        phase: of the table.
        loaded: once it is.
    """

    number: int
    key: Key
    wanted: Wanted
    attempt: Attempt
    source: Source
    beside: bool = False
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
        reload_failures: how often a change of it could not be read or loaded while it served.
    """

    id: str
    name: str
    namespace: str = ""
    want: Want | None = None
    problem: str = ""
    versions: dict[int, Version] = field(default_factory=dict)
    gone: bool = False
    reload_failures: int = 0

    @property
    def serving(self) -> list[Generation]:
        """The generations that get requests."""
        return [each for version in self.versions.values() if (each := version.serving)]

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

    def wants(self, version: int) -> bool:
        """Whether a version is to be served."""
        return self.want is not None and version in self.want.source.revisions

    @property
    def members(self) -> set[str]:
        """Ids of the models that it consists of, or that something of it was made of."""
        generations = (each for version in self.versions.values() for each in version.generations)
        members = (self.want.members if self.want else (), *(g.wanted.members for g in generations))
        return {member.model for each in members for member in each}


class Models(dict[str, Model]):
    """All models by their ids.

    Attributes:
        touched: ids of those that something has happened to, and that are to be decided on.
        ensembles: ids of those that have, or had, members.
    """

    def __init__(self) -> None:
        """There are none."""
        super().__init__()
        self.touched: set[str] = set()
        self.ensembles: set[str] = set()

    def affected(self) -> set[str]:
        """What is to be decided on now: those that were touched, and ensembles that ask for them.

        Nothing is touched any more then.
        """
        found, self.touched = {each for each in self.touched if each in self}, set()
        while more := {
            each for each in self.ensembles - found if not found.isdisjoint(self[each].members)
        }:
            found |= more
        return found

    def forget(self, model: Model) -> None:
        """Knows nothing of it any more."""
        del self[model.id]
        self.ensembles.discard(model.id)

    def generations(self) -> Iterator[Generation]:
        """All that have not ended."""
        for model in self.values():
            for version in model.versions.values():
                yield from version.generations

    def named(self, name: str) -> list[Model]:
        """Those of a name; with namespaces there may be several."""
        return [model for model in self.values() if model.name == name]

    def users(self, ids: Iterable[str]) -> set[str]:
        """Wanted ensembles that consist of some models, also through others; and the models."""
        found = set(ids)
        while users := {
            each
            for each in self.ensembles - found
            if (want := self[each].want) and any(m.model in found for m in want.members)
        }:
            found |= users
        return found
