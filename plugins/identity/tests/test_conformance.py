"""The author's kit, on the smallest backends in Python and in C++."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from despina_identity import IdentityBackend
from despina_identity.native import IDENTITY, REPEAT, SEQUENCE
from despina_identity.repeat import RepeatBackend
from despina_sdk import Array, ModelSpec, TensorSpec
from despina_sdk.testing.conformance import BackendConformance
from despina_sdk.testing.native_conformance import NativeBackendConformance

SOURCE = Path(__file__).parents[1]


class Mirror:
    """A model of the identities."""

    @pytest.fixture
    def spec(self) -> ModelSpec:
        inputs = (TensorSpec("INPUT0", "FP32", (-1,)), TensorSpec("INPUT1", "BYTES", (1,)))
        outputs = (TensorSpec("OUTPUT0", "FP32", (-1,)), TensorSpec("OUTPUT1", "BYTES", (1,)))
        return ModelSpec("mirror", "1", Path("mirror/1"), 8, inputs, outputs)

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        return {"INPUT0": np.array([[1, 2, 3]], np.float32), "INPUT1": np.array([[b"mug"]], object)}


def elements(values: Sequence[int], delay: int = 0) -> dict[str, Array]:
    """The inputs of a request that is answered with these elements."""
    return {
        "IN": np.array(values, np.int32),
        "DELAY": np.full(len(values), delay, np.uint32),
        "WAIT": np.array([0], np.uint32),
    }


class Repeated:
    """A model of the decoupled ones."""

    slow: ClassVar[dict[str, Array]] = elements([7] * 1200, delay=5)
    cancel_seconds = 2
    fails_on: ClassVar[dict[str, Array]] = {**elements([1, 2]), "DELAY": np.array([], np.uint32)}
    expected_parts: ClassVar[Sequence[dict[str, Array]]] = (
        {"OUT": np.array([4], np.int32), "IDX": np.array([0], np.uint32)},
        {"OUT": np.array([-2], np.int32), "IDX": np.array([1], np.uint32)},
        {},
    )

    @pytest.fixture
    def spec(self) -> ModelSpec:
        config = {"model_transaction_policy": {"decoupled": True}}
        return ModelSpec("repeat", "1", Path("repeat/1"), config=config)

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        return elements([4, -2])


class TestIdentityPython(Mirror, BackendConformance):
    backend_class = IdentityBackend


class TestIdentity(Mirror, NativeBackendConformance):
    native_backend = IDENTITY
    source = SOURCE


class TestRepeatPython(Repeated, BackendConformance):
    backend_class = RepeatBackend


class TestRepeat(Repeated, NativeBackendConformance):
    native_backend = REPEAT
    source = SOURCE


class TestSequence(NativeBackendConformance):
    native_backend = SEQUENCE
    source = SOURCE
    # Nothing has started it.
    fails_on: ClassVar[dict[str, Array]] = {
        "INPUT": np.array([[1]], np.int32),
        "START": np.array([[0]], np.int32),
        "END": np.array([[0]], np.int32),
        "READY": np.array([[1]], np.int32),
        "CORRID": np.array([[2]], np.uint64),
    }

    @pytest.fixture
    def spec(self) -> ModelSpec:
        return ModelSpec("sums", "1", Path("sums/1"), 8)

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        """A sequence of its own, so that the same answer comes each time."""
        one = np.array([[1]], np.int32)
        return {**self.fails_on, "START": one, "END": one, "CORRID": np.array([[1]], np.uint64)}
