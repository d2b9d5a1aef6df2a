"""A thread that handles events one after the other, and owns what they change."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from despina.errors import DespinaError
from despina_sdk import Code

logger = logging.getLogger(__name__)

Event = Callable[[], None]


class EventThread:
    """Its methods may be called on any thread."""

    def __init__(self, name: str, idle: Event, idle_seconds: float) -> None:
        """Begins.

        Args:
            name: of the thread.
            idle: done from time to time.
            idle_seconds: how often.
        """
        self._idle, self._idle_seconds = idle, idle_seconds
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        # Guards that nothing is put into the queue once nobody looks into it any more.
        self._lock = threading.Lock()
        self._ending = self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, event: Event) -> bool:
        """Queues an event; whether it will be handled. Its errors go to the log."""
        with self._lock:
            if not self._closed:
                self._events.put(event)
            return not self._closed

    def call(self, event: Event) -> None:
        """Waits until an event has been handled, unless the thread has ended; raises its error."""
        done: Future[None] = Future()

        def run() -> None:
            try:
                event()
            except Exception as error:
                done.set_exception(error)
            else:
                done.set_result(None)

        if self.put(run):
            done.result()

    def end(self) -> None:
        """Ends after what is queued. On the thread itself."""
        self._ending = True

    def join(self, timeout: float) -> bool:
        """Waits for the end for so many seconds; whether it came."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        idle_at = time.monotonic() + self._idle_seconds
        while not self._ending:
            try:
                event = self._events.get(timeout=max(0.0, idle_at - time.monotonic()))
            except queue.Empty:
                event = self._idle
                idle_at = time.monotonic() + self._idle_seconds
            self._handle(event)
        with self._lock:
            self._closed = True
        while not self._events.empty():
            self._handle(self._events.get())

    def _handle(self, event: Event) -> None:
        try:
            event()
        except Exception:
            logger.exception("an event of %s failed", threading.current_thread().name)


def shutting_down() -> DespinaError:
    """What who comes too late is told."""
    return DespinaError(Code.UNAVAILABLE, "the server is shutting down")
