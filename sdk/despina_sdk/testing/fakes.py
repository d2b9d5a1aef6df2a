"""Requests and batches in plain Python that behave as the engine's do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from despina_sdk.backend import Instance, ParameterValue, Signature
from despina_sdk.errors import BackendError, Code
from despina_sdk.tensors import Array


def _read_only(array: Array) -> Array:
    view = np.ascontiguousarray(array).reshape(array.shape).view()
    view.flags.writeable = False
    return view


@dataclass
class FakeRequest:
    """A request whose answer a test can look at: ``outputs`` or ``error``, once answered."""

    inputs: Mapping[str, Array]
    id: str = "request"
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    cancelled: bool = False
    batching: bool = True
    signature: Signature | None = None
    outputs: dict[str, Array] | None = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.inputs = {name: _read_only(np.asarray(a)) for name, a in self.inputs.items()}

    @property
    def rows(self) -> int:
        """Rows of the batch that are its own."""
        if not self.batching:
            return 1
        return len(next(iter(self.inputs.values()))) if self.inputs else 1

    @property
    def answered(self) -> bool:
        """Whether ``complete`` or ``fail`` has been called."""
        return self.outputs is not None or self.error is not None

    def complete(self, outputs: Mapping[str, Array]) -> None:
        """Checks the outputs as the engine does, then keeps them."""
        self._answer()
        check_outputs(outputs, self.rows if self.batching else None, self.signature)
        self.outputs = dict(outputs)

    def fail(self, error: BaseException) -> None:
        """Keeps the error."""
        self._answer()
        self.error = error

    def _answer(self) -> None:
        if self.answered:
            raise BackendError(
                Code.FAILED_PRECONDITION, f"request '{self.id}' has been answered before"
            )


def check_outputs(
    outputs: Mapping[str, Array], rows: int | None, signature: Signature | None
) -> None:
    """Raises what the engine raises for outputs that do not fit the model."""
    specs = {spec.name: spec for spec in signature.outputs} if signature else {}
    for name, array in outputs.items():
        if rows is not None and (array.ndim == 0 or len(array) != rows):
            got = len(array) if array.ndim else "no"
            raise BackendError(
                Code.INTERNAL, f"output '{name}' has {got} rows, the batch has {rows}"
            )
        if signature is None:
            continue
        if name not in specs:
            raise BackendError(Code.INTERNAL, f"the model has no output '{name}'")
        expected = specs[name].dtype
        if array.dtype != expected and not (expected.kind == "O" and array.dtype.kind in "SU"):
            raise BackendError(
                Code.INTERNAL,
                f"output '{name}' is {array.dtype}, the model's signature says {expected}",
            )


@dataclass
class FakeBatch:
    """A batch of fake requests."""

    requests: Sequence[FakeRequest]

    @property
    def rows(self) -> int:
        """Rows of all requests together."""
        return sum(request.rows for request in self.requests)

    def gather(self, name: str) -> Array | None:
        """The rows of all requests, read-only."""
        signature = self.requests[0].signature
        if signature and name not in {spec.name for spec in signature.inputs}:
            raise BackendError(Code.INTERNAL, f"the model has no input '{name}'")
        parts = [request.inputs[name] for request in self.requests if name in request.inputs]
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else _read_only(np.concatenate(parts))

    def scatter(self, outputs: Mapping[str, Array]) -> None:
        """Completes every unanswered request with its rows."""
        first = self.requests[0]
        check_outputs(outputs, self.rows if first.batching else None, first.signature)
        at = 0
        for request in self.requests:
            rows = request.rows
            if not request.answered:
                part = {n: a[at : at + rows] if request.batching else a for n, a in outputs.items()}
                request.complete(part)
            at += rows


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
        The first error with which a request was failed, or what left ``execute``.
        AssertionError: a request was left unanswered.
    """
    requests = [FakeRequest(each, batching=batching, signature=signature) for each in inputs]
    instance.execute(FakeBatch(requests))
    answers = []
    for request in requests:
        if request.error is not None:
            raise request.error
        assert request.outputs is not None, f"request '{request.id}' was left unanswered"
        answers.append(request.outputs)
    return answers
