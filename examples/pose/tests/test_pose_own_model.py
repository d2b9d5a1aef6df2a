"""Which networks the demo takes, and the repository that it makes for them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from despina import Server
from own_model import ModelFileError, PoseNetwork, read_network, write_repository

Shape = Sequence[int | str]


def write_network(
    path: Path,
    image: Shape = ("N", 3, 64, 48),
    maps: Shape = ("N", 3, 16, 12),
    datatype: int = TensorProto.FLOAT,
    more_inputs: bool = False,
    more_maps: bool = False,
    flat: bool = False,
) -> Path:
    """A network that keeps one pixel of 4 x 4, so that it has a map for each colour."""
    inputs = [helper.make_tensor_value_info("photo", datatype, image)]
    outputs = [helper.make_tensor_value_info("maps", datatype, maps)]
    bounds = {"first": [0, 0], "last": [1 << 20] * 2, "axes": [2, 3], "step": [4, 4]}
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [2], values) for name, values in bounds.items()
    ]
    nodes = [helper.make_node("Slice", ["photo", *bounds], ["maps"])]
    if more_inputs:
        inputs.append(helper.make_tensor_value_info("unused", TensorProto.FLOAT, [1]))
    if more_maps:
        outputs.append(helper.make_tensor_value_info("again", datatype, maps))
        nodes.append(helper.make_node("Identity", ["maps"], ["again"]))
    if flat:
        outputs = [helper.make_tensor_value_info("vector", datatype, ["N", 576])]
        nodes.append(helper.make_node("Flatten", ["maps"], ["vector"]))
    graph = helper.make_graph(nodes, "network", inputs, outputs, constants)
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def png_with_red_spot(x: int, y: int) -> bytes:
    """A black picture of 96 x 128 pixels with a red square about (x, y)."""
    pixels = np.zeros((128, 96, 3), np.uint8)
    pixels[y - 6 : y + 7, x - 6 : x + 7, 0] = 255
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_names_and_sizes_come_from_the_file(tmp_path: Path) -> None:
    network = read_network(write_network(tmp_path / "network.onnx"))
    assert network == PoseNetwork("photo", 48, 64, "maps", 3, 12, 16, batched=True)


def test_further_outputs_that_are_no_heatmaps_do_not_matter(shared_data: Path) -> None:
    network = read_network(shared_data / "models/pp_tinypose_256x192.onnx")
    assert (network.output_name, network.keypoints) == ("conv2d_441.tmp_1", 17)


@pytest.mark.parametrize("rows", ["N", 1], ids=["free batch", "batch of 1"])
def test_the_ensemble_runs_the_network(tmp_path: Path, example: Path, rows: int | str) -> None:
    network = write_network(tmp_path / "n.onnx", (rows, 3, 64, 48), (rows, 3, 16, 12))
    write_repository(network, example / "model_repository", tmp_path / "repository")
    shape = (1, 1) if rows == "N" else (1,)
    image = np.array([png_with_red_spot(30, 70)], object).reshape(shape)
    with Server(tmp_path / "repository") as server:
        keypoints = server.infer("hrnet_pose_estimate", {"IMAGE": image})["KEYPOINTS"]
    assert keypoints.shape == (*shape[:-1], 3, 3)
    red = keypoints.reshape(3, 3)[0]
    assert np.abs(red[:2] - (30, 70)).max() <= 8  # a cell is 8 pixels wide
    assert red[2] > keypoints.reshape(3, 3)[1:, 2].max()


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"image": ("N", 64, 48, 3), "maps": ("N", 64, 12, 1)}, r"one input .*'photo' .*48, 3\]"),
        ({"image": ("N", 3, "H", "W"), "maps": ("N", 3, "h", "w")}, "one input .*'H', 'W'"),
        ({"flat": True}, r"one output .* 'vector' .*\['N', 576\]"),
        ({"datatype": TensorProto.DOUBLE}, r"one input .*tensor\(double\)"),
        ({"more_inputs": True}, "one input .*'photo'.*'unused'"),
        ({"more_maps": True}, "one output .*'maps'.*'again'"),
        ({"image": (4, 3, 64, 48), "maps": (4, 3, 16, 12)}, "batches of 4 only"),
    ],
    ids=["NHWC", "open input", "no maps", "double", "two inputs", "two maps", "batch of 4"],
)
def test_a_network_of_another_form_is_refused_with_what_it_has(
    tmp_path: Path, form: dict[str, object], reason: str
) -> None:
    path = write_network(tmp_path / "network.onnx", **form)  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match=reason) as error:
        read_network(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(b"not ONNX")
    with pytest.raises(ModelFileError, match="onnxruntime cannot load .*network.onnx"):
        read_network(path)
