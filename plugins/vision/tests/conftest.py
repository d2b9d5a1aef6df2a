"""What the tests share. They know the backends by their contract only, through entry points.

There are two implementations of that contract, which all tests run with: the plugin's own, and the
one of ``examples/vision_python`` where that is installed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from despina_sdk import Array, Backend, Instance, Model, ModelSpec, Placement, TensorSpec
from despina_sdk.native import NativeBackend
from despina_sdk.testing import FakeBatch, FakeRequest
from despina_sdk.testing.native import backend_class

Load = Callable[..., Model]
Run = Callable[..., Mapping[str, Array]]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real models and photographs."""
    checkout = Path(__file__).resolve().parents[3]
    path = Path(os.environ.get("DESPINA_SHARED_DATA", checkout.parent / "shared" / "data"))
    if not (path / "models").is_dir():
        pytest.skip(f"no models and photographs at {path}; DESPINA_SHARED_DATA names another place")
    return path


@pytest.fixture(scope="session", params=["native", "python"])
def find_backend(request: pytest.FixtureRequest) -> Callable[[str], type[Backend]]:
    """The class of a backend by its name, of one of the implementations."""
    suffix = {"native": "", "python": "_python"}[request.param]

    def find(name: str) -> type[Backend]:
        found = entry_points(group="despina.backends", name=name + suffix)
        if not found:
            pytest.skip(f"no backend '{name}{suffix}' is installed")
        (entry_point,) = found
        backend = entry_point.load()
        return backend_class(backend.path()) if isinstance(backend, NativeBackend) else backend

    return find


@pytest.fixture(scope="session")
def load(find_backend: Callable[[str], type[Backend]]) -> Load:
    """Loads a model: ``load(backend, max_batch_size=8, inputs=(), outputs=(), **parameters)``."""

    def load_model(
        backend: str,
        *,
        max_batch_size: int = 8,
        inputs: tuple[TensorSpec, ...] = (),
        outputs: tuple[TensorSpec, ...] = (),
        **parameters: str,
    ) -> Model:
        spec = ModelSpec(
            name="model_under_test",
            version="1",
            path=Path("absent"),
            max_batch_size=max_batch_size,
            inputs=inputs,
            outputs=outputs,
            parameters=parameters,
        )
        return find_backend(backend)({}).load(spec)

    return load_model


@pytest.fixture(scope="session")
def make_instance(load: Load) -> Callable[..., Instance]:
    """As ``load``, and makes an instance of it."""

    def make(backend: str, **arguments: Any) -> Instance:
        return load(backend, **arguments).instance(Placement("model_under_test_0"))

    return make


@pytest.fixture(scope="session")
def execute() -> Callable[..., list[FakeRequest]]:
    """Runs one batch of a request per mapping of inputs; gives the answered requests."""

    def run(instance: Instance, *inputs: Mapping[str, Array], **settings: Any) -> list[FakeRequest]:
        requests = [FakeRequest(each, **settings) for each in inputs]
        instance.execute(FakeBatch(requests))
        assert all(request.answered for request in requests)
        return requests

    return run


@pytest.fixture(scope="session")
def preprocess(make_instance: Callable[..., Instance], execute: Callable[..., Any]) -> Run:
    """The outputs for one image, without the batch axis.

    ``preprocess(data, box=None, size=(width, height), **parameters)``; raw pixels in height,
    width, channel order unless the parameters say otherwise.
    """

    def run(
        data: bytes, box: Any = None, *, size: tuple[int, int], **parameters: str
    ) -> Mapping[str, Array]:
        chosen = {"datatype": "UINT8", "layout": "NHWC", **parameters}
        instance = make_instance(
            "image_preprocess", width=str(size[0]), height=str(size[1]), **chosen
        )
        inputs = {"IMAGE": np.array([[data]], object)}
        if box is not None:
            inputs["BOX"] = np.array([box], np.float32)
        (request,) = execute(instance, inputs)
        if request.error is not None:
            raise request.error
        return {name: output[0] for name, output in request.outputs.items()}

    return run


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Encodes an RGB array or a Pillow image: ``encode(picture, "JPEG", quality=90)``."""

    def run(picture: Any, image_format: str, **options: Any) -> bytes:
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        buffer = io.BytesIO()
        image.save(buffer, image_format, **options)
        return buffer.getvalue()

    return run


@pytest.fixture(scope="session")
def picture() -> Array:
    """RGB uint8 [61, 83, 3]: smooth, without symmetry, sides divisible by nothing."""
    y, x = np.mgrid[0:61, 0:83].astype(np.float64)
    red = 40 + 2.4 * x
    green = 230 - 3.1 * y
    blue = 128 + 90 * np.sin(x / 13) * np.cos(y / 9 + 0.5)
    return np.stack([red, green, blue], axis=2).round().astype(np.uint8)


@pytest.fixture(scope="session")
def ramp() -> Callable[[int, int], Array]:
    """A picture that tells each pixel's place: red runs along x, green along y, both 20 to 235."""

    def make(width: int, height: int) -> Array:
        result = np.full((height, width, 3), 128, np.uint8)
        result[..., 0] = np.linspace(20, 235, width).round()
        result[..., 1] = np.linspace(20, 235, height).round()[:, None]
        return result

    return make
