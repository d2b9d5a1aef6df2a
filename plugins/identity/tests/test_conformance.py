"""The author's kit, on the smallest backend."""

from pathlib import Path

import numpy as np
import pytest

from despina_identity import IdentityBackend
from despina_sdk import Array, ModelSpec, TensorSpec
from despina_sdk.testing.conformance import BackendConformance


class TestIdentityPython(BackendConformance):
    backend_class = IdentityBackend

    @pytest.fixture
    def spec(self) -> ModelSpec:
        inputs = (TensorSpec("INPUT0", "FP32", (-1,)), TensorSpec("INPUT1", "BYTES", (1,)))
        outputs = (TensorSpec("OUTPUT0", "FP32", (-1,)), TensorSpec("OUTPUT1", "BYTES", (1,)))
        return ModelSpec("mirror", "1", Path("mirror/1"), 8, inputs, outputs)

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        return {"INPUT0": np.array([[1, 2, 3]], np.float32), "INPUT1": np.array([[b"mug"]], object)}
