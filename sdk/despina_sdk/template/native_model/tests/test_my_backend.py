from pathlib import Path

import numpy as np
import pytest
from despina_sdk import ModelSpec
from despina_sdk.testing.native_conformance import NativeBackendConformance

from my_backend import my_backend

despina = pytest.importorskip("despina", reason="the server is not installed")

SOURCE = Path(__file__).parents[1]


class TestConformance(NativeBackendConformance):
    """Holds what every backend has to, on one sample; once more under the sanitizers."""

    native_backend = my_backend
    source = SOURCE

    @pytest.fixture
    def spec(self):
        return ModelSpec("my_backend", "1", SOURCE / "model_repository/my_backend/1")

    @pytest.fixture
    def sample(self):
        return {"X": np.array([[1, 2, 3, 4]], np.float32)}


def test_rows_are_multiplied():
    with despina.Server(SOURCE / "model_repository") as server:
        answer = server.infer(
            "my_backend", {"X": np.array([[1, 2, 3, 4], [0, 0, 5, 6]], np.float32)}
        )
    assert answer["Y"].tolist() == [[4, 6], [5, 6]]
