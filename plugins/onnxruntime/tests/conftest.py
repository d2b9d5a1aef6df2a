import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from despina_onnxruntime import OnnxRuntimeBackend
from despina_sdk import Array, Model, ModelSpec, Placement
from despina_sdk.testing import FakeBatch, FakeRequest

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(os.environ.get("DESPINA_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data: set DESPINA_SHARED_DATA; {folder.name} is not there")
    return folder


@pytest.fixture
def golden(shared_data: Path) -> Callable[[str], Array]:
    def read(name: str) -> Array:
        array: Array = np.load(shared_data / "expected" / "golden" / f"{name}.npy")
        return array

    return read


@pytest.fixture
def version_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "net" / "1"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def write_model(version_folder: Path) -> Callable[..., None]:
    """Writes ``model.onnx``: nodes, then inputs and outputs as {name: (ONNX type, shape)}."""

    def write(
        nodes: Sequence[onnx.NodeProto],
        inputs: Mapping[str, tuple[int, Sequence[str | int]]],
        outputs: Mapping[str, tuple[int, Sequence[str | int]]],
        file: str = "model.onnx",
        **initializers: Array,
    ) -> None:
        graph = helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
            [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
            [numpy_helper.from_array(array, name) for name, array in initializers.items()],
        )
        opset = [helper.make_opsetid("", 20)]
        path = version_folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(
            helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
        )

    return write


@pytest.fixture
def write_identity(write_model: Callable[..., None]) -> Callable[..., None]:
    """Writes a model whose output Y is its input X."""

    def write(
        kind: int = TensorProto.FLOAT, shape: Sequence[str | int] = ("rows", 2), **more: Any
    ) -> None:
        nodes = [helper.make_node("Identity", ["X"], ["Y"])]
        write_model(nodes, {"X": (kind, shape)}, {"Y": (kind, shape)}, **more)

    return write


@pytest.fixture
def load(version_folder: Path) -> Callable[..., Model]:
    """Loads the model in the version folder with the given fields of ``ModelSpec``."""

    def call(options: Mapping[str, str] | None = None, **fields: Any) -> Model:
        return OnnxRuntimeBackend(options or {}).load(
            ModelSpec("net", "1", version_folder, **fields)
        )

    return call


@pytest.fixture
def load_shared(
    shared_data: Path, version_folder: Path, load: Callable[..., Model]
) -> Callable[..., Model]:
    """The same for one of the shared models."""

    def call(name: str, **fields: Any) -> Model:
        (version_folder / "model.onnx").symlink_to(shared_data / "models" / name)
        return load(**fields)

    return call


@pytest.fixture
def run() -> Callable[..., list[dict[str, Array]]]:
    """Runs one batch with a request for each mapping of inputs, on an instance of its own."""

    def call(model: Model, *inputs: Mapping[str, Array]) -> list[dict[str, Array]]:
        instance = model.instance(Placement("net_0"))
        batching = bool(model.signature.max_batch_size)
        requests = [
            FakeRequest(each, batching=batching, signature=model.signature) for each in inputs
        ]
        instance.execute(FakeBatch(requests))
        instance.close()
        answers = [request.outputs for request in requests if request.outputs is not None]
        assert len(answers) == len(requests)
        return answers

    return call
