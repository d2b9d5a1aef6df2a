"""Random sequences of everything that may happen to models, held against plain rules.

The manager, its policy and its repository are the real ones. Loads, unloads and the manager's
events happen when the machine says so; what a model is stands in its configuration, so that a load
has one right outcome.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from despina.errors import DespinaError
from despina.lifecycle.manager import Manager
from despina.repository.catalog import Catalog, Source
from despina.repository.override import Override
from despina_sdk import Code

MEMBERS = {"a": (), "b": (), "e": ("a",), "f": ("a", "b"), "o": ("e", "b")}
"""Models of the repository: two plain ones, and ensembles of them and of each other."""

NAMES = st.sampled_from(sorted(MEMBERS))
SIGNATURES = st.sampled_from(["s", "t"])
VERSIONS = st.sampled_from([(1,), (2,), (1, 2)])
Event = Callable[[], None]


class ManualThread:
    """Events wait until they are run."""

    def __init__(self) -> None:
        self.waiting: list[Event] = []

    def put(self, event: Event) -> bool:
        self.waiting.append(event)
        return True

    def call(self, event: Event) -> None:
        self.run()
        event()

    def run(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def end(self) -> None:
        """Nothing to end."""

    def join(self, timeout: float) -> bool:
        self.run()
        return True

    submit = put
    stop = end


class ManualThreads:
    def __init__(self) -> None:
        self.manager = ManualThread()
        self.workers_of: dict[str, ManualThread] = {}

    def events(self, name: str, idle: Event, idle_seconds: float) -> ManualThread:
        return self.manager

    def workers(self, count: int, name: str) -> ManualThread:
        return self.workers_of.setdefault(name, ManualThread())

    @property
    def jobs(self) -> list[tuple[ManualThread, int]]:
        """All that could be run next."""
        workers = self.workers_of.values()
        return [(worker, at) for worker in workers for at in range(len(worker.waiting))]


@dataclass(eq=False)
class FakeLoaded:
    """A version that the loader below loaded."""

    source: Source
    version: int
    members: Sequence[FakeLoaded] = ()
    alive: bool = True

    @property
    def running(self) -> FakeLoaded:
        return self

    @property
    def content(self) -> dict[str, Any]:
        return content_of(self.source)


def content_of(source: Source) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(source.config.parameters["content"].string_value)
    return content


def loads(content: dict[str, Any], version: int, signatures: Sequence[str]) -> bool:
    """Whether a content can be loaded, as an ensemble with members of these signatures."""
    return version not in content["broken"] and all(s == content["takes"] for s in signatures)


class FakeLoader:
    """Loads what can be loaded, and sees that nothing is unloaded while it is needed."""

    def __init__(self) -> None:
        self.alive: list[FakeLoaded] = []
        self.serving: Sequence[FakeLoaded] = ()

    def load(self, source: Source, version: int, members: Sequence[FakeLoaded]) -> FakeLoaded:
        assert all(member.alive for member in members)
        assert not source.private or source.folder.is_dir()
        signatures = [member.content["signature"] for member in members]
        if not loads(content_of(source), version, signatures):
            raise DespinaError(Code.INVALID_ARGUMENT, "broken on purpose")
        loaded = FakeLoaded(source, version, members)
        self.alive.append(loaded)
        return loaded

    def unload(self, loaded: FakeLoaded) -> None:
        assert loaded.alive, "unloaded twice"
        assert loaded not in self.serving, "unloaded while it serves"
        assert not any(loaded in each.members for each in self.alive), "an ensemble needs it"
        loaded.alive = False
        self.alive.remove(loaded)


class FakeEngine:
    def __init__(self, loader: FakeLoader) -> None:
        self._loader = loader
        self.ready = False

    def publish(self, *, index: Any, serving: Sequence[FakeLoaded], ready: bool, **_: Any) -> None:
        keys = [(each.source.id, each.version) for each in serving]
        assert len(keys) == len(set(keys)), "one of each version"
        assert all(each.alive for each in serving)
        self._loader.serving, self.ready = serving, ready

    def collect(self) -> None:
        """Nothing to collect."""


class FakeHooks:
    """Sees that states are told without gaps."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, int], str] = {}

    def model_state(self, model: str, version: int, old: str, new: str, why: str) -> None:
        before = self._states.get((model, version), "UNKNOWN")
        assert old == before or (old, before) == ("UNKNOWN", "UNAVAILABLE")  # it was forgotten
        self._states[model, version] = new


@dataclass
class Want:
    """What was last asked for of a model, as far as it could be read."""

    content: dict[str, Any]
    versions: tuple[int, ...]
    explicit: bool
    override: bool = False


@dataclass
class Reference:
    """What somebody who keeps books by hand knows."""

    wants: dict[str, Want] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)


class Lives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="random-"))
        self.threads = ManualThreads()
        self.loader = FakeLoader()
        self.engine = FakeEngine(self.loader)
        self.reference = Reference()
        self.tags = itertools.count()
        self.futures: list[Future[Any]] = []
        self.served_before: set[tuple[str, int]] = set()
        self.catalog = Catalog([self.root])
        self.manager = Manager(
            engine=self.engine,  # type: ignore[arg-type]
            catalog=self.catalog,
            loader=self.loader,  # type: ignore[arg-type]
            hooks=FakeHooks(),  # type: ignore[arg-type]
            threads=self.threads,  # type: ignore[arg-type]
        )

    @initialize()
    def write_all(self) -> None:
        for name in MEMBERS:
            self.write(name, "s", "s", (), (1,))
        self.manager.open()

    # What happens on the disk.

    def content(self, signature: str, takes: str, broken: Sequence[int]) -> dict[str, Any]:
        tag = next(self.tags)
        return {"signature": signature, "takes": takes, "broken": list(broken), "tag": tag}

    def config(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        tensor = {"data_type": "TYPE_FP32", "dims": [1]}
        names = ["X", *(f"t{at}" for at in range(1, len(MEMBERS[name]))), "Y"]
        steps = [
            {
                "model_name": member,
                "model_version": -1,
                "input_map": {"X": names[at]},
                "output_map": {"Y": names[at + 1]},
            }
            for at, member in enumerate(MEMBERS[name])
        ]
        kind = {"ensemble_scheduling": {"step": steps}} if steps else {"backend": "fake"}
        return {
            **kind,
            "input": [{"name": "X", **tensor}],
            "output": [{"name": "Y", **tensor}],
            "parameters": {"content": {"string_value": json.dumps(content)}},
        }

    def path(self, name: str) -> Path:
        return self.root / name

    def write(
        self, name: str, signature: str, takes: str, broken: Sequence[int], versions: Sequence[int]
    ) -> None:
        from despina.config.load import config_from_dict, config_to_text

        config = config_from_dict(self.config(name, self.content(signature, takes, broken)), "c")
        config.version_policy.all.SetInParent()
        shutil.rmtree(self.path(name), ignore_errors=True)
        for version in versions:
            (self.path(name) / str(version)).mkdir(parents=True)
        (self.path(name) / "config.pbtxt").write_text(config_to_text(config))

    @rule(
        name=NAMES,
        signature=SIGNATURES,
        takes=SIGNATURES,
        broken=st.sampled_from([(), (), (1,), (2,), (1, 2)]),
        versions=VERSIONS,
    )
    def change(self, name: str, signature: str, takes: str, broken: Any, versions: Any) -> None:
        self.write(name, signature, takes, broken, versions)

    @rule(name=NAMES)
    def spoil(self, name: str) -> None:
        self.path(name).mkdir(exist_ok=True)
        (self.path(name) / "config.pbtxt").write_text("nonsense")

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        shutil.rmtree(self.path(name), ignore_errors=True)

    # What is asked for.

    def on_disk(self, name: str) -> Want | None:
        """Nothing of what cannot be read."""
        from despina.config.load import load_config

        try:
            config = load_config(self.path(name) / "config.pbtxt")
        except DespinaError:
            return None
        folders = sorted(int(each.name) for each in self.path(name).iterdir() if each.is_dir())
        content = json.loads(config.parameters["content"].string_value)
        return Want(content, tuple(folders), explicit=False)

    def is_served(self, name: str) -> bool:
        return any(each.source.name == name for each in self.loader.serving)

    def is_known(self, name: str) -> bool:
        """Whether an ensemble may name it."""
        return self.path(name).is_dir() or name in self.served_at_request

    def note(self, name: str, override: Want | None = None) -> bool:
        """Writes down what a load asks for; whether it was as it should be."""
        want = override or self.on_disk(name)
        missing = [each for each in MEMBERS[name] if not self.is_known(each)]
        if want is None or missing:
            if override is None:
                self.reference.unreadable.add(name)
            return False
        before = self.reference.wants.get(name)
        self.reference.unreadable.discard(name)
        explicit = name in self.asked or (before is not None and before.explicit)
        self.reference.wants[name] = Want(want.content, want.versions, explicit, bool(override))
        for member in MEMBERS[name]:
            if member not in self.served_at_request:
                self.note(member)
        return True

    def begin_request(self, name: str) -> None:
        self.threads.manager.run()
        self.asked = {name}
        models = self.manager._models.values()
        self.served_at_request = {
            model.name
            for model in models
            if model.want and not model.problem and (model.serves or not model.settled)
        }

    @rule(name=NAMES)
    def load(self, name: str) -> None:
        self.begin_request(name)
        future = self.manager.load([name])
        self.futures.append(future)
        if self.path(name).is_dir():
            self.note(name)
        self.threads.manager.run()

    @rule(
        name=NAMES,
        signature=SIGNATURES,
        takes=SIGNATURES,
        broken=st.sampled_from([(), (), (1,)]),
        files=st.booleans(),
    )
    def override(self, name: str, signature: str, takes: str, broken: Any, files: bool) -> None:
        self.begin_request(name)
        content = self.content(signature, takes, broken)
        given = {PurePosixPath("1/weights"): b"x"} if files else {}
        config = {**self.config(name, content), "version_policy": {"all": {}}}
        folders: tuple[int, ...] = (1,)
        if not files and self.path(name).is_dir():
            there = [int(each.name) for each in self.path(name).iterdir() if each.is_dir()]
            folders = tuple(sorted(there)) or (1,)
        self.futures.append(self.manager.load([name], override=Override(config, given)))
        if files or self.path(name).is_dir():
            self.note(name, Want(content, folders, explicit=True))
        self.threads.manager.run()

    @rule(name=NAMES, dependents=st.booleans())
    def unload(self, name: str, dependents: bool) -> None:
        self.begin_request(name)
        self.futures.append(self.manager.unload(name, dependents=dependents))
        self.unwant(name, dependents)
        self.threads.manager.run()

    def unwant(self, name: str, dependents: bool) -> None:
        wants = self.reference.wants
        had = wants.pop(name, None)
        self.reference.unreadable.discard(name)
        for member in MEMBERS[name] if dependents and had else ():
            needed = any(member in MEMBERS[each] for each in wants)
            if member in wants and not wants[member].explicit and not needed:
                self.unwant(member, dependents)

    # What goes on meanwhile.

    @precondition(lambda self: self.threads.jobs)
    @rule(data=st.data())
    def run_a_job(self, data: st.DataObject) -> None:
        worker, at = data.draw(st.sampled_from(self.threads.jobs))
        worker.waiting.pop(at)()
        self.threads.manager.run()

    @rule()
    def settle(self) -> None:
        self.threads.manager.run()
        for _ in range(1000):
            if not self.threads.jobs:
                break
            worker, at = self.threads.jobs[0]
            worker.waiting.pop(at)()
            self.threads.manager.run()
        assert not self.threads.jobs, "it never comes to rest"
        self.check_rest()

    # What must hold.

    @invariant()
    def what_served_and_is_wanted_serves(self) -> None:
        now = {(each.source.name, each.version): each for each in self.loader.serving}
        for name, version in self.served_before - now.keys():
            if MEMBERS[name]:
                continue  # they go with their members
            want = self.reference.wants.get(name)
            replaced = any(key[0] == name for key in now)
            assert want is None or (version not in want.versions and replaced), (name, version)
        for each in now.values():
            signatures = [member.content["signature"] for member in each.members]
            assert loads(each.content, each.version, signatures)
            assert [m.source.name for m in each.members] == list(MEMBERS[each.source.name])
        self.served_before = set(now)

    def check_rest(self) -> None:
        serving = {(each.source.name, each.version): each for each in self.loader.serving}
        assert sorted(map(id, self.loader.alive)) == sorted(map(id, serving.values()))
        assert all(future.done() for future in self.futures)
        errors = [each.exception() for each in self.futures if each.exception()]
        assert all(isinstance(error, DespinaError) for error in errors), errors
        self.futures.clear()
        for name, want in self.reference.wants.items():
            for version in want.versions:
                self.check_version(name, version, want, serving)
        for (name, version), _ in serving.items():
            want = self.reference.wants.get(name)
            assert want, f"{name} is not wanted"
            if version not in want.versions:
                assert not any((name, each) in serving for each in want.versions)
        self.check_rows(serving)
        self.check_folders(serving)

    def check_version(
        self, name: str, version: int, want: Want, serving: dict[tuple[str, int], FakeLoaded]
    ) -> None:
        latest = {key[0]: serving[key] for key in sorted(serving)}
        here = serving.get((name, version))
        if any(member not in latest for member in MEMBERS[name]):
            assert here is None, f"{name} serves without its members"
            return
        members = [latest[member] for member in MEMBERS[name]]
        if here is not None:
            assert list(here.members) == members, f"{name} serves with members of yesterday"
        signatures = [member.content["signature"] for member in members]
        if loads(want.content, version, signatures):
            assert here is not None, f"{name} {version} is wanted and can be loaded"
            assert here.content == want.content

    def check_rows(self, serving: dict[tuple[str, int], FakeLoaded]) -> None:
        rows = self.manager.statuses()
        assert {(r.name, r.version) for r in rows if r.state == "READY"} == serving.keys()
        assert all(row.state in ("READY", "UNAVAILABLE") for row in rows)
        for row in rows:
            want = self.reference.wants.get(row.name)
            here = serving.get((row.name, row.version))
            if want is None:
                assert row.failed == (row.name in self.reference.unreadable)
            elif row.name in self.reference.unreadable:
                assert row.failed
            elif here is not None and row.version in want.versions:
                assert row.failed == (here.content != want.content)
        assert self.engine.ready == (not any(r.failed and r.state != "READY" for r in rows))

    def check_folders(self, serving: dict[tuple[str, int], FakeLoaded]) -> None:
        """Files that clients gave are there as long as something is loaded from them."""
        private = self.catalog._private
        used = {each.source.folder for each in serving.values() if each.source.private}
        wanted = {
            model.want.source.folder
            for model in self.manager._models.values()
            if model.want and model.want.source.private and model.want.source.is_ensemble
        }
        assert used <= private._folders <= used | wanted

    def teardown(self) -> None:
        self.manager.stop(0)
        for _ in range(1000):
            for worker, at in self.threads.jobs[:1]:
                worker.waiting.pop(at)()
            self.threads.manager.run()
        assert self.loader.alive == []
        assert all(future.done() for future in self.futures)
        assert self.catalog._private._root is None
        shutil.rmtree(self.root)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
