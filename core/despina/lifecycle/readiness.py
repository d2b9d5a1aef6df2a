"""Asks models whether they can serve: the answer of their readiness route."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from despina.errors import DespinaError, reason
from despina_sdk import BackendError, Model

logger = logging.getLogger(__name__)

ASK_SECONDS = 1.0

Version = tuple[str, int]


class _Watched:
    """A model, and what it said last."""

    def __init__(self, model: Model) -> None:
        self.model: Model | None = model
        self.why = ""
        # Held while the model is asked, so that it is not closed meanwhile.
        self.lock = threading.Lock()


class Readiness:
    """Asks on a thread of its own: no front end waits for a backend's code. Any thread."""

    def __init__(self, set_ready: Callable[[str, int, bool], None]) -> None:
        """Begins when there is a model to ask.

        Args:
            set_ready: called with name, version and answer, when it has changed.
        """
        self._set_ready = set_ready
        self._lock = threading.Lock()
        self._watched: dict[Version, _Watched] = {}
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def watch(self, version: Version, model: Model) -> None:
        """Asks a model from now on, the first time before this returns."""
        if type(model).check_ready is Model.check_ready:
            return
        watched = _Watched(model)
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="readiness", daemon=True)
                thread.start()
                self._thread = thread
            self._watched[version] = watched
        self._ask(version, watched)

    def forget(self, version: Version) -> None:
        """Does not ask a model any more; waits for a call that is under way."""
        with self._lock:
            watched = self._watched.pop(version, None)
        if watched is not None:
            with watched.lock:
                watched.model = None

    def ask(self) -> None:
        """Asks all models once."""
        with self._lock:
            all_watched = list(self._watched.items())
        for version, watched in all_watched:
            self._ask(version, watched)

    def stop(self) -> None:
        """Ends the thread; does not wait for it."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(ASK_SECONDS):
            self.ask()

    def _ask(self, version: Version, watched: _Watched) -> None:
        with watched.lock:
            if watched.model is None:
                return
            started = time.monotonic()
            why = _answer(version, watched.model)
            if (took := time.monotonic() - started) > ASK_SECONDS:
                text = "model '%s' version %d took %.1f s to say whether it can serve: others wait"
                logger.warning(text, *version, took)
            if bool(why) != bool(watched.why):
                self._set_ready(*version, not why)
                if not why:
                    logger.info("model '%s' version %d can serve again", *version)
            if why and why != watched.why:
                logger.warning("model '%s' version %d cannot serve: %s", *version, why)
            watched.why = why


def _answer(version: Version, model: Model) -> str:
    """Why it cannot serve; nothing when it can."""
    try:
        model.check_ready()
    except (BackendError, DespinaError) as error:
        return reason(error) or "it does not say why"
    except BaseException as error:  # SystemExit too: a model cannot end the thread so
        logger.debug("model '%s' version %d cannot say", *version, exc_info=True)
        return reason(error)
    return ""
