"""The server inside a Python program, without front ends."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from despina.engine import Load, LoadPlan
from despina.engine.streams import parts, parts_async
from despina.errors import DespinaError
from despina.lifecycle.state import ModelStatus
from despina.runtime import Runtime, failures
from despina.settings import resolve
from despina_sdk import Array, ArrayLike, Backend, Code
from despina_sdk.backend import ParameterValue

logger = logging.getLogger(__name__)

StrPath = str | os.PathLike[str]
ModelDeclaration = type[Backend] | tuple[type[Backend], Mapping[str, Any]]


class Server:
    """Serves models to this program. Any thread.

    ::

        with Server("model_repository") as server:
            outputs = server.infer("scale", {"X": numpy.ones((1, 4), numpy.float32)})

    A class of a notebook becomes a model without a repository::

        Server(models={"scale": (Scale, {"max_batch_size": 8})})
    """

    def __init__(
        self,
        model_repository: StrPath | Sequence[StrPath] = (),
        *,
        models: Mapping[str, ModelDeclaration] | None = None,
        **settings: Any,
    ) -> None:
        """Loads all models, or with ``model_control_mode="explicit"`` those of ``load_model``.

        With ``model_control_mode="poll"`` the folders are followed: what has changed is loaded.

        Args:
            model_repository: one or more folders of models.
            models: a backend class for each model name; or the class and the model's
                configuration, in its JSON form.
            settings: as for ``despina serve``, with underscores. Those of front ends and of the
                log are of no use here: logging is the program's, under the logger ``despina``.

        Raises:
            DespinaError: a setting cannot be, or, unless ``exit_on_error=False``, a model cannot
                be loaded.
        """
        if isinstance(model_repository, str | os.PathLike):
            model_repository = [model_repository]
        declared = {
            name: each if isinstance(each, tuple) else (each, {})
            for name, each in (models or {}).items()
        }
        _check_classes([backend for backend, _ in declared.values()])
        settings["model_repository"] = tuple(os.fspath(path) for path in model_repository)
        self._runtime = Runtime(resolve(settings, {})[0], declared)
        self._closed = False
        # An engine that is left running would outlive the interpreter's threads.
        atexit.register(self._close_at_exit)
        try:
            self._start()
        except BaseException:
            try:
                self.close()
            except Exception:  # the first error is the one to tell
                logger.exception("the server that did not start could not be closed")
            raise

    def _start(self) -> None:
        rows = self._runtime.load_initial().result()
        if self._runtime.settings.exit_on_error and (why := failures(rows)):
            raise DespinaError(Code.FAILED_PRECONDITION, why)
        self._runtime.manager.open()

    def __enter__(self) -> Self:
        """The server itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the server."""
        self.close()

    def infer(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike],
        outputs: Sequence[str] | None = None,
        *,
        version: int | None = None,
        request_id: str = "",
        parameters: Mapping[str, ParameterValue] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Array]:
        """Runs one request and waits for the answer.

        Args:
            model: its name.
            inputs: one array per input, with the batch axis of a batching model. BYTES are object
                arrays of ``bytes`` or ``str``; BF16 are bit patterns in ``uint16``.
            outputs: names of those wanted; all by default.
            version: the latest that is ready by default.
            request_id: shown to backends and in errors.
            parameters: custom parameters for the backend.
            timeout: seconds to wait.

        Returns:
            One array per output, read-only.

        Raises:
            DespinaError: NOT_FOUND for an unknown model, INVALID_ARGUMENT for inputs that do not
                fit it, UNAVAILABLE for a full queue, DEADLINE_EXCEEDED after the timeout, or what
                the backend answered.
        """
        return self._runtime.engine.infer(
            model,
            inputs,
            version=version,
            outputs=outputs,
            request_id=request_id,
            parameters=parameters,
            timeout=timeout,
        )

    def stream(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike],
        outputs: Sequence[str] | None = None,
        *,
        version: int | None = None,
        request_id: str = "",
        parameters: Mapping[str, ParameterValue] | None = None,
        timeout: float | None = None,
    ) -> Iterator[dict[str, Array]]:
        """Runs one request whose answer may come in parts, as that of a decoupled model does.

        Args:
            model, inputs, outputs, version, request_id, parameters: as for ``infer``.
            timeout: seconds to wait for each part.

        Returns:
            An iterator over the parts, each as ``infer`` returns it. The request has been sent when
            it is returned; closing it cancels the request.

        Raises:
            DespinaError: as ``infer``; what the backend answers, from the iterator.
        """
        stream = self._runtime.engine.stream(
            model,
            inputs,
            version=version,
            outputs=outputs,
            request_id=request_id,
            parameters=parameters,
            timeout=timeout,
        )
        return parts(stream)

    async def infer_async(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike],
        outputs: Sequence[str] | None = None,
        *,
        version: int | None = None,
        request_id: str = "",
        parameters: Mapping[str, ParameterValue] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Array]:
        """As ``infer``, on the running event loop; cancelling the task cancels the request."""
        stream = self._runtime.engine.stream(
            model,
            inputs,
            version=version,
            outputs=outputs,
            request_id=request_id,
            parameters=parameters,
            in_parts=False,
        )
        async with aclosing(parts_async(stream, timeout)) as answers:
            async for answer in answers:
                return answer
        return {}

    def stream_async(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike],
        outputs: Sequence[str] | None = None,
        *,
        version: int | None = None,
        request_id: str = "",
        parameters: Mapping[str, ParameterValue] | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[dict[str, Array], None]:
        """As ``stream``, for ``async for``."""
        stream = self._runtime.engine.stream(
            model,
            inputs,
            version=version,
            outputs=outputs,
            request_id=request_id,
            parameters=parameters,
        )
        return parts_async(stream, timeout)

    def load(self, model: str) -> None:
        """Loads a model, and the members of an ensemble, or loads what has changed of them.

        Raises:
            DespinaError: NOT_FOUND: there is no such model. INVALID_ARGUMENT: it cannot be
                loaded, and why.
        """
        rows = self._runtime.manager.load([model]).result()
        if why := failures([row for row in rows if row.failed]):
            raise DespinaError(Code.INVALID_ARGUMENT, f"load failed for {why}")

    def unload(self, model: str) -> None:
        """Unloads a model after its requests, and before it the ensembles that need it.

        Raises:
            DespinaError: NOT_FOUND: the server does not know it.
        """
        self._runtime.manager.unload(model).result()

    @property
    def ready(self) -> bool:
        """Whether all models are served; those that were unloaded do not count."""
        return not self._closed and self._runtime.manager.is_ready()

    def models(self) -> list[ModelStatus]:
        """All versions that the server knows, by name and version."""
        return self._runtime.manager.statuses()

    def statistics(self, model: str | None = None, version: int | None = None) -> dict[str, Any]:
        """Counts and times of all models, or of one, as ``/v2/models/stats`` has them.

        Raises:
            DespinaError: NOT_FOUND: there is no such model.
        """
        return self._runtime.engine.statistics(model, version)

    def description(self, model: str, version: int | None = None) -> dict[str, Any]:
        """What ``/v2/models/MODEL`` has, and the configuration that is served as ``config``.

        Raises:
            DespinaError: NOT_FOUND: there is no such model.
        """
        return self._runtime.engine.description(model, version)

    def put_load(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike],
        plan: LoadPlan,
        *,
        version: int | None = None,
    ) -> Load:
        """Begins to submit one request again and again, and times it, as ``despina bench`` does.

        Args:
            model, inputs, version: as for ``infer``.
            plan: when, and how often.

        Raises:
            DespinaError: as ``infer``, for what can be told before the first request.
        """
        return self._runtime.engine.put_load(model, inputs, plan, version=version)

    def close(self) -> None:
        """Waits for requests that run, unloads all models, and ends. A second call does nothing.

        Raises:
            DespinaError: DEADLINE_EXCEEDED: requests still run after ``exit_timeout_secs``; they
                are not cut off, and ``close`` may be called again.
        """
        if self._closed:
            return
        timeout = self._runtime.settings.exit_timeout_secs
        if not self._runtime.finish(timeout):
            text = f"requests or loads are still running after {timeout:g} s"
            raise DespinaError(Code.DEADLINE_EXCEEDED, text)
        self._closed = True
        atexit.unregister(self._close_at_exit)

    def _close_at_exit(self) -> None:
        """Ends the process if a model does not: its thread must not meet an ended interpreter."""
        try:
            self.close()
        except DespinaError as error:
            logger.error("%s: the process ends without them", error)
            sys.stdout.flush()
            os._exit(1)


def _check_classes(classes: Sequence[type[Backend]]) -> None:
    """The registry knows backends by name, so that one name is one class."""
    by_name = {each.name: each for each in classes}
    for each in classes:
        if by_name[each.name] is not each:
            text = f"two classes are called '{each.name}'"
            raise DespinaError(Code.INVALID_ARGUMENT, text)
