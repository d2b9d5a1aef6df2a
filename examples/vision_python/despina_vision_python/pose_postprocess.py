"""Backend ``pose_postprocess_python``: heatmaps in, keypoints in pixels of the image out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from despina_sdk import (
    Array,
    Backend,
    BackendError,
    Batch,
    Code,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Signature,
    TensorSpec,
)
from despina_vision_python.keypoints import REFINEMENTS, find_peaks
from despina_vision_python.parameters import Parameters, settle_tensors

MAX_SIDE = 16_384
"""Cells along an axis of a heatmap: an input of ``image_preprocess`` has no more pixels."""


class PosePostprocess(Backend):
    """Finds the highest cell of each heatmap, refines it and maps it to the original image.

    Inputs: ``HEATMAPS`` FP32 [K, h, w]; ``INVERSE_TRANSFORM`` FP32 [2, 3], as
    ``image_preprocess`` gives it.

    Output: ``KEYPOINTS`` FP32 [K, 3]: x, y in pixels of the upright image, the centre of its first
    pixel being (0, 0), and the score, which is the highest value of the heatmap.

    Cell (0, 0) lies on point (0, 0) of the network input and each further one ``input_width / w``
    or ``input_height / h`` pixels on, as in the networks that name these sources. A value that is
    NaN or infinite counts as 0.
    """

    name = "pose_postprocess_python"

    def load(self, spec: ModelSpec) -> Model:
        """Checks the configuration; there are no weights."""
        parameters = Parameters(spec, ("input_width", "input_height", "refinement"))
        options = _Options(
            parameters.integer("input_width", 0, minimum=1),
            parameters.integer("input_height", 0, minimum=1),
            parameters.choice("refinement", list(REFINEMENTS), "quarter"),
        )
        return _PoseModel(options, _signature(spec), batching=spec.max_batch_size > 0)


@dataclass(frozen=True)
class _Options:
    """``input_width`` and ``input_height`` in pixels; 0: four times the heatmap's."""

    input_width: int
    input_height: int
    refinement: str


def _signature(spec: ModelSpec) -> Signature:
    inputs = settle_tensors(
        spec,
        "input",
        spec.inputs,
        (
            TensorSpec("HEATMAPS", "FP32", (-1, -1, -1)),
            TensorSpec("INVERSE_TRANSFORM", "FP32", (2, 3)),
        ),
        required=["HEATMAPS", "INVERSE_TRANSFORM"],
    )
    keypoints = next(tensor.shape[0] for tensor in inputs if tensor.name == "HEATMAPS")
    output = TensorSpec("KEYPOINTS", "FP32", (keypoints, 3))
    outputs = settle_tensors(spec, "output", spec.outputs, (output,), required=["KEYPOINTS"])
    return Signature(inputs, outputs)


class _PoseModel(Model):
    def __init__(self, options: _Options, signature: Signature, batching: bool) -> None:
        self.signature = signature
        self._options, self._batching = options, batching

    def instance(self, placement: Placement) -> Instance:
        return _PoseInstance(self._options, self._batching)


class _PoseInstance(Instance):
    def __init__(self, options: _Options, batching: bool) -> None:
        self._options, self._batching = options, batching

    def execute(self, batch: Batch) -> None:
        heatmaps, inverse = batch.gather("HEATMAPS"), batch.gather("INVERSE_TRANSFORM")
        if heatmaps is None or inverse is None:
            raise BackendError(Code.INTERNAL, "HEATMAPS and INVERSE_TRANSFORM are both required")
        if not self._batching:
            heatmaps, inverse = heatmaps[np.newaxis], inverse[np.newaxis]
        _check_shape(heatmaps.shape[1:])
        for request in batch.requests:
            if not np.isfinite(request.inputs["INVERSE_TRANSFORM"]).all():
                request.fail(
                    BackendError(
                        Code.INVALID_ARGUMENT, "INVERSE_TRANSFORM has values that are not finite"
                    )
                )
        keypoints = _keypoints(heatmaps, inverse, self._options)
        batch.scatter({"KEYPOINTS": keypoints if self._batching else keypoints[0]})


def _check_shape(shape: tuple[int, ...]) -> None:
    """Raises BackendError for heatmaps [K, h, w] in which there is no peak to find."""
    about = f"HEATMAPS of shape {list(shape)} have"
    if 0 in shape[1:]:
        raise BackendError(Code.INVALID_ARGUMENT, f"{about} no cells")
    if max(shape[1:]) > MAX_SIDE:
        raise BackendError(Code.INVALID_ARGUMENT, f"{about} a side of more than {MAX_SIDE} cells")


def _keypoints(heatmaps: Array, inverse: Array, options: _Options) -> Array:
    """FP32 [N, K, 3] of heatmaps [N, K, h, w] and inverse transforms [N, 2, 3]."""
    count, kinds, height, width = heatmaps.shape
    finite = np.isfinite(heatmaps)
    if not finite.all():
        heatmaps = np.where(finite, heatmaps, np.float32(0))
    stack = heatmaps.reshape(count * kinds, height, width)
    columns, rows, scores = find_peaks(stack)
    shift_x, shift_y = REFINEMENTS[options.refinement](stack, columns, rows)
    points = np.stack(
        [
            (columns + shift_x) * ((options.input_width or 4 * width) / width),
            (rows + shift_y) * ((options.input_height or 4 * height) / height),
            np.ones(len(stack)),
        ],
        axis=1,
    ).reshape(count, kinds, 3)
    keypoints = np.empty((count, kinds, 3), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        keypoints[..., :2] = points @ inverse.astype(np.float64).transpose(0, 2, 1)
    keypoints[..., 2] = scores.reshape(count, kinds)
    return keypoints
