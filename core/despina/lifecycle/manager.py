"""The life cycle of all models: what others ask of it, and the thread that owns its state.

Others post events to that thread and wait for futures. Loads and unloads, which take their time,
run on workers and come back as events.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from itertools import chain

from despina.errors import DespinaError
from despina.lifecycle.events import shutting_down
from despina.lifecycle.loader import Loader, ModelEngine
from despina.lifecycle.models import Models
from despina.lifecycle.plan import Plan, make_plan
from despina.lifecycle.publication import Publication
from despina.lifecycle.reconciler import Reconciler
from despina.lifecycle.state import ModelStatus
from despina.lifecycle.waiters import Until, Waiter, Waiters
from despina.lifecycle.wants import served, unwant, want
from despina.lifecycle.workers import Threads
from despina.plugins.hooks import Hooks
from despina.repository.catalog import Catalog
from despina.repository.fingerprint import seen
from despina.repository.override import Override
from despina.repository.watch import Changes
from despina.text import printed
from despina_sdk import Code

COLLECT_SECONDS = 1.0
"""How often the engine is asked to release what front ends are done with."""


class Manager:
    """Its methods may be called on any thread."""

    def __init__(
        self,
        *,
        engine: ModelEngine,
        catalog: Catalog,
        loader: Loader,
        hooks: Hooks,
        load_threads: int = 4,
        load_retries: int = 0,
        strict_readiness: bool = True,
        namespaces: bool = False,
        threads: Threads | None = None,
    ) -> None:
        """Starts the threads; nothing is loaded yet.

        Args:
            engine: runs the models.
            catalog: knows where models are. From now on it is the manager's.
            loader: loads them.
            hooks: are told of changes.
            load_threads: how many models are loaded at a time.
            load_retries: how often a load that fails is tried again.
            strict_readiness: whether a model that failed makes the server not ready.
            namespaces: whether models of several repositories may have one name.
            threads: makes the threads.
        """
        threads = threads or Threads()
        self._catalog, self._models = catalog, Models()
        self._waiters = Waiters(self._models)
        # Models that polling has found complete, and their content: ensembles may consist of no
        # others then.
        self._complete: dict[str, str] | None = None
        self._publication = Publication(
            self._models,
            engine,
            catalog,
            hooks,
            strict_readiness=strict_readiness,
            namespaces=namespaces,
        )
        # Unloads wait for requests; they must not keep loads from running.
        self._load_workers = threads.workers(load_threads, "despina-load")
        self._unload_workers = threads.workers(load_threads, "despina-unload")
        self._reconciler = Reconciler(
            self._models,
            loader,
            submit_load=self._load_workers.submit,
            submit_unload=self._unload_workers.submit,
            post=self._post,
            publish=self._publish,
            load_retries=load_retries,
        )
        self._thread = threads.events("despina-manager", engine.collect, COLLECT_SECONDS)

    def statuses(self) -> list[ModelStatus]:
        """All versions that are known, by name and version."""
        return list(self._publication.rows)

    def is_ready(self) -> bool:
        """What was published last."""
        return self._publication.ready

    def load(
        self, names: Iterable[str], *, must_exist: bool = True, override: Override | None = None
    ) -> Future[list[ModelStatus]]:
        """Wants models to be served, read again from where they are.

        What is served and did not change is left alone. The members of ensembles are loaded too.

        Args:
            names: of the models; with an override of one.
            must_exist: whether a name without a model is an error (NOT_FOUND, and nothing is
                done), or a row with that reason.
            override: what it is loaded from instead, until it is loaded again without one.

        Returns:
            A future that gets the rows of the models once they, and ensembles that are made of
            them, are READY or UNAVAILABLE. DespinaError: an override that cannot be; then nothing
            has changed.
        """
        waiter = Waiter(Until.SETTLED, frozenset(map(printed, names)))
        return self._ask(waiter, lambda: self._load(waiter, must_exist, override))

    def unload(
        self, name: str, *, dependents: bool = False, until: Until = Until.ENDED
    ) -> Future[list[ModelStatus]]:
        """Wants a model not to be served any more, nor the ensembles that it is a member of.

        Those ensembles come back when the model does.

        Args:
            name: of the model.
            dependents: whether members of it go too that nobody asked for, and nothing else needs.
            until: what the future waits for.

        Returns:
            A future that gets the rows of the model, or NOT_FOUND.
        """
        waiter = Waiter(until, frozenset({name}))
        return self._ask(waiter, lambda: self._unload(waiter, name, dependents))

    def sync(self, changes: Changes) -> Future[list[ModelStatus]]:
        """Follows a repository: loads what is new or has changed, and unloads what is gone.

        Returns:
            A future that gets the rows of all models once those concerned have settled.
        """
        waiter = Waiter(Until.SETTLED, frozenset())
        return self._ask(waiter, lambda: self._sync(waiter, changes))

    def open(self) -> None:
        """Allows readiness: what was to be loaded at the start has settled."""
        self._thread.call(self._open)

    def drain(self) -> None:
        """Ends readiness for good; what is served stays so. Returns once it is published."""
        self._thread.call(self._drain)

    def stop(self, timeout: float) -> bool:
        """Unloads everything and ends the threads.

        Args:
            timeout: seconds.

        Returns:
            Whether all was done in time. If not, it goes on in the background.
        """
        self._thread.put(self._stop)
        return self._thread.join(timeout)

    def _ask(self, waiter: Waiter, event: Callable[[], None]) -> Future[list[ModelStatus]]:
        """Runs something on the manager's thread; an error goes to who waits for it."""

        def run() -> None:
            try:
                if self._publication.exiting:
                    raise shutting_down()
                event()
                self._waiters.add(waiter)
                self._reconciler.advance()
            except Exception as error:
                self._drop_private_folders()
                self._waiters.fail(waiter, error)

        if not self._thread.put(run):
            raise shutting_down()
        return waiter.future

    def _post(self, event: Callable[[], None]) -> None:
        self._thread.put(event)

    # What follows runs on the manager's thread.

    def _load(self, waiter: Waiter, must_exist: bool, override: Override | None) -> None:
        self._catalog.refresh()
        # With files it need not be in a repository.
        must_exist = must_exist and not (override and override.files)
        names = sorted(waiter.names)
        ids = [each for name in names for each in self._find(name, must_exist)]
        if override and len(ids) > 1:
            text = f"several repositories have a model '{names[0]}': it cannot be overridden"
            raise DespinaError(Code.INVALID_ARGUMENT, text)
        plan = self._plan(ids, override)
        refused = [plan.failures[each] for each in ids if override and each in plan.failures]
        if refused:
            raise DespinaError(Code.INVALID_ARGUMENT, refused[0])
        self._want(waiter, ids, plan)

    def _find(self, name: str, must_exist: bool) -> list[str]:
        """Ids of the models of a name."""
        found = self._catalog.find(name)
        if not found and must_exist:
            raise self._catalog.unknown(name)
        return found or [name]

    def _plan(self, ids: list[str], override: Override | None = None) -> Plan:
        places = self._catalog.places()
        if self._complete is not None:
            places = [place for place in places if place.id in {*self._complete, *ids}]
        return make_plan(ids, self._catalog, places, served(self._models), override)

    def _want(self, waiter: Waiter, ids: list[str], plan: Plan) -> None:
        want(self._models, plan, ids)
        waiter.names = {self._models[each].name for each in ids if each in self._models}
        waiter.ids = self._models.users(ids)

    def _sync(self, waiter: Waiter, changes: Changes) -> None:
        self._catalog.refresh()
        there = {place.id: place for place in self._catalog.places()}
        handed_over = {each: "" for each, place in there.items() if not place.folders}
        complete = {**handed_over, **(self._complete or {}), **changes.changed}
        self._complete = {m: complete[m] for m in complete if m not in changes.gone}
        # Those that could not be read may have waited for one of these.
        again = {model.id for model in self._models.values() if model.problem}
        new = handed_over.keys() - self._models.keys()
        ids = sorted({*changes.changed, *again, *new} & there.keys() & self._complete.keys())
        plan = self._plan(ids)
        for each in [*plan.sources, *plan.failures]:
            folders = there[each].folders
            if folders and seen(*folders).content != self._complete[each]:
                plan.leave_out(each)  # it changes again: for the next look
        for each in plan.failures.keys() - changes.changed.keys():
            if each in self._models and self._models[each].problem == plan.failures[each]:
                plan.leave_out(each)  # nothing new
        self._want(waiter, ids, plan)
        known = [each for each in changes.gone if each in self._models]
        unwant(self._models, known)
        for each in known:
            self._models[each].gone = True

    def _unload(self, waiter: Waiter, name: str, dependents: bool) -> None:
        ids = [model.id for model in self._models.named(name)]
        if not ids:
            text = f"model '{name}' is not known to the server"
            raise DespinaError(Code.NOT_FOUND, text)
        waiter.ids = unwant(self._models, ids, dependents=dependents)

    def _open(self) -> None:
        self._publication.open = True
        self._publication.publish()

    def _drain(self) -> None:
        self._publication.exiting = True
        self._publication.publish()
        self._waiters.refuse()

    def _stop(self) -> None:
        self._publication.exiting = True
        self._reconciler.stop()

    def _publish(self, changed: Collection[str]) -> None:
        """After every change."""
        self._publication.publish(changed)
        self._drop_private_folders()
        self._waiters.answer(self._publication.rows)
        if self._reconciler.ended:
            self._waiters.refuse()
            self._catalog.close()
            self._load_workers.stop()
            self._unload_workers.stop()
            self._thread.end()

    def _drop_private_folders(self) -> None:
        """Keeps those that something is, or may yet be, loaded from."""
        loaded = (each.source for each in self._models.generations())
        wanted = (
            model.want.source
            for model in self._models.values()
            if model.want and (model.want.members or not model.settled)
        )
        self._catalog.keep_only(chain(loaded, wanted))
