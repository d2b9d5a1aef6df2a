"""A few threads that run jobs, and all threads of the life cycle.

Unlike those of ``concurrent.futures`` they are daemons and still run jobs while ``atexit``
handlers do their work, so that models can be unloaded at the end of a program.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from despina.lifecycle.events import EventThread

logger = logging.getLogger(__name__)


class Workers:
    """Runs jobs in the order in which they came, ``count`` at a time."""

    def __init__(self, count: int, name: str) -> None:
        """Starts the threads."""
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{index}", daemon=True)
            for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Queues a job."""
        self._jobs.put(job)

    def stop(self) -> None:
        """Lets the threads end after the jobs that are queued; does not wait for them."""
        for _ in self._threads:
            self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                logger.exception("a job of %s failed", threading.current_thread().name)
            del job  # and what it refers to: at the end of the program it would go too late


class Threads:
    """Makes the threads of the life cycle; tests have others."""

    def events(self, name: str, idle: Callable[[], None], idle_seconds: float) -> EventThread:
        """As ``EventThread``."""
        return EventThread(name, idle, idle_seconds)

    def workers(self, count: int, name: str) -> Workers:
        """As ``Workers``."""
        return Workers(count, name)
