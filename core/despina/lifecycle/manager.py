"""Carries out what the policy says, and publishes the outcome.

One thread owns all state: others post events to it and wait for futures. Loads and unloads, which
take their time, run on workers and come back as events.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from despina.config.definition import Definition
from despina.errors import DespinaError, reason
from despina.lifecycle.loader import Loaded, Loader, ModelEngine
from despina.lifecycle.plan import make_plan
from despina.lifecycle.policy import Fail, Key, Load, Unload, Wanted, next_actions
from despina.lifecycle.state import UNLOADED, ModelStatus, State, Status, check_transition
from despina.lifecycle.workers import Workers
from despina.plugins.hooks import Hooks
from despina.repository.catalog import Catalog, Source
from despina.text import printed
from despina_sdk import Code

logger = logging.getLogger(__name__)

COLLECT_SECONDS = 1.0
"""How often the engine is asked to release what front ends are done with."""


@dataclass
class _Version:
    """All that is known of one version."""

    status: Status = field(default_factory=Status)
    wanted: Wanted | None = None
    source: Source | None = None
    loaded: Loaded | None = None


@dataclass
class _Waiter:
    """Somebody who waits for models to settle, and for ensembles that come back with them."""

    names: frozenset[str]
    returning: frozenset[str] = frozenset()
    future: Future[list[ModelStatus]] = field(default_factory=Future)


class Manager:
    """The life cycle of all models. Its methods may be called on any thread."""

    def __init__(
        self,
        *,
        engine: ModelEngine,
        catalog: Catalog,
        loader: Loader,
        hooks: Hooks,
        load_threads: int = 4,
        strict_readiness: bool = True,
    ) -> None:
        """Starts the threads; nothing is loaded yet.

        Args:
            engine: runs the models.
            catalog: knows where models are.
            loader: loads them.
            hooks: are told of changes.
            load_threads: how many models are loaded at a time.
            strict_readiness: whether a model that failed makes the server not ready.
        """
        self._engine, self._catalog, self._loader, self._hooks = engine, catalog, loader, hooks
        self._strict = strict_readiness
        self._models: dict[str, dict[int, _Version]] = {}
        # Ensembles that went with a member and come back with it, and their members.
        self._suspended: dict[str, frozenset[str]] = {}
        self._waiters: list[_Waiter] = []
        self._rows: tuple[ModelStatus, ...] = ()
        self._ready = self._open = self._exiting = self._stopping = self._ended = False
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        # Guards that nothing is put into the queue once nobody looks into it any more.
        self._lock = threading.Lock()
        self._closed = False
        # Unloads wait for requests; they must not keep loads from running.
        self._load_workers = Workers(load_threads, "despina-load")
        self._unload_workers = Workers(load_threads, "despina-unload")
        self._thread = threading.Thread(target=self._run, name="despina-manager", daemon=True)
        self._thread.start()

    def statuses(self) -> list[ModelStatus]:
        """All versions that are known, by name and version."""
        return list(self._rows)

    def is_ready(self) -> bool:
        """What was published last."""
        return self._ready

    def load(self, names: Iterable[str], *, must_exist: bool = True) -> Future[list[ModelStatus]]:
        """Wants models to be served, read again from where they are.

        What is served and did not change is left alone. The members of ensembles are loaded too.

        Args:
            names: of the models.
            must_exist: whether a name without a model is an error (NOT_FOUND, and nothing is
                done), or a row with that reason.

        Returns:
            A future that gets the rows of the models once all are READY or UNAVAILABLE.
        """
        waiter = _Waiter(frozenset(map(printed, names)))
        self._post(lambda: self._want(waiter, must_exist), waiter)
        return waiter.future

    def unload(self, name: str) -> Future[list[ModelStatus]]:
        """Wants a model not to be served any more, nor the ensembles that it is a member of.

        Those ensembles come back when the model does. The future gets the rows of the model once
        it is unloaded, or NOT_FOUND.
        """
        waiter = _Waiter(frozenset({name}))
        self._post(lambda: self._unwant(name, waiter), waiter)
        return waiter.future

    def open(self) -> None:
        """Allows readiness: what was to be loaded at the start has settled."""
        self._call(self._set_open)

    def drain(self) -> None:
        """Ends readiness for good; what is served stays so. Returns once it is published."""
        self._call(self._set_exiting)

    def stop(self, timeout: float) -> bool:
        """Unloads everything and ends the threads.

        Args:
            timeout: seconds.

        Returns:
            Whether all was done in time. If not, it goes on in the background.
        """
        self._put(self._begin_stop)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _call(self, event: Callable[[], None]) -> None:
        """Runs something on the manager's thread and waits for it, unless that has ended."""
        done: Future[None] = Future()

        def run() -> None:
            try:
                event()
            except Exception as error:
                done.set_exception(error)
            else:
                done.set_result(None)

        if self._put(run):
            done.result()

    def _post(self, event: Callable[[], None], waiter: _Waiter) -> None:
        """Runs something on the manager's thread; an error goes to who waits for it."""

        def run() -> None:
            try:
                event()
            except Exception as error:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                if waiter.future.done():
                    raise
                waiter.future.set_exception(error)

        if not self._put(run):
            raise _shutting_down()

    def _put(self, event: Callable[[], None]) -> bool:
        """Queues an event; whether it will be handled."""
        with self._lock:
            if not self._closed:
                self._events.put(event)
            return not self._closed

    # What follows runs on the manager's thread.

    def _run(self) -> None:
        collect_at = time.monotonic() + COLLECT_SECONDS
        while not self._ended:
            try:
                event = self._events.get(timeout=max(0.0, collect_at - time.monotonic()))
            except queue.Empty:
                event = self._engine.collect
                collect_at = time.monotonic() + COLLECT_SECONDS
            self._handle(event)
        self._load_workers.stop()
        self._unload_workers.stop()
        with self._lock:
            self._closed = True
        while not self._events.empty():
            self._handle(self._events.get())
        for waiter in self._waiters:
            waiter.future.set_exception(_shutting_down())

    def _handle(self, event: Callable[[], None]) -> None:
        try:
            event()
        except Exception:
            logger.exception("an event of the model manager failed")

    def _want(self, waiter: _Waiter, must_exist: bool) -> None:
        if self._exiting:
            raise _shutting_down()
        self._catalog.refresh()
        if must_exist:
            for name in sorted(waiter.names):
                self._catalog.check_known(name)
        requested = self._with_suspended(waiter.names)
        waiter.returning = frozenset(requested - waiter.names)
        plan = make_plan(sorted(requested), self._catalog)
        untouched = {name for name in plan.failures if self._is_wanted(name)}
        for name in sorted(plan.sources.keys() | plan.failures.keys()):
            if name not in requested and self._is_wanted(name):
                continue  # a member that is served already
            if name in plan.failures:
                self._want_nothing(name, plan.failures[name])
            else:
                self._want_source(plan.sources[name])
        if untouched & waiter.names:  # served as before, and the caller is told why
            why = "; ".join(plan.failures[name] for name in sorted(untouched & waiter.names))
            waiter.future.set_exception(DespinaError(Code.INVALID_ARGUMENT, why))
        else:
            self._waiters.append(waiter)
        self._advance()

    def _with_suspended(self, names: frozenset[str]) -> set[str]:
        """The names, and the ensembles that have all of their members back with them."""
        requested = set(names)
        while returning := {
            name
            for name, members in self._suspended.items()
            if all(member in requested or self._is_wanted(member) for member in members)
        }:
            requested |= returning
            for name in returning:
                del self._suspended[name]
        return requested

    def _want_source(self, source: Source) -> None:
        """Wants the versions of a source, and no other versions of the model."""
        steps = source.config.ensemble_scheduling.step
        members = tuple((step.model_name, step.model_version) for step in steps)
        self._suspended.pop(source.name, None)
        versions = self._models.setdefault(source.name, {})
        versions.pop(0, None)
        for number, version in versions.items():
            version.wanted = None
            if number not in source.versions:
                self._let_go(Key(source.name, number))
            elif version.status.state is State.UNAVAILABLE:
                version.status = replace(version.status, revision=None)  # try again
        for number in source.versions:
            version = versions.setdefault(number, _Version())
            version.wanted, version.source = Wanted(source.revision, members), source

    def _let_go(self, key: Key) -> None:
        """Ends a version that is not wanted any more, unless the engine has something of it."""
        if self._get(key).status.state in (State.UNKNOWN, State.UNAVAILABLE):
            self._move(key, Status(State.UNAVAILABLE, UNLOADED))

    def _want_nothing(self, name: str, why: str) -> None:
        """Notes that a model cannot be read. What is served of it stays: it was not touched."""
        if not self._is_wanted(name):
            version = self._models.setdefault(name, {}).setdefault(0, _Version())
            version.wanted = Wanted()
            self._move(Key(name, 0), Status(State.UNAVAILABLE, why, revision=""))
        logger.error("model '%s' cannot be read: %s", name, why)

    def _unwant(self, name: str, waiter: _Waiter) -> None:
        if name not in self._models:
            raise DespinaError(Code.NOT_FOUND, f"model '{name}' is not known to the server")
        going = {name}
        while users := {
            key.name
            for key, version in self._all()
            if version.wanted and key.name not in going
            if any(member in going for member, _ in version.wanted.members)
        }:
            going |= users
        for key, version in self._all():
            if key.name not in going or version.wanted is None:
                continue
            if key.name != name:
                self._suspended[key.name] = frozenset(m for m, _ in version.wanted.members)
            version.wanted = None
            self._let_go(key)
        self._suspended.pop(name, None)
        self._waiters.append(waiter)
        self._advance()

    def _set_open(self) -> None:
        self._open = True
        self._publish()

    def _set_exiting(self) -> None:
        self._exiting = True
        self._publish()
        for waiter in self._waiters:  # what they wait for may never come
            waiter.future.set_exception(_shutting_down())
        self._waiters.clear()

    def _begin_stop(self) -> None:
        self._exiting = self._stopping = True
        for _, version in self._all():
            version.wanted = None
        self._advance()

    def _advance(self) -> None:
        """Does all that can be done now."""
        while actions := next_actions(
            {key: each.wanted for key, each in self._all() if each.wanted},
            {key: each.status for key, each in self._all()},
        ):
            for action in actions:
                match action:
                    case Load(key):
                        self._begin_load(key)
                    case Unload(key):
                        self._begin_unload(key)
                    case Fail(key, why):
                        self._fail(key, why)
        self._publish()
        self._answer_waiters()
        self._ended = self._stopping and not any(each.status.busy for _, each in self._all())

    def _begin_load(self, key: Key) -> None:
        version = self._get(key)
        assert version.wanted
        assert version.source
        source, wanted = version.source, version.wanted
        models = {member: self._definition(member) for member in wanted.members}
        self._move(key, Status(State.LOADING, "", wanted.revision, wanted.members))

        def job() -> None:
            try:
                if self._stopping:
                    raise _shutting_down()
                loaded = self._loader.load(source, key.version, models)
            except BaseException as error:  # SystemExit too: a model cannot end the server so
                why = reason(error)
                if not isinstance(error, DespinaError):
                    logger.exception("loading model '%s' failed", key.name)
                self._events.put(lambda: self._load_failed(key, why))
            else:
                self._events.put(lambda: self._load_done(key, loaded))

        self._load_workers.submit(job)

    def _load_done(self, key: Key, loaded: Loaded) -> None:
        version = self._get(key)
        version.loaded = loaded
        self._move(key, replace(version.status, state=State.READY))
        logger.info("model '%s' version %d is ready", key.name, key.version)
        self._advance()

    def _load_failed(self, key: Key, why: str) -> None:
        self._move(key, replace(self._get(key).status, state=State.UNAVAILABLE, reason=why))
        logger.error("model '%s' version %d failed to load: %s", key.name, key.version, why)
        if not self._get(key).wanted:
            self._let_go(key)
        self._advance()

    def _begin_unload(self, key: Key) -> None:
        version = self._get(key)
        loaded, version.loaded = version.loaded, None
        assert loaded
        self._move(key, replace(version.status, state=State.UNLOADING))
        self._publish()  # from here on it gets no new requests

        def job() -> None:
            why = UNLOADED
            try:
                self._loader.unload(loaded)
            except BaseException as error:  # as for a load
                why = f"failed to unload: {reason(error)}"
                logger.exception("model '%s' version %d failed to unload", key.name, key.version)
            self._events.put(lambda: self._unload_done(key, why))

        self._unload_workers.submit(job)

    def _unload_done(self, key: Key, why: str) -> None:
        self._move(key, Status(State.UNAVAILABLE, why))
        logger.info("model '%s' version %d: %s", key.name, key.version, why)
        self._advance()

    def _fail(self, key: Key, why: str) -> None:
        version = self._get(key)
        assert version.wanted
        self._move(key, Status(State.UNAVAILABLE, why, version.wanted.revision))
        logger.error("model '%s' version %d is not loaded: %s", key.name, key.version, why)

    def _move(self, key: Key, status: Status) -> None:
        """Changes the status of a version, and says so."""
        version = self._get(key)
        old, version.status = version.status.state, status
        check_transition(old, status.state)
        self._hooks.model_state(key.name, key.version, old.value, status.state.value, status.reason)

    def _publish(self) -> None:
        """Tells the engine, then those who ask: a model that is READY to them can be used."""
        ready = self._is_ready()
        rows = tuple(
            ModelStatus(key.name, key.version, each.status.state.value, each.status.reason)
            for key, each in sorted(self._all(), key=lambda item: item[0])
        )
        self._engine.publish(
            index=[(row.name, row.version or None, row.state, row.reason) for row in rows],
            serving=[
                each.loaded.running for _, each in self._all() if each.status.ready and each.loaded
            ],
            ready=ready,
            exiting=self._exiting,
        )
        self._ready, self._rows = ready, rows

    def _is_ready(self) -> bool:
        if not self._open or self._exiting:
            return False
        statuses = [each.status for _, each in self._all()]
        return not self._strict or all(
            status.ready or (status.state is State.UNAVAILABLE and status.reason == UNLOADED)
            for status in statuses
        )

    def _answer_waiters(self) -> None:
        """Ends the waits for models that are on no way to anywhere any more."""
        for waiter in list(self._waiters):
            if all(self._is_settled(name) for name in waiter.names | waiter.returning):
                self._waiters.remove(waiter)
                waiter.future.set_result([row for row in self._rows if row.name in waiter.names])

    def _is_settled(self, name: str) -> bool:
        """Whether nothing is going to happen to any version of a model."""
        versions = self._models.get(name, {}).values()
        wanted = [each for each in versions if each.wanted]
        if not all(
            each.wanted and each.wanted.revision == each.status.revision and each.status.settled
            for each in wanted
        ):
            return False
        # A version that is not wanted is kept while none of those wanted could be loaded.
        kept = bool(wanted) and not any(each.status.ready for each in wanted)
        return all(
            each.status.state is State.UNAVAILABLE or (each.status.ready and kept)
            for each in versions
            if not each.wanted
        )

    def _all(self) -> Iterator[tuple[Key, _Version]]:
        for name, versions in self._models.items():
            for number, version in versions.items():
                yield Key(name, number), version

    def _get(self, key: Key) -> _Version:
        return self._models[key.name][key.version]

    def _is_wanted(self, name: str) -> bool:
        versions = self._models.get(name, {})
        return any(each.wanted and number for number, each in versions.items())

    def _definition(self, member: tuple[str, int]) -> Definition:
        """That of the member's version which gets an ensemble's requests."""
        name, number = member
        ready = [
            each.loaded.definition
            for version, each in self._models[name].items()
            if each.loaded and number in (-1, version)
        ]
        return max(ready, key=lambda definition: definition.version)


def _shutting_down() -> DespinaError:
    return DespinaError(Code.UNAVAILABLE, "the server is shutting down")
