"""Requests and batches in plain Python that behave as the engine's do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import numpy as np

from despina_sdk.backend import Capability, DetachedRequest, Instance, ParameterValue, Signature
from despina_sdk.errors import BackendError, Code
from despina_sdk.tensors import Array, ArrayLike
from despina_sdk.testing.answers import Reason, RefusedError, outputs_of, parameters_of

Parameters = Mapping[str, ParameterValue]

NO_CAPABILITY = Capability(0)
BATCH_HAS_ENDED = "the batch has ended: neither it nor its requests may be kept after execute()"


class FakeRequest:
    """A request whose answer a test can look at.

    Attributes:
        parts: what was sent with ``send``, in order.
        part_parameters: the parameters of each part.
        outputs: what it was completed with; ``None`` until then.
        answer_parameters: the parameters that it was completed with.
        error: what it was failed with; ``None`` until then.
        refusals: what its use has raised in the backend, in order.
        on_cancel: called when it is cancelled, if set.
    """

    on_cancel: Callable[[], None] | None = None

    def __init__(
        self,
        inputs: Mapping[str, Array],
        id: str = "request",
        parameters: Parameters | None = None,
        cancelled: bool = False,
        batching: bool = True,
        signature: Signature | None = None,
        *,
        capabilities: Capability = NO_CAPABILITY,
        decoupled: bool = False,
        model: str = "model",
        trace_context: Mapping[str, str] | None = None,
    ) -> None:
        """Makes the inputs contiguous, as the engine does, and gives read-only views of them.

        Args:
            inputs: with the batch axis of a batching model.
            id: what the client called it.
            parameters: those of the client.
            cancelled: whether the client has gone; may be set at any time, on any thread.
            batching: whether the model has a batch axis.
            signature: what outputs are checked against. ``None``: only their rows are checked.
            capabilities: those that the backend declares.
            decoupled: whether the model may answer in parts.
            model: the name of the model, for texts.
            trace_context: headers that hand its trace on, if it is traced.
        """
        self.id, self.batching, self.signature, self.model = id, batching, signature, model
        self.parts: list[dict[str, Array]] = []
        self.part_parameters: list[dict[str, ParameterValue]] = []
        self.outputs: dict[str, Array] | None = None
        self.answer_parameters: dict[str, ParameterValue] = {}
        self.error: BaseException | None = None
        self.refusals: list[RefusedError] = []
        self._inputs = {name: _read_only(np.asarray(each)) for name, each in inputs.items()}
        self._parameters = dict(parameters or {})
        self._trace_context = dict(trace_context or {})
        self._cancelled = cancelled
        self._capabilities, self._decoupled = capabilities, decoupled
        self._lock = threading.RLock()
        self._done = threading.Event()
        self._ended = self._detached = self._looked_at = False

    @property
    def inputs(self) -> Mapping[str, Array]:
        """Read-only views of the tensors. Who has looked at them before may do so to the end."""
        if self._looked_at:
            self._require_batch()
        else:
            self._require_mine()
            self._require_unanswered(Reason.COMPLETED)
        self._looked_at = True
        return self._inputs

    @property
    def parameters(self) -> Parameters:
        """Those of the client."""
        self._require_mine()
        self._require_unanswered(Reason.COMPLETED)
        return self._parameters

    @property
    def trace_context(self) -> Mapping[str, str]:
        """Headers that hand its trace on; empty unless it is traced."""
        self._require_mine()
        self._require_unanswered(Reason.COMPLETED)
        return self._trace_context

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more."""
        self._require_batch()
        return self._cancelled

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        self._cancelled = value
        if value and self.on_cancel is not None:
            self.on_cancel()

    @property
    def rows(self) -> int:
        """Rows of the batch that are its own."""
        return len(next(iter(self._inputs.values()))) if self.batching and self._inputs else 1

    @property
    def answered(self) -> bool:
        """Whether it has been completed or failed."""
        return self._done.is_set()

    @property
    def detached(self) -> bool:
        """Whether it has left its batch."""
        return self._detached

    def wait(self, timeout: float) -> bool:
        """Waits so many seconds for the answer; whether there is one."""
        return self._done.wait(timeout)

    def complete(
        self, outputs: Mapping[str, ArrayLike], parameters: Parameters | None = None
    ) -> None:
        """Checks the answer as the engine does, then keeps it."""
        self._require_mine()
        self._complete(outputs, parameters)

    def send(self, outputs: Mapping[str, ArrayLike], parameters: Parameters | None = None) -> None:
        """Checks the part as the engine does, then appends it to ``parts``."""
        self._require_mine()
        self._send(outputs, parameters)

    def fail(self, error: BaseException) -> None:
        """Keeps the error."""
        if not isinstance(error, BaseException):
            raise TypeError("fail() takes an exception")
        self._require_mine()
        self._fail(error)

    def detach(self) -> DetachedRequest:
        """Takes it out of its batch; the answer is still seen here."""
        with self._lock:
            self._require_mine()
            self._require_declared(Capability.ASYNC)
            self._require_unanswered(Reason.ANSWERED)
            self._detached = True
        return _FakeDetachedRequest(self)

    def end(self) -> None:
        """What the host does when ``execute`` has returned: the request may not be kept."""
        self._ended = True

    def _complete(
        self, outputs: Mapping[str, ArrayLike], parameters: Parameters | None = None
    ) -> None:
        with self._lock:
            self._require_unanswered(Reason.ANSWERED)
            taken = self._check(outputs, parameters)
            self._require_unanswered(Reason.ANSWERED)  # what was given may have been sly
            self.outputs, self.answer_parameters = taken
            self._done.set()

    def _send(self, outputs: Mapping[str, ArrayLike], parameters: Parameters | None = None) -> None:
        with self._lock:
            self._require_parts()
            self._require_unanswered(Reason.SENT_LATE)
            part, of_part = self._check(outputs, parameters)
            self._require_unanswered(Reason.SENT_LATE)
            self.parts.append(part)
            self.part_parameters.append(of_part)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._require_unanswered(Reason.ANSWERED)
            self.error = error
            self._done.set()

    def _check(
        self, outputs: Mapping[str, ArrayLike], parameters: Parameters | None = None
    ) -> tuple[dict[str, Array], dict[str, ParameterValue]]:
        rows = self.rows if self.batching else None
        try:
            taken = outputs_of(self.model, outputs, rows, self.signature)
            return taken, parameters_of(self.model, parameters)
        except RefusedError as refusal:
            self.refusals.append(refusal)
            raise

    def _require_batch(self) -> None:
        if self._ended:
            self._refuse(Reason.ENDED, Code.FAILED_PRECONDITION, BATCH_HAS_ENDED)

    def _require_mine(self) -> None:
        self._require_batch()
        if self._detached:
            text = f"request '{self.id}' has been detached"
            self._refuse(Reason.DETACHED, Code.FAILED_PRECONDITION, text)

    def _require_unanswered(self, reason: Reason) -> None:
        if self.answered:
            text = f"request '{self.id}' has been answered before"
            self._refuse(reason, Code.FAILED_PRECONDITION, text)

    def _require_declared(self, capability: Capability) -> None:
        if capability not in self._capabilities:
            text = f"the backend does not declare Capability.{capability.name}"
            self._refuse(Reason.UNDECLARED, Code.UNIMPLEMENTED, text)

    def _require_parts(self) -> None:
        self._require_declared(Capability.STREAMING)
        if not self._decoupled:
            text = f"model '{self.model}' is not decoupled: a request has one answer, "
            text += "not several parts"
            self._refuse(Reason.NOT_DECOUPLED, Code.FAILED_PRECONDITION, text)

    def _refuse(self, reason: Reason, code: Code, message: str) -> NoReturn:
        self.refusals.append(RefusedError(reason, code, message))
        raise self.refusals[-1]


class _FakeDetachedRequest:
    """A request that outlives its batch. Any thread."""

    def __init__(self, request: FakeRequest) -> None:
        self._request = request

    def __del__(self) -> None:
        if not self._request.answered:
            text = "the backend dropped the request without answering it"
            self._request._fail(BackendError(Code.INTERNAL, text))

    @property
    def id(self) -> str:
        return self._request.id

    @property
    def rows(self) -> int:
        return self._request.rows

    @property
    def parameters(self) -> Parameters:
        return self._request._parameters

    @property
    def inputs(self) -> Mapping[str, Array]:
        return self._request._inputs

    @property
    def cancelled(self) -> bool:
        return self._request._cancelled

    def complete(
        self, outputs: Mapping[str, ArrayLike], parameters: Parameters | None = None
    ) -> None:
        self._request._complete(outputs, parameters)

    def send(self, outputs: Mapping[str, ArrayLike], parameters: Parameters | None = None) -> None:
        self._request._send(outputs, parameters)

    def fail(self, error: BaseException) -> None:
        if not isinstance(error, BaseException):
            raise TypeError("fail() takes an exception")
        self._request._fail(error)

    def wait(self, timeout: float) -> bool:
        """Waits so many seconds for the answer; whether there is one."""
        return self._request.wait(timeout)


class FakeBatch:
    """A batch of fake requests.

    Attributes:
        sent: its requests, also when the backend may no longer use them.
        refusals: what its own use has raised in the backend, in order.
    """

    def __init__(self, requests: Sequence[FakeRequest]) -> None:
        """Takes at least one request, as the engine does.

        Raises:
            ValueError: there is none.
        """
        if not requests:
            raise ValueError("a batch has at least one request")
        self.sent = tuple(requests)
        self._ended = False
        self.refusals: list[RefusedError] = []

    @property
    def requests(self) -> Sequence[FakeRequest]:
        """In order of arrival."""
        self._require_alive()
        return self.sent

    @property
    def rows(self) -> int:
        """Rows of all requests together."""
        return sum(request.rows for request in self.requests)

    def gather(self, name: str) -> Array | None:
        """The rows of all requests, read-only."""
        signature, model = self.requests[0].signature, self.requests[0].model
        if signature and name not in {spec.name for spec in signature.inputs}:
            text = f"model '{model}' has no input '{name}'"
            self._refuse(RefusedError(Reason.NAME, Code.INTERNAL, text))
        inputs = [request._inputs for request in self.requests]
        parts = [each[name] for each in inputs if name in each]
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else _read_only(np.concatenate(parts))

    def scatter(self, outputs: Mapping[str, ArrayLike]) -> None:
        """Completes every unanswered request with its rows."""
        for request, part in self._split(outputs):
            request._complete(part)

    def send(self, outputs: Mapping[str, ArrayLike]) -> None:
        """Sends every unanswered request its rows."""
        for request in self._unanswered():
            request._require_parts()
        for request, part in self._split(outputs):
            request._send(part)

    def end(self) -> None:
        """What the host does when ``execute`` has returned: nothing of the batch may be kept."""
        self._ended = True
        for request in self.sent:
            request.end()

    def _unanswered(self) -> list[FakeRequest]:
        return [each for each in self.requests if not (each.answered or each.detached)]

    def _split(
        self, outputs: Mapping[str, ArrayLike]
    ) -> list[tuple[FakeRequest, dict[str, Array]]]:
        first = self.requests[0]
        rows = self.rows if first.batching else None
        try:
            taken = outputs_of(first.model, outputs, rows, first.signature)
        except RefusedError as refusal:
            self._refuse(refusal)
        at, parts, unanswered = 0, [], self._unanswered()
        for request in self.requests:
            if request in unanswered:
                own = slice(at, at + request.rows) if request.batching else ...
                parts.append((request, {name: each[own] for name, each in taken.items()}))
            at += request.rows
        return parts

    def _require_alive(self) -> None:
        if self._ended:
            self._refuse(RefusedError(Reason.ENDED, Code.FAILED_PRECONDITION, BATCH_HAS_ENDED))

    def _refuse(self, refusal: RefusedError) -> NoReturn:
        self.refusals.append(refusal)
        raise refusal


def _read_only(array: Array) -> Array:
    view = np.ascontiguousarray(array).reshape(array.shape).view()
    view.flags.writeable = False
    return view


def run_batch(
    instance: Instance,
    *inputs: Mapping[str, Array],
    batching: bool = True,
    signature: Signature | None = None,
) -> list[dict[str, Array]]:
    """Runs one batch with a request for each mapping of inputs, and returns their outputs.

    Args:
        instance: runs the batch.
        inputs: one mapping per request; one only for a model without a batch axis.
        batching: whether the model has a batch axis.
        signature: what the outputs are checked against.

    Raises:
        Exception: the first error with which a request was failed, or what left ``execute``.
        AssertionError: a request was left unanswered.
    """
    requests = [FakeRequest(each, batching=batching, signature=signature) for each in inputs]
    batch = FakeBatch(requests)
    try:
        instance.execute(batch)
    finally:
        batch.end()
    answers = []
    for request in requests:
        if request.error is not None:
            raise request.error
        assert request.outputs is not None, f"request '{request.id}' was left unanswered"
        answers.append(request.outputs)
    return answers
