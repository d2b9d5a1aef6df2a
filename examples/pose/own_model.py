"""The model repository of this folder, made to fit another pose network."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from despina.config.load import load_config
from despina.config.model_config_pb2 import ModelConfig, ModelInput, ModelOutput

NETWORK = "hrnet"


class ModelFileError(ValueError):
    """The file is not a pose network that the ensemble can use, and why."""


@dataclass(frozen=True)
class PoseNetwork:
    """What an ONNX file says about its network; sizes in pixels and heatmap cells.

    Attributes:
        batched: the number of rows is free; otherwise it is always 1.
    """

    input_name: str
    width: int
    height: int
    output_name: str
    keypoints: int
    map_width: int
    map_height: int
    batched: bool


def read_network(path: Path) -> PoseNetwork:
    """Read the signature of a network: images [N, 3, H, W] in, heatmaps [N, K, h, w] out.

    Raises:
        ModelFileError: the file cannot be loaded, or its network has another form.
    """
    if not path.is_file():
        raise ModelFileError(f"there is no model file {path}")
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no base class for its own
        raise ModelFileError(f"onnxruntime cannot load {path}: {error}") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or not _is_image(inputs[0]):
        wanted = "one input of type tensor(float) with shape [N, 3, height, width]"
        raise ModelFileError(f"{path} must have {wanted}; it has {_listed(inputs)}")
    heatmaps = [output for output in outputs if _is_map(output)]
    if len(heatmaps) != 1:
        wanted = "one output of type tensor(float) with shape [N, keypoints, height, width]"
        raise ModelFileError(f"{path} must have {wanted}; it has {_listed(outputs)}")
    rows = inputs[0].shape[0]
    if isinstance(rows, int) and rows != 1:
        raise ModelFileError(f"{path} takes batches of {rows} only: N must be free, or 1")
    _, _, height, width = inputs[0].shape
    _, keypoints, map_height, map_width = heatmaps[0].shape
    return PoseNetwork(
        inputs[0].name, width, height,
        heatmaps[0].name, keypoints, map_width, map_height,
        batched=not isinstance(rows, int),
    )  # fmt: skip


def write_repository(path: Path, template: Path, target: Path) -> None:
    """Write a copy of the repository ``template`` to ``target`` that runs the network ``path``.

    Raises:
        ModelFileError: see ``read_network``.
        OSError: the network cannot be copied.
    """
    network = read_network(path)
    for source in sorted(template.glob("*/config.pbtxt")):
        config = load_config(source)
        _adapt(config, network)
        folder = target / config.name
        (folder / "1").mkdir(parents=True)
        (folder / source.name).write_text(str(config))
    shutil.copyfile(path, target / NETWORK / "1" / "model.onnx")


def _adapt(config: ModelConfig, network: PoseNetwork) -> None:
    image = (3, network.height, network.width)
    heatmaps = (network.keypoints, network.map_height, network.map_width)
    dims = {"TENSOR": image, "HEATMAPS": heatmaps, "KEYPOINTS": (network.keypoints, 3)}
    if not network.batched:
        config.max_batch_size = 0
        config.ClearField("dynamic_batching")
    if config.name == NETWORK:
        _adapt_tensor(config.input[0], network.input_name, image, network.batched)
        _adapt_tensor(config.output[0], network.output_name, heatmaps, network.batched)
        return
    tensors: list[ModelInput | ModelOutput] = [*config.input, *config.output]
    for tensor in tensors:
        if tensor.name in dims:
            tensor.dims[:] = dims[tensor.name]
    sizes = {"width": network.width, "height": network.height}
    for name, size in sizes.items():
        for key in (name, f"input_{name}"):
            if key in config.parameters:
                config.parameters[key].string_value = str(size)
    for step in config.ensemble_scheduling.step:
        if step.model_name == NETWORK:
            _rename_only_key(step.input_map, network.input_name)
            _rename_only_key(step.output_map, network.output_name)


def _adapt_tensor(
    tensor: ModelInput | ModelOutput, name: str, dims: Iterable[int], batched: bool
) -> None:
    tensor.name = name
    tensor.dims[:] = dims
    if not batched:  # the others of the ensemble know no axis of rows then; the network has one
        tensor.reshape.shape[:] = (1, *dims)


def _rename_only_key(names: Any, key: str) -> None:
    ((_, value),) = names.items()
    names.clear()
    names[key] = value


def _is_image(tensor: Any) -> bool:
    return _is_map(tensor) and tensor.shape[1] == 3


def _is_map(tensor: Any) -> bool:
    fixed = [isinstance(size, int) and size > 0 for size in tensor.shape[1:]]
    return tensor.type == "tensor(float)" and len(fixed) == 3 and all(fixed)


def _listed(tensors: Iterable[Any]) -> str:
    return ", ".join(f"'{t.name}' {t.type} {t.shape}" for t in tensors) or "none"
