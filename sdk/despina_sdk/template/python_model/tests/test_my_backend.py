from pathlib import Path

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

    @pytest.fixture
    def spec(self):
        return SPEC

    @pytest.fixture
    def sample(self):
        return {"X": np.array([[1, 2, 3, 4]], np.float32)}


def test_rows_are_multiplied():
    instance = my_backend({}).load(SPEC).instance(Placement("my_backend_0"))
    (answer,) = run_batch(instance, {"X": np.array([[1, 2, 3, 4], [0, 0, 5, 6]], np.float32)})
    assert answer["Y"].tolist() == [[4, 6], [5, 6]]
