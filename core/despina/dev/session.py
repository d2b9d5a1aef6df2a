"""Follows a plugin's sources and the files of its models, while the server runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from despina.dev.build import BuildStopped
from despina.dev.plugin import Say, SourcePlugin
from despina.dev.sources import Kind, SourceWatch
from despina.errors import DespinaError, reason
from despina.lifecycle.manager import Manager
from despina.lifecycle.poller import Poller
from despina.lifecycle.state import ModelStatus, State
from despina.plugins.registry import Registry
from despina.repository.catalog import Catalog
from despina.repository.layout import Listing
from despina.repository.watch import Changes, Watch
from despina.text import duration, escaped

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""Between two looks."""

SETTLE_SECONDS = 0.1
"""For which nothing may have changed before it is taken: what is saved together comes together."""

SHOWN_NAMES = 5

Rows = Future[list[ModelStatus]]


class Session:
    """One thread that looks, builds and imports; the manager loads what has changed."""

    def __init__(
        self, folder: Path, repositories: Sequence[Path], registry: Registry, say: Say
    ) -> None:
        """Offers the plugin's backends, and does not make them yet.

        Args:
            folder: of the plugin.
            repositories: folders of models, which may lie in the plugin's.
            registry: of the server.
            say: shows what happens; called on any thread.

        Raises:
            DespinaError: it is no folder of a plugin.
        """
        self._say: Say = lambda line: say(escaped(line))
        self._plugin = SourcePlugin(folder, registry, self._say)
        self._sources = SourceWatch(
            lambda: self._plugin.project,
            frozenset(path.resolve() for path in repositories),
            settle_seconds=SETTLE_SECONDS,
            clock=time.monotonic,
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="despina-dev", daemon=True)
        self._due = set(Kind)
        # Whether the models that were there at the start have been asked for.
        self._following = False

    def start(self, manager: Manager, catalog: Catalog, listing: Listing) -> Rows:
        """Begins.

        Args:
            manager: loads the models.
            catalog: of the same models; from now on it is the session's.
            listing: of the same models; from now on it is the session's.

        Returns:
            A future that gets the rows of all models once what there is now has settled.
        """
        self._manager, self._catalog = manager, catalog
        watch = Watch(listing, settle_seconds=SETTLE_SECONDS, clock=time.monotonic)
        self._poller = Poller(
            watch, self._sync, poll_seconds=LOOK_SECONDS, settle_seconds=SETTLE_SECONDS
        )
        self._thread.start()
        return self._poller.first

    def stop(self) -> None:
        """Follows nothing any more, and ends a build that runs; does not wait for that."""
        self._stopped.set()

    def join(self, timeout: float) -> bool:
        """Waits for the end for so many seconds; whether it came."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._plugin.close()
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._look()
            except DespinaError as error:
                if not self._stopped.is_set():
                    self._say(error.message)
            except Exception:
                logger.exception("following the sources failed")
            self._stopped.wait(LOOK_SECONDS)

    def _look(self) -> None:
        """Looks once, and takes what has changed."""
        if changed := self._sources.look():
            self._say(f"changed: {_shown(map(str, changed))}")
            self._due |= set(changed.values())
        if self._due and not self._sources.moving:
            self._take()
        if not self._due:
            self._poller.look()

    def _take(self) -> None:
        started, due, self._due = time.monotonic(), self._due, set()
        try:
            backends = self._plugin.take(due, self._is_stale)
        except BuildStopped:
            self._due |= due
            if not self._stopped.is_set():
                self._say("the build was stopped: its sources have changed again")
            return
        if self._following and backends and (models := list(self._users(backends))):
            self._tell_when_done(self._manager.load(models, must_exist=False), started)

    def _is_stale(self) -> bool:
        """Whether what is being built is not wanted any more."""
        return self._stopped.is_set() or self._sources.is_moving(Kind.NATIVE)

    def _users(self, backends: Collection[str]) -> Iterator[str]:
        """Models that backends run; not those of which that cannot even be read."""
        self._catalog.refresh()
        for place in self._catalog.places():
            with suppress(DespinaError):
                if self._catalog.read(place.id).config.backend in backends:
                    yield place.name

    def _sync(self, changes: Changes) -> Rows:
        """Has the manager follow the files of models; called by the poller, on this thread."""
        started, done = time.monotonic(), self._manager.sync(changes)
        if self._following:  # what is there at the start has not changed
            names = [f"model '{each}'" for each in changes.changed]
            names += [f"model '{each}' is gone" for each in changes.gone]
            self._say(f"changed: {_shown(names)}")
            self._tell_when_done(done, started)
        self._following = True
        return done

    def _tell_when_done(self, loading: Rows, started: float) -> None:
        def tell(done: Rows) -> None:
            if self._stopped.is_set():
                return
            if error := done.exception():
                self._say(f"not reloaded: {reason(error)}")
                return
            took = time.monotonic() - started
            for line in outcome(done.result(), took):
                self._say(line)

        loading.add_done_callback(tell)


def outcome(rows: Sequence[ModelStatus], seconds: float) -> Iterator[str]:
    """What has become of models that were to be loaded again."""
    for row in rows:
        if row.failed:
            serves = row.state == State.READY
            what = "serves on as it was" if serves else "is not served"
            version = f" version {row.version}" if row.version else ""
            yield f"model '{row.name}'{version} {what}: {row.reason}"
    good = [
        f"'{r.name}' version {r.version}" for r in rows if r.state == State.READY and not r.failed
    ]
    if good:
        yield f"reloaded in {duration(seconds)}: {', '.join(good)}"


def _shown(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
