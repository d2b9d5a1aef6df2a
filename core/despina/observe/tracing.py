"""Takes finished traces from the engine and hands them to who writes them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from despina.engine import Engine, Trace

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""How often the engine is asked: nothing wakes up for a trace, which would cost its request."""


class TraceWriter(Protocol):
    """Where traces go."""

    def write(self, traces: Sequence[Trace]) -> None:
        """Takes finished traces, each with those of its steps."""

    def close(self) -> None:
        """Ends; what was taken is written then."""


class TraceThread:
    """Takes traces on a thread of its own. What comes too fast for it is dropped, and said so."""

    def __init__(self, engine: Engine, writer: TraceWriter) -> None:
        """Begins."""
        self._engine, self._writer = engine, writer
        self._stopped = threading.Event()
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Writes what there is and ends, within so many seconds or later by itself."""
        self._stopped.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            self._write()
        self._write()
        try:
            self._writer.close()
        except Exception:
            logger.exception("the traces could not be closed")

    def _write(self) -> None:
        traces = self._engine.take_traces()
        dropped = self._engine.traces_dropped()
        if dropped > self._dropped:
            text = "%d traces were dropped: requests are traced faster than traces are written"
            logger.warning(text, dropped - self._dropped)
            self._dropped = dropped
        if not traces:
            return
        try:
            self._writer.write(traces)
        except Exception as error:
            logger.exception("of %d traces, some could not be written: %s", len(traces), error)
