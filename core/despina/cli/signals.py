"""What signals do to a server, and to other commands.

SIGINT and SIGTERM: the first asks the server to end, the second ends it at once. SIGHUP.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from types import FrameType


class Signals:
    """Takes over both signals. To be used on the main thread.

    The handler writes to a pipe: waiting for a lock that the handler takes could block for ever.
    """

    def __init__(self) -> None:
        """Installs the handlers."""
        self.received = 0
        self._read, self._write = os.pipe()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the first signal; whether it has come.

        Args:
            timeout: seconds; ``None`` waits for as long as it takes.
        """
        ready, _, _ = select.select([self._read], [], [], timeout)
        return bool(ready)

    def on_hangup(self, action: Callable[[], None]) -> None:
        """Calls something on the main thread at each SIGHUP, which ends nothing then."""
        signal.signal(signal.SIGHUP, lambda number, frame: action())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number
        os.write(self._write, b"\0")


def exit_on_sigterm() -> None:
    """Ends a command that has started processes as Ctrl-C does: with them, and its folders.

    For commands that import no plugin, which might take the exit for its own.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
