from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from despina_sdk import ModelSpec, Placement
from despina_sdk.testing import run_batch
from despina_sdk.testing.conformance import BackendConformance

from my_backend import my_backend

SPEC = ModelSpec("my_backend", "1", Path("model_repository/my_backend/1"))


class TestConformance(BackendConformance):
    """Holds what every backend has to, on one sample."""

    backend_class = my_backend
    fails_on: ClassVar = {"RAW": np.array([[b"too short"]], object)}

    @pytest.fixture
    def spec(self):
        return SPEC

    @pytest.fixture
    def sample(self):
        return {"RAW": np.array([[b"0123456789abcdef"]], object)}


def test_bytes_become_fractions():
    instance = my_backend({}).load(SPEC).instance(Placement("my_backend_0"))
    (answer,) = run_batch(instance, {"RAW": np.array([[b"\x00\xff" * 8]], object)})
    assert answer["TENSOR"].tolist() == [[0, 1] * 8]
