"""Backend ``image_preprocess_python``: encoded images in, the input tensor of a network out."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
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
    Request,
    Signature,
)
from despina_vision_python import geometry
from despina_vision_python.decode import decode, reduction_for
from despina_vision_python.header import ImageError, ImageHeader, read_header
from despina_vision_python.image_options import ImageOptions, read_options
from despina_vision_python.sampling import sample

MAX_COORDINATE = 2**24
"""Of a box. Beyond it, float32 no longer tells one pixel from the next."""


class ImagePreprocess(Backend):
    """Decodes, crops, scales and normalises one image per row; see the README for parameters.

    Inputs: ``IMAGE`` BYTES [1], an encoded image; ``BOX`` FP32 [4], optional, the part wanted as
    x, y, width, height in pixels of the upright image, counted from its top-left corner.

    Outputs: ``TENSOR`` FP32, FP16 or UINT8 [C, H, W] or [H, W, C]; ``INVERSE_TRANSFORM`` FP32
    [2, 3], from points of the network input to points of the upright image, the centre of the
    first pixel being (0, 0) in both; ``IMAGE_SIZE`` INT32 [2], width and height of the upright
    image.

    A request with a bad image or box fails alone, with INVALID_ARGUMENT.
    """

    name = "image_preprocess_python"

    def load(self, spec: ModelSpec) -> Model:
        """Checks the configuration; there are no weights."""
        options, signature = read_options(spec)
        # Instances are the unit of parallelism. OpenCV has this setting once per process.
        cv2.setNumThreads(1)
        return _ImageModel(options, signature, batching=spec.max_batch_size > 0)


class _ImageModel(Model):
    def __init__(self, options: ImageOptions, signature: Signature, batching: bool) -> None:
        self.signature = signature
        self._options, self._batching = options, batching

    def instance(self, placement: Placement) -> Instance:
        return _ImageInstance(self._options, self.signature, self._batching)


class _RowError(ValueError):
    """One row of a request is refused."""


class _ImageInstance(Instance):
    def __init__(self, options: ImageOptions, signature: Signature, batching: bool) -> None:
        self._options, self._signature, self._batching = options, signature, batching

    def execute(self, batch: Batch) -> None:
        for request in batch.requests:
            if request.cancelled:
                request.fail(BackendError(Code.CANCELLED, "the request was cancelled"))
                continue
            try:
                outputs = self._answer(request)
            except BackendError as error:
                request.fail(error)
            else:
                request.complete(outputs)

    def _answer(self, request: Request) -> Mapping[str, Array]:
        rows = request.rows
        images = request.inputs["IMAGE"].reshape(rows)
        boxes = request.inputs.get("BOX")
        if boxes is not None:
            boxes = boxes.reshape(rows, 4)
        outputs: dict[str, Array] = {
            output.name: np.empty((rows, *output.shape), output.dtype)
            for output in self._signature.outputs
        }
        for row in range(rows):
            try:
                values = self._row(images[row], None if boxes is None else boxes[row])
            except _RowError as error:
                where = f"row {row}: " if rows > 1 else ""
                raise BackendError(Code.INVALID_ARGUMENT, f"{where}{error}") from None
            for name, output in outputs.items():
                output[row] = values[name]
        if self._batching:
            return outputs
        return {name: output[0] for name, output in outputs.items()}

    def _row(self, data: bytes, box: Array | None) -> Mapping[str, Array]:
        """All outputs for one image, whether or not the model has them."""
        options = self._options
        wanted = None if box is None else _checked_box(box)
        try:
            header = read_header(data, options.limits)
            region, visible = _region(header, wanted, options)
            width, height = options.size
            step = min(region.width / width, region.height / height)
            reduction = reduction_for(header, step) if options.reduced_decode else 1
            pixels = decode(data, header, reduction)
        except ImageError as error:
            raise _RowError(f"IMAGE {error}") from None
        inverse = geometry.inverse_transform(region, options.size)
        to_pixels = geometry.upright_to_stored(
            header.orientation, (header.width, header.height), reduction
        )
        crop = sample(
            pixels,
            geometry.compose(to_pixels, inverse),
            options.size,
            geometry.pixels_inside(visible, region, options.size),
            options.interpolation,
            options.fill,
        )
        return {
            "TENSOR": _to_tensor(crop, options),
            "INVERSE_TRANSFORM": inverse.astype(np.float32),
            "IMAGE_SIZE": np.array(header.upright_size, np.int32),
        }


def _checked_box(values: Array) -> geometry.Box:
    x, y, width, height = (float(value) for value in values)
    shown = f"BOX is [{x:g}, {y:g}, {width:g}, {height:g}]"
    # Written so that a NaN fails it.
    if not np.all(np.abs(values) <= MAX_COORDINATE):
        raise _RowError(f"{shown}: each must be a number of at most {MAX_COORDINATE}")
    if width <= 0 or height <= 0:
        raise _RowError(f"{shown}: width and height must be greater than 0")
    return geometry.Box(x, y, width, height)


def _region(
    header: ImageHeader, box: geometry.Box | None, options: ImageOptions
) -> tuple[geometry.Box, geometry.Box]:
    """What of the upright image fills the network input, and what of it is shown there."""
    image = geometry.Box(0, 0, *header.upright_size)
    wanted = image if box is None else box
    padding = 1.0 if box is None else options.padding
    region = geometry.region_to_input(wanted, options.fit, options.size, padding, options.align)
    return region, image.intersection(wanted) if options.fit == "letterbox" else image


def _to_tensor(crop: Array, options: ImageOptions) -> Array:
    """Colour order, normalisation, layout and datatype of one row, from uint8 BGR [H, W, 3]."""
    if options.color == "GRAY":
        crop = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)[..., np.newaxis]
    elif options.color == "RGB":
        crop = crop[..., ::-1]
    # Contiguous planes, because numpy works on interleaved channels at a tenth of the speed.
    planes = np.ascontiguousarray(crop.transpose(2, 0, 1))
    if options.dtype != np.uint8:
        planes = planes * options.gain[:, np.newaxis, np.newaxis]
        planes += options.offset[:, np.newaxis, np.newaxis]
    return planes if options.channels_first else planes.transpose(1, 2, 0)
