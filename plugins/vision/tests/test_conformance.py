"""The author's kit, on both backends: the sanitizers and the server's host included."""

from __future__ import annotations

import io
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from despina_sdk import Array, ModelSpec
from despina_sdk.testing.native_conformance import NativeBackendConformance
from despina_vision import IMAGE_PREPROCESS, POSE_POSTPROCESS

SOURCE = Path(__file__).parents[1]
FORMATS = ["JPEG", "PNG", "BMP", "WEBP"]


def encoded(image_format: str, size: tuple[int, int] = (90, 60)) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(buffer, image_format)
    return buffer.getvalue()


def image_inputs(data: bytes) -> dict[str, Array]:
    box = np.array([[10, 5, 40, 50]], np.float32)
    return {"IMAGE": np.array([[data]], object), "BOX": box}


class TestImagePreprocess(NativeBackendConformance):
    native_backend = IMAGE_PREPROCESS
    source = SOURCE
    fails_on: ClassVar[dict[str, Array]] = image_inputs(encoded("JPEG")[:300])

    @pytest.fixture
    def spec(self) -> ModelSpec:
        parameters = {"width": "12", "height": "16"}
        return ModelSpec("crops", "1", Path("crops/1"), 8, parameters=parameters)

    @pytest.fixture(params=FORMATS)
    def sample(self, request: pytest.FixtureRequest) -> dict[str, Array]:
        return image_inputs(encoded(request.param))


class TestPosePostprocess(NativeBackendConformance):
    native_backend = POSE_POSTPROCESS
    source = SOURCE
    fails_on: ClassVar[dict[str, Array]] = {
        "HEATMAPS": np.zeros((1, 3, 16, 12), np.float32),
        "INVERSE_TRANSFORM": np.full((1, 2, 3), np.nan, np.float32),
    }

    @pytest.fixture
    def spec(self) -> ModelSpec:
        parameters = {"refinement": "dark"}
        return ModelSpec("poses", "1", Path("poses/1"), 8, parameters=parameters)

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        heatmaps = np.random.default_rng(0).random((1, 3, 16, 12), np.float32)
        return {"HEATMAPS": heatmaps, "INVERSE_TRANSFORM": np.eye(2, 3, dtype=np.float32)[None]}
