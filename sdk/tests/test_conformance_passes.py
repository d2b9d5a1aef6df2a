"""Good backends of every kind pass all conformance tests that apply to them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ClassVar

import numpy as np
import pytest

from despina_sdk import (
    Array,
    Backend,
    BackendError,
    Batch,
    Capability,
    Code,
    DetachedRequest,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Signature,
    TensorSpec,
    batch_function,
)
from despina_sdk.testing.conformance import BackendConformance

X, Y = TensorSpec("X", "FP32", (-1,)), TensorSpec("Y", "FP32", (1,))


def row(*values: float) -> dict[str, Array]:
    return {"X": np.array([values], np.float32)}


@batch_function(inputs=[X], outputs=[Y])
def row_mean(X: Array) -> dict[str, Array]:  # noqa: N803 - as the tensor
    return {"Y": X.mean(axis=1, keepdims=True)}


class TestBatchFunction(BackendConformance):
    backend_class = row_mean
    exact = False

    @pytest.fixture
    def spec(self) -> ModelSpec:
        return ModelSpec("mean", "1", Path("mean/1"))

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        return row(1, 2, 4)


class _CountsModel(Model):
    signature = Signature((TensorSpec("X", "FP32", (1,)),), (Y,), 0)

    def instance(self, placement: Placement) -> Instance:
        return _CountsInstance()


class _CountsInstance(Instance):
    def execute(self, batch: Batch) -> None:
        (request,) = batch.requests
        for number in range(int(request.inputs["X"][0])):
            if request.cancelled:
                raise BackendError(Code.CANCELLED, "nobody waits")
            request.send({"Y": np.array([number], np.float32)})
            threading.Event().wait(number / 1000)
        request.complete({})


class Counts(Backend):
    name = "counts"
    capabilities = Capability.STREAMING

    def load(self, spec: ModelSpec) -> Model:
        return _CountsModel()


class TestStreaming(BackendConformance):
    backend_class = Counts
    slow: ClassVar[Any] = {"X": np.array([120], np.float32)}
    cancel_seconds = 2
    expected_parts: ClassVar[Sequence[Any]] = (
        *({"Y": np.array([number], np.float32)} for number in range(3)),
        {},
    )

    @pytest.fixture
    def spec(self) -> ModelSpec:
        config = {"model_transaction_policy": {"decoupled": True}}
        return ModelSpec("counts", "1", Path("counts/1"), config=config)

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        return {"X": np.array([3], np.float32)}


class _LaterModel(Model):
    signature = Signature((X,), (X,), 4)

    def instance(self, placement: Placement) -> Instance:
        return _LaterInstance()


class _LaterInstance(Instance):
    def __init__(self) -> None:
        self._waiting: SimpleQueue[DetachedRequest | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def execute(self, batch: Batch) -> None:
        for request in batch.requests:
            self._waiting.put(request.detach())

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _answer(self) -> None:
        while (request := self._waiting.get()) is not None:
            try:
                if (request.inputs["X"] < 0).any():
                    raise BackendError(Code.INVALID_ARGUMENT, "negative")
                request.complete({"X": 2 * request.inputs["X"]})
            except BackendError as error:
                request.fail(error)
            del request


class Later(Backend):
    name = "later"
    capabilities = Capability.ASYNC

    def load(self, spec: ModelSpec) -> Model:
        return _LaterModel()


class TestAsynchronous(BackendConformance):
    backend_class = Later
    fails_on: ClassVar[Any] = row(-1, 2)

    @pytest.fixture
    def spec(self) -> ModelSpec:
        return ModelSpec("later", "1", Path("later/1"))

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        return row(1, 2)


class TestWithParametersOfTheAuthors(TestBatchFunction):
    """The sample is tried for each of them."""

    @pytest.fixture(params=[1, 3])
    def sample(self, request: pytest.FixtureRequest) -> dict[str, Array]:
        return {"X": np.ones((request.param, 2), np.float32)}
