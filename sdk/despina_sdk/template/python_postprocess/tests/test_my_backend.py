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
        return {"SCORES": np.array([[0.25, 0.5, 0.125]], np.float32)}


def test_the_best_is_found():
    instance = my_backend({}).load(SPEC).instance(Placement("my_backend_0"))
    (answer,) = run_batch(
        instance, {"SCORES": np.array([[0.25, 0.5, 0.125], [3, 2, 1]], np.float32)}
    )
    assert answer["INDEX"].tolist() == [[1], [0]]
    assert answer["SCORE"].tolist() == [[0.5], [3]]
