from pathlib import Path
from typing import ClassVar

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
    fails_on: ClassVar = {"RAW": np.array([[b"too short"]], object)}

    @pytest.fixture
    def spec(self):
        return ModelSpec("my_backend", "1", SOURCE / "model_repository/my_backend/1")

    @pytest.fixture
    def sample(self):
        return {"RAW": np.array([[b"0123456789abcdef"]], object)}


def test_bytes_become_fractions():
    with despina.Server(SOURCE / "model_repository") as server:
        answer = server.infer("my_backend", {"RAW": np.array([[b"\x00\xff" * 8]], object)})
    assert answer["TENSOR"].tolist() == [[0, 1] * 8]
