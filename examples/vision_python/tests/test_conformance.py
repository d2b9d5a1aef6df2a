"""The author's kit, on both backends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from despina_sdk import Array, ModelSpec
from despina_sdk.testing.conformance import BackendConformance
from despina_vision_python.image_preprocess import ImagePreprocess
from despina_vision_python.pose_postprocess import PosePostprocess


class TestImagePreprocess(BackendConformance):
    backend_class = ImagePreprocess

    @pytest.fixture
    def spec(self) -> ModelSpec:
        parameters = {"width": "12", "height": "16"}
        return ModelSpec("crops", "1", Path("crops/1"), 8, parameters=parameters)

    @pytest.fixture
    def sample(self, encode, picture) -> dict[str, Array]:
        box = np.array([[10, 5, 40, 50]], np.float32)
        return {"IMAGE": np.array([[encode(picture, "JPEG")]], object), "BOX": box}


class TestPosePostprocess(BackendConformance):
    backend_class = PosePostprocess

    @pytest.fixture
    def spec(self) -> ModelSpec:
        return ModelSpec("poses", "1", Path("poses/1"), 8)

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        heatmaps = np.random.default_rng(0).random((1, 3, 16, 12), np.float32)
        return {"HEATMAPS": heatmaps, "INVERSE_TRANSFORM": np.eye(2, 3, dtype=np.float32)[None]}
