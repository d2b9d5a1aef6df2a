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


class Watch:
    """A model that is asked, and what it said last."""

    def __init__(self, label: str, model: Model, set_ready: Callable[[bool], None]) -> None:
        """Takes the model, what logs call it, and who is told when the answer has changed."""
        self._label, self._set_ready = label, set_ready
        self._model: Model | None = model
        self._why = ""
        # Held while the model is asked, so that it is not closed meanwhile.
        self._lock = threading.Lock()

    def ask(self) -> None:
        """Asks it once."""
        with self._lock:
            if self._model is None:
                return
            started = time.monotonic()
            why = _answer(self._label, self._model)
            if (took := time.monotonic() - started) > ASK_SECONDS:
                text = "%s took %.1f s to say whether it can serve: others wait"
                logger.warning(text, self._label, took)
            if bool(why) != bool(self._why):
                self._set_ready(not why)
                if not why:
                    logger.info("%s can serve again", self._label)
            if why and why != self._why:
                logger.warning("%s cannot serve: %s", self._label, why)
            self._why = why

    def end(self) -> None:
        """Lets go of the model; waits for a call that is under way."""
        with self._lock:
            self._model = None


class Readiness:
    """Asks on a thread of its own: no front end waits for a backend's code. Any thread."""

    def __init__(self) -> None:
        """Begins when there is a model to ask."""
        self._lock = threading.Lock()
        self._watches: list[Watch] = []
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def watch(self, label: str, model: Model, set_ready: Callable[[bool], None]) -> Watch | None:
        """Asks a model from now on, the first time before this returns.

        Args:
            label: what logs call it.
            model: the model.
            set_ready: called with the answer when it has changed; at first a model is ready.

        Returns:
            What ``forget`` takes; ``None`` for a model that has nothing to say.
        """
        if type(model).check_ready is Model.check_ready:
            return None
        watch = Watch(label, model, set_ready)
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="readiness", daemon=True)
                thread.start()
                self._thread = thread
        watch.ask()
        with self._lock:
            self._watches.append(watch)
        return watch

    def forget(self, watch: Watch) -> None:
        """Does not ask a model any more; waits for a call that is under way."""
        with self._lock:
            self._watches.remove(watch)
        watch.end()

    def ask(self) -> None:
        """Asks all models once."""
        with self._lock:
            watches = list(self._watches)
        for watch in watches:
            watch.ask()

    def stop(self) -> None:
        """Ends the thread; does not wait for it."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(ASK_SECONDS):
            self.ask()


def _answer(label: str, model: Model) -> str:
    """Why it cannot serve; nothing when it can."""
    try:
        model.check_ready()
    except (BackendError, DespinaError) as error:
        return reason(error) or "it does not say why"
    except BaseException as error:  # SystemExit too: a model cannot end the thread so
        logger.debug("%s cannot say", label, exc_info=True)
        return reason(error)
    return ""
