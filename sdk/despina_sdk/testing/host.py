"""What the server does around a backend, on threads as the server's: for the conformance tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

from despina_sdk.backend import Backend, Instance, Model, ModelSpec, ParameterValue, Placement
from despina_sdk.errors import BackendError, Code
from despina_sdk.tensors import Array, ArrayLike
from despina_sdk.testing.fakes import FakeBatch, FakeRequest

T = TypeVar("T")


class BlockedError(AssertionError):
    """A call of the backend has not returned in the time that the kit gives it."""


class UnansweredError(AssertionError):
    """A detached request is not answered in the time that the kit gives it."""


class StarvedRequest(FakeRequest):
    """A request whose answer the server has no memory for."""

    @staticmethod
    def no_memory() -> BackendError:
        """What its answer is refused with."""
        text = "no memory for the answer (part of the test)"
        return BackendError(Code.RESOURCE_EXHAUSTED, text)

    def _complete(
        self,
        outputs: Mapping[str, ArrayLike],
        parameters: Mapping[str, ParameterValue] | None = None,
    ) -> None:
        raise self.no_memory()

    _send = _complete


class Lane:
    """A thread that makes calls, one at a time, in order."""

    def __init__(self, name: str, time_limit: float) -> None:
        """Starts it.

        Args:
            name: of the thread.
            time_limit: seconds that a call may take.
        """
        self._time_limit = time_limit
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.blocked = False
        # A backend that never returns must not keep the process of the tests alive.
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Has it call a function; whatever leaves it is in the future."""
        future: Future[T] = Future()

        def task() -> None:
            try:
                future.set_result(function(*arguments))
            except BaseException as error:  # SystemExit too is one call's affair
                future.set_exception(error)

        self._tasks.put(task)
        return future

    def call(self, what: str, function: Callable[..., T], *arguments: Any) -> T:
        """Has it call a function; what the function returns or raises.

        Raises:
            BlockedError: the time is up; the thread is given up.
        """
        return self.result(what, self.submit(function, *arguments))

    def result(self, what: str, future: Future[T]) -> T:
        """As ``call``, of a call that was submitted."""
        if not wait([future], self._time_limit).done:
            self.blocked = True
            raise BlockedError(f"{what} has not returned after {self._time_limit:g} s")
        return future.result()

    def close(self) -> None:
        """Ends the thread, unless it is stuck in a call."""
        self._tasks.put(None)
        if not self.blocked:
            self.thread.join(self._time_limit)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
            del task  # it would keep what it has called until the next one


class Worker:
    """An instance on a thread of its own."""

    def __init__(self, host: Host, model: Model, placement: Placement) -> None:
        """Has the model make the instance."""
        self._host, self._model = host, model
        self._lane = Lane(placement.name, host.time_limit)
        self._instance: Instance | None = None
        try:
            self._instance = self._lane.call("Model.instance", model.instance, placement)
        except BaseException:
            self._lane.close()
            raise

    @property
    def instance(self) -> Instance:
        """The backend's own object."""
        assert self._instance is not None, "the instance is closed"
        return self._instance

    @property
    def blocked(self) -> bool:
        """Whether some call of the instance does not return."""
        return self._lane.blocked

    def request(
        self,
        inputs: Mapping[str, Array],
        name: str = "request",
        kind: type[FakeRequest] = FakeRequest,
    ) -> FakeRequest:
        """A request for the model."""
        return kind(
            inputs,
            name,
            batching=self._host.rows_at_most(self._model) > 0,
            signature=self._model.signature,
            capabilities=self._host.backend.capabilities,
            decoupled=self._host.is_decoupled(self._model),
            model=self._host.spec.name,
        )

    def run(self, *inputs: Mapping[str, Array]) -> list[FakeRequest]:
        """Runs one batch with a request for each mapping, until all are answered.

        Raises:
            BlockedError: ``execute`` takes too long.
            UnansweredError: a detached request stays unanswered.
        """
        requests = [self.request(each, f"request {i}") for i, each in enumerate(inputs)]
        self.execute(FakeBatch(requests))
        return requests

    def execute(self, batch: FakeBatch) -> None:
        """As ``run``, for a batch that the caller has made."""
        self.finish(self.start(batch), batch)

    def start(self, batch: FakeBatch) -> Future[None]:
        """Runs a batch; the future is done when ``execute`` has returned or raised."""
        return self._lane.submit(_execute, self.instance, batch)

    def finish(self, execution: Future[None], batch: FakeBatch) -> None:
        """Waits for a batch that was started, and for the answers of its detached requests."""
        self._lane.result("Instance.execute", execution)
        deadline = time.monotonic() + self._host.time_limit
        for each in batch.sent:
            if not each.wait(max(0.0, deadline - time.monotonic())):
                limit = f"{self._host.time_limit:g} s"
                raise UnansweredError(f"'{each.id}' was detached and not answered in {limit}")

    def cancel(self, request: FakeRequest) -> None:
        """Has the client of a request go, of which the backend may be told.

        Raises:
            BlockedError: it does not return from that.
        """
        lane = Lane("canceller", self._host.time_limit)
        try:
            lane.call("the cancellation of a request", setattr, request, "cancelled", True)
        except BlockedError:
            self._lane.blocked = True  # for the host, which closes nothing that is stuck
            raise
        finally:
            lane.close()

    def close(self) -> None:
        """Closes the instance, on its thread, and ends the thread."""
        instance, self._instance = self._instance, None
        try:
            if instance is not None:
                self._lane.call("Instance.close", instance.close)
        finally:
            self._lane.close()

    def abandon(self) -> None:
        """Ends the thread, if it can end, and leaves the instance as it is."""
        self._lane.close()


class Host:
    """A backend, its models and their instances: made, used and closed as the server does."""

    def __init__(
        self,
        backend_class: type[Backend],
        options: Mapping[str, str],
        spec: ModelSpec,
        *,
        device: str = "cpu",
        time_limit: float = 10.0,
    ) -> None:
        """Makes the backend."""
        self.spec, self.device, self.time_limit = spec, device, time_limit
        self._models: list[Model] = []
        self._workers: list[Worker] = []
        self._control = Lane("control", time_limit)
        try:
            self.backend = self._control.call("Backend()", backend_class, options)
        except BaseException:
            self._control.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def load(self) -> Model:
        """Loads the model, on a thread for that; again, if it is called again."""
        loader = Lane("loader", self.time_limit)
        try:
            model = loader.call("Backend.load", self.backend.load, self.spec)
        finally:
            loader.close()
        self._models.append(model)
        return model

    def start(self, model: Model, count: int = 1) -> list[Worker]:
        """Makes instances of a model, each on its own thread."""
        made = []
        for ordinal in range(count):
            name = f"{self.spec.name}_{ordinal}"
            made.append(Worker(self, model, Placement(name, ordinal, self.device)))
            self._workers.append(made[-1])
        return made

    def rows_at_most(self, model: Model) -> int:
        """The largest batch of a model; 0 without a batch axis."""
        rows = model.signature.max_batch_size
        return self.spec.max_batch_size if rows is None else rows

    def is_decoupled(self, model: Model) -> bool:
        """Whether answers of a model may come in parts."""
        policy = self.spec.config.get("model_transaction_policy", {})
        return bool(policy.get("decoupled", model.signature.decoupled))

    def unload(self, model: Model) -> None:
        """Closes the instances of a model, then the model."""
        for worker in [each for each in self._workers if each._model is model]:
            self._workers.remove(worker)
            worker.close()
        self._models = [each for each in self._models if each is not model]
        self._control.call("Model.close", model.close)

    def close(self) -> None:
        """Unloads all models, then closes the backend; a backend that is stuck is left alone."""
        try:
            if any(worker.blocked for worker in self._workers):
                return
            for model in self._models:
                self.unload(model)
            self._control.call("Backend.close", self.backend.close)
        finally:
            for worker in self._workers:
                worker.abandon()
            self._control.close()


def _execute(instance: Instance, batch: FakeBatch) -> None:
    """Runs ``execute`` and answers what it leaves unanswered, as the server does."""
    error: BaseException = BackendError(Code.INTERNAL, "the model returned without answering")
    try:
        instance.execute(batch)
    except BaseException as raised:  # whatever it is, it is the requests' answer
        error = raised
    for request in batch.sent:
        if not (request.answered or request.detached):
            request.fail(error)
    batch.end()
