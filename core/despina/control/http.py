"""Requests over HTTP that change something: read, handed to their operation, answered."""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from despina.errors import DespinaError, reason
from despina.text import printed
from despina_sdk import Code

logger = logging.getLogger(__name__)


class Call(Protocol):
    """A request, as the engine gives it."""

    @property
    def operation(self) -> str:
        """That of the route."""

    @property
    def model(self) -> str:
        """That the path names, or nothing."""

    @property
    def body(self) -> bytes:
        """Of the request."""

    def answer(self, json: str = "") -> bool:
        """Answers 200; whether that came first."""

    def fail(self, code: int, message: str) -> bool:
        """Answers with an error; whether that came first."""


Operation = Callable[[Call], Any]
"""Gives a JSON value, ``None`` for an empty answer, or a future of that."""


class ControlThread:
    """Handles one request after the other; those that take their time go on by themselves."""

    def __init__(
        self, next_call: Callable[[], Call | None], operations: Mapping[str, Operation]
    ) -> None:
        """Begins.

        Args:
            next_call: waits for a request; ``None`` ends the thread.
            operations: by their name in the routes.
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
                _answer(call, result)


def model_of(call: Call) -> str:
    """The name of the model in a request's path.

    Raises:
        DespinaError: INVALID_ARGUMENT: it is not UTF-8.
    """
    try:
        return call.model
    except UnicodeDecodeError as error:
        text = "the name of the model in the path is not UTF-8"
        raise DespinaError(Code.INVALID_ARGUMENT, text) from error


def json_object(text: bytes, what: str = "the request JSON buffer") -> dict[str, Any]:
    """The object that a text holds; an empty one for no text.

    Args:
        text: JSON.
        what: the text is, for errors.

    Raises:
        DespinaError: INVALID_ARGUMENT: it is no JSON, no object, or has a name twice.
    """
    if not text:
        return {}
    try:
        # Of bytes json would take other encodings too, and halves of characters.
        value = json.loads(
            text.decode(),
            object_pairs_hook=_members,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        why = f"failed to parse {what}: {reason(error)}"
        raise DespinaError(Code.INVALID_ARGUMENT, why) from error
    if not isinstance(value, dict):
        why = f"failed to parse {what}: it is not an object"
        raise DespinaError(Code.INVALID_ARGUMENT, why)
    return value


def member(value: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    """A member of an object, or the default.

    Raises:
        DespinaError: INVALID_ARGUMENT: it is of another type.
    """
    found = value.get(name, default)
    if not isinstance(found, kind):
        wanted = {dict: "an object", bool: "a boolean", str: "a string"}[kind]
        raise DespinaError(Code.INVALID_ARGUMENT, f"Unable to parse '{name}': it is not {wanted}")
    return found


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, each in pairs:
        if name in value:
            raise ValueError(f"'{name}' is there more than once")
        value[name] = each
    return value


def _finish(call: Call, done: Future[Any]) -> None:
    error = done.exception()
    if error is None:
        _answer(call, done.result())
    else:
        _fail(call, error)


def _answer(call: Call, value: Any) -> None:
    call.answer("" if value is None else json.dumps(value, separators=(",", ":")))


def _fail(call: Call, error: BaseException) -> None:
    if isinstance(error, DespinaError):
        call.fail(error.code, printed(error.message))
        return
    logger.error("%s failed", call.operation, exc_info=error)
    call.fail(Code.INTERNAL, f"{call.operation} failed: {reason(error)}")
