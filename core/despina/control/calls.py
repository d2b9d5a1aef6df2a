"""Requests that change something, from a front end to their operation and back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Protocol

from despina.errors import DespinaError, reason
from despina.text import printed
from despina_sdk import Code

logger = logging.getLogger(__name__)


class Call(Protocol):
    """A request, as the engine gives it."""

    @property
    def operation(self) -> str:
        """That of the route over HTTP, or the RPC over gRPC."""

    @property
    def model(self) -> str:
        """That the path names, or nothing."""

    @property
    def body(self) -> bytes:
        """Of the request."""

    def answer(self, content: bytes = b"") -> bool:
        """Answers without an error; whether that came first."""

    def fail(self, code: int, message: str) -> bool:
        """Answers with an error; whether that came first."""


Operation = Callable[[Call], "bytes | Future[None]"]
"""Gives the content of the answer, or a future after which the answer is empty."""


class ControlThread:
    """Handles one request after the other; those that take their time go on by themselves."""

    def __init__(
        self, next_call: Callable[[], Call | None], operations: Mapping[str, Operation]
    ) -> None:
        """Begins.

        Args:
            next_call: waits for a request; ``None`` ends the thread.
            operations: by the names that calls have.
        """
        self._next_call, self._operations = next_call, operations
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits for the end, which ``next_call`` brings."""
        self._thread.join()

    def _run(self) -> None:
        while (call := self._next_call()) is not None:
            self._handle(call)

    def _handle(self, call: Call) -> None:
        try:
            result = self._operations[call.operation](call)
        except BaseException as error:  # SystemExit of a plugin too: the next request needs us
            _fail(call, error)
        else:
            if isinstance(result, Future):
                result.add_done_callback(lambda done: _finish(call, done))
            else:
                call.answer(result)


def _finish(call: Call, done: Future[None]) -> None:
    error = done.exception()
    if error is None:
        call.answer()
    else:
        _fail(call, error)


def _fail(call: Call, error: BaseException) -> None:
    if isinstance(error, DespinaError):
        call.fail(error.code, printed(error.message))
        return
    logger.error("%s failed", call.operation, exc_info=error)
    call.fail(Code.INTERNAL, f"{call.operation} failed: {reason(error)}")
