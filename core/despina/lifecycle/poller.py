"""Looks at the repositories again and again, and has the manager follow them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from despina.errors import DespinaError
from despina.lifecycle.state import ModelStatus
from despina.repository.watch import Changes, Watch

logger = logging.getLogger(__name__)

Rows = Future[list[ModelStatus]]


class Poller:
    """What happens at a look is ``look``; the thread, if there is one, does it at the right times.

    Attributes:
        first: gets the rows of all models once what was there at the start has settled.
    """

    def __init__(
        self,
        watch: Watch,
        sync: Callable[[Changes], Rows],
        *,
        poll_seconds: float,
        settle_seconds: float,
    ) -> None:
        """Does nothing yet.

        Args:
            watch: finds out what has changed.
            sync: has it loaded and unloaded.
            poll_seconds: between two looks.
            settle_seconds: between two looks while something changes; no less than the watch's.
        """
        self.first: Rows = Future()
        self._watch, self._sync = watch, sync
        self._poll, self._settle = poll_seconds, settle_seconds
        self._looked = self._begun = False
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begins to look, on a thread of its own."""
        threading.Thread(target=self._run, name="despina-poll", daemon=True).start()

    def stop(self) -> None:
        """Ends the thread; does not wait for it."""
        self._stopped.set()

    def look(self) -> float:
        """Looks once.

        Returns:
            After how many seconds to look again.
        """
        changes = self._watch.look()
        # At the first look nothing is known to be complete.
        may_begin, self._looked = self._looked or not changes.pending, True
        if may_begin and not self._begun:
            self._begun = True
            self._sync(changes).add_done_callback(lambda done: _pass_on(done, self.first))
        elif changes:
            names = ", ".join([*changes.changed, *changes.gone])
            logger.info("the model repository has changed: %s", names)
            self._sync(changes)
        return self._settle if changes.pending else self._poll

    def _run(self) -> None:
        while not self._stopped.is_set():
            wait = self._poll
            try:
                wait = self.look()
            except DespinaError as error:
                if not self._stopped.is_set():
                    logger.warning("the model repository is not followed: %s", error.message)
            except Exception:
                logger.exception("looking at the model repository failed")
            self._stopped.wait(wait)


def _pass_on(done: Rows, other: Rows) -> None:
    error = done.exception()
    if error is None:
        other.set_result(done.result())
    else:
        other.set_exception(error)
