"""The parameters of ``image_preprocess``, read and checked once per model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from despina_sdk import NUMPY_DTYPES, Array, BackendError, Code, ModelSpec, Signature, TensorSpec
from despina_vision_python.geometry import Align, Fit
from despina_vision_python.header import Limits
from despina_vision_python.parameters import Parameters, settle_tensors
from despina_vision_python.sampling import Interpolation

DATATYPES = ("FP32", "FP16", "UINT8")
MAX_SIDE = 16_384
"""Pixels along an axis of the network input: a slip in a configuration shall not take memory."""

_NAMES = (
    "width", "height", "fit", "padding", "align", "interpolation", "fill", "color", "layout",
    "datatype", "scale", "mean", "std", "max_pixels", "max_bytes", "reduced_decode",
)  # fmt: skip


@dataclass(frozen=True)
class ImageOptions:
    """How one model makes its tensor of an image.

    Attributes:
        size: width and height of the network input in pixels.
        fit, padding, align: which region of the image fills it; see ``region_to_input``.
        interpolation, fill: see ``sample``.
        limits: on the encoded image.
        reduced_decode: whether a JPEG may be decoded smaller where it is scaled down anyway.
        color: RGB, BGR or GRAY, the order of the channels.
        channels_first: layout NCHW, otherwise NHWC.
        dtype: of the tensor.
        gain, offset: float32 [channels]; an element is pixel * gain + offset.
    """

    size: tuple[int, int]
    fit: Fit
    padding: float
    align: Align
    interpolation: Interpolation
    fill: int
    limits: Limits
    reduced_decode: bool
    color: str
    channels_first: bool
    dtype: np.dtype[np.generic]
    gain: Array
    offset: Array

    @property
    def tensor_shape(self) -> tuple[int, int, int]:
        """Of one row."""
        width, height, channels = *self.size, len(self.gain)
        return (channels, height, width) if self.channels_first else (height, width, channels)


def read_options(spec: ModelSpec) -> tuple[ImageOptions, Signature]:
    """Options and signature of a model.

    Raises:
        BackendError: the configuration is wrong, and where (INVALID_ARGUMENT).
    """
    parameters = Parameters(spec, _NAMES)
    datatype = _datatype(spec, parameters)
    color = parameters.choice("color", ("RGB", "BGR", "GRAY"), "RGB")
    gain, offset = _normalisation(parameters, datatype, 1 if color == "GRAY" else 3)
    limits = Limits(
        parameters.integer("max_pixels", Limits.max_pixels, maximum=2**30),
        parameters.integer("max_bytes", Limits.max_bytes),
    )
    padding = parameters.number("padding", 1.25, positive=True)
    fit = parameters.choice("fit", ("affine", "letterbox", "stretch"), "affine")
    if fit != "affine" and parameters.given("padding"):
        raise parameters.error("padding", f"is for fit = affine, the model has fit = {fit}")
    if fit != "letterbox" and parameters.given("align"):
        raise parameters.error("align", f"is for fit = letterbox, the model has fit = {fit}")
    options = ImageOptions(
        size=(
            parameters.integer("width", None, maximum=MAX_SIDE),
            parameters.integer("height", None, maximum=MAX_SIDE),
        ),
        fit=cast(Fit, fit),
        padding=padding,
        align=cast(Align, parameters.choice("align", ("center", "top-left"), "center")),
        interpolation=cast(
            Interpolation,
            parameters.choice("interpolation", ("linear", "cubic", "area"), "linear"),
        ),
        fill=parameters.integer("fill", 0, minimum=0, maximum=255),
        limits=limits,
        reduced_decode=parameters.boolean("reduced_decode", True),
        color=color,
        channels_first=parameters.choice("layout", ("NCHW", "NHWC"), "NCHW") == "NCHW",
        dtype=NUMPY_DTYPES[datatype],
        gain=gain,
        offset=offset,
    )
    return options, _signature(spec, options, datatype)


def _datatype(spec: ModelSpec, parameters: Parameters) -> str:
    """The datatype of ``TENSOR``: that of the configured output, then that of the parameter."""
    configured = next((tensor.datatype for tensor in spec.outputs if tensor.name == "TENSOR"), None)
    if configured is not None and configured not in DATATYPES:
        raise BackendError(
            Code.INVALID_ARGUMENT,
            f"model '{spec.name}': output 'TENSOR' is {configured}, "
            f"it must be one of {', '.join(DATATYPES)}",
        )
    datatype = parameters.choice("datatype", DATATYPES, configured or "FP32")
    if configured not in (None, datatype):
        raise parameters.error("datatype", f"is {datatype}, but output 'TENSOR' is {configured}")
    return datatype


def _normalisation(parameters: Parameters, datatype: str, channels: int) -> tuple[Array, Array]:
    scale = parameters.number("scale", 1 / 255, positive=True)
    mean = parameters.numbers("mean", 0.0, channels)
    std = parameters.numbers("std", 1.0, channels, positive=True)
    if datatype == "UINT8":
        for name, value, default in (
            ("scale", (scale,), 1 / 255),
            ("mean", mean, 0.0),
            ("std", std, 1.0),
        ):
            if any(number != default for number in value):
                raise parameters.error(name, "has no meaning for UINT8, which carries raw pixels")
        return np.ones(channels, np.float32), np.zeros(channels, np.float32)
    gain = _quotients(parameters, "scale", (scale,), std)
    return gain, -_quotients(parameters, "mean", mean, std)


def _quotients(
    parameters: Parameters, name: str, values: tuple[float, ...], std: tuple[float, ...]
) -> Array:
    """Of a parameter's values and the standard deviations, as the tensor's arithmetic takes it."""
    with np.errstate(over="ignore"):
        quotients: Array = (np.array(values) / np.array(std)).astype(np.float32)
    if not np.isfinite(quotients).all():
        raise parameters.error(name, "divided by std is more than FP32 can hold")
    return quotients


def _signature(spec: ModelSpec, options: ImageOptions, datatype: str) -> Signature:
    inputs = (
        TensorSpec("IMAGE", "BYTES", (1,)),
        TensorSpec("BOX", "FP32", (4,), optional=True),
    )
    outputs = (
        TensorSpec("TENSOR", datatype, options.tensor_shape),
        TensorSpec("INVERSE_TRANSFORM", "FP32", (2, 3)),
        TensorSpec("IMAGE_SIZE", "INT32", (2,)),
    )
    return Signature(
        settle_tensors(spec, "input", spec.inputs, inputs, required=["IMAGE"]),
        settle_tensors(spec, "output", spec.outputs, outputs, required=["TENSOR"]),
    )
