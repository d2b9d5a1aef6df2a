"""Loading and unloading models, as clients ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from despina.errors import DespinaError
from despina.lifecycle.manager import Manager
from despina.lifecycle.state import ModelStatus, State
from despina_sdk import Code

NOT_EXPLICIT = "explicit model load / unload is not allowed if polling is enabled"
"""In the protocol's words, also where nothing is polled."""


class Repository:
    """The operations. They begin at once, and the future that each returns says how they ended."""

    def __init__(self, manager: Manager, *, explicit: bool) -> None:
        """Takes what carries them out.

        Args:
            manager: of the models.
            explicit: whether clients may change what is loaded.
        """
        self._manager, self._explicit = manager, explicit

    def load(self, name: str, parameters: Mapping[str, Any]) -> Future[None]:
        """Loads a model, or what has changed of it.

        Args:
            name: of the model.
            parameters: none so far.

        Raises:
            DespinaError: UNAVAILABLE: clients may not. From the future: NOT_FOUND: there is no such
                model. INVALID_ARGUMENT: it cannot be loaded, and why.
        """
        self._check_allowed()
        for key in parameters:
            text = f"unrecognized load parameter '{key}'"
            raise DespinaError(Code.INVALID_ARGUMENT, text)
        return _then(self._manager.load([name]), lambda rows: _check_loaded(name, rows))

    def unload(self, name: str, parameters: Mapping[str, Any]) -> Future[None]:
        """Unloads a model, and the ensembles that need it. One that is not there is unloaded.

        Args:
            name: of the model.
            parameters: ``unload_dependents``: not yet.

        Raises:
            DespinaError: UNAVAILABLE: clients may not.
        """
        self._check_allowed()
        return _then(self._manager.unload(name), lambda rows: None)

    def _check_allowed(self) -> None:
        if not self._explicit:
            raise DespinaError(Code.UNAVAILABLE, NOT_EXPLICIT)


def _check_loaded(name: str, rows: list[ModelStatus]) -> None:
    failed = [row for row in rows if row.state != State.READY and row.reason != "unloaded"]
    if failed:
        versions = "".join(
            f"version {row.version} is at {row.state} state: {row.reason};" for row in failed
        )
        text = f"load failed for model '{name}': {versions}"
        raise DespinaError(Code.INVALID_ARGUMENT, text)


def _then(future: Future[list[ModelStatus]], check: Any) -> Future[None]:
    """The future, once what it gives has been looked at."""
    checked: Future[None] = Future()

    def done(ended: Future[list[ModelStatus]]) -> None:
        try:
            checked.set_result(check(ended.result()))
        except Exception as error:
            checked.set_exception(error)

    future.add_done_callback(done)
    return checked
