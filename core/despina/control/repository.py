"""Loading and unloading models, as clients ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from despina.control.json_text import member
from despina.control.overrides import read_override
from despina.errors import DespinaError
from despina.lifecycle.manager import Manager
from despina.lifecycle.state import ModelStatus
from despina.lifecycle.waiters import Until
from despina_sdk import Code

NOT_EXPLICIT = "explicit model load / unload is not allowed if polling is enabled"
"""In the protocol's words, also where nothing is polled."""

MAX_NAME_BYTES = 255
"""Of a model: its name is that of a folder."""

Rows = list[ModelStatus]


class Repository:
    """The operations. They begin at once, and the future that each returns says how they ended."""

    def __init__(self, manager: Manager, *, explicit: bool, max_file_bytes: int) -> None:
        """Takes what carries them out.

        Args:
            manager: of the models.
            explicit: whether clients may change what is loaded.
            max_file_bytes: of the files that one load may bring.
        """
        self._manager, self._explicit = manager, explicit
        self._max_file_bytes = max_file_bytes

    def load(self, name: str, parameters: Mapping[str, Any]) -> Future[None]:
        """Loads a model, or what has changed of it.

        Args:
            name: of the model.
            parameters: ``config`` and ``file:PATH``: what it is loaded from instead.

        Raises:
            DespinaError: UNAVAILABLE: clients may not. INVALID_ARGUMENT: a name or parameter that
                cannot be. From the future: NOT_FOUND: there is no such model. INVALID_ARGUMENT: it
                cannot be loaded, and why; what was served before still is.
        """
        self._check_allowed()
        check_name(name)
        override = read_override(parameters, self._max_file_bytes)
        return _then(
            self._manager.load([name], override=override), lambda rows: _check_loaded(name, rows)
        )

    def unload(self, name: str, parameters: Mapping[str, Any]) -> Future[None]:
        """Unloads a model, and the ensembles that need it. One that is not there is unloaded.

        Args:
            name: of the model.
            parameters: ``unload_dependents``: whether members of an ensemble go as well that nobody
                asked for. Others are ignored, as the protocol's clients expect.

        Returns:
            A future that is done once the model takes no new requests.

        Raises:
            DespinaError: UNAVAILABLE: clients may not. INVALID_ARGUMENT: a name or parameter that
                cannot be.
        """
        self._check_allowed()
        check_name(name)
        dependents = member(parameters, "unload_dependents", bool, False)
        unloading = self._manager.unload(name, dependents=dependents, until=Until.RETIRED)
        return _then(unloading, lambda rows: None, unless=Code.NOT_FOUND)

    def _check_allowed(self) -> None:
        if not self._explicit:
            raise DespinaError(Code.UNAVAILABLE, NOT_EXPLICIT)


def check_name(name: str) -> None:
    """Refuses what cannot be the name of a model, before anything is done with it.

    Raises:
        DespinaError: INVALID_ARGUMENT.
    """
    is_path = name in (".", "..") or "/" in name
    too_long = len(name.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES
    if is_path or too_long or not name.strip() or not name.isprintable():
        raise DespinaError(Code.INVALID_ARGUMENT, f"{name[:100]!r} cannot be the name of a model")


def _check_loaded(name: str, rows: Rows) -> None:
    failed = [row for row in rows if row.failed]
    if failed:
        raise DespinaError(Code.INVALID_ARGUMENT, f"load failed for model '{name}': {_why(failed)}")
    if all(row.reason for row in rows):
        text = f"load failed for model '{name}': it was unloaded meanwhile"
        raise DespinaError(Code.UNAVAILABLE, text)


def _why(failed: Rows) -> str:
    """In the protocol's words: what could not be loaded, not what is served instead of it."""
    return "".join(
        f"version {row.version} is at UNAVAILABLE state: {row.reason};"
        if row.version
        else row.reason
        for row in failed
    )


def _then(
    future: Future[Rows], check: Callable[[Rows], None], unless: Code | None = None
) -> Future[None]:
    """The future, once what it gives has been looked at; an error of one code is no error."""
    checked: Future[None] = Future()

    def done(ended: Future[Rows]) -> None:
        try:
            check(ended.result())
        except Exception as error:
            if not (isinstance(error, DespinaError) and error.code == unless):
                checked.set_exception(error)
                return
        checked.set_result(None)

    future.add_done_callback(done)
    return checked
