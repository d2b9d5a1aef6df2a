"""Where the pixels of a network input come from.

Two ways to count along an axis of an image are in use, and the module names which it means:

* *edges*: 0 is the left edge of the first pixel and ``width`` the right edge of the last one, so
  that pixel ``i`` covers ``i`` to ``i + 1``. Boxes are given so.
* *centres*: the centre of the first pixel is 0 and that of the last ``width - 1``. Points are
  given so, keypoints among them, and so are the matrices of ``cv2.warpAffine``.

All transforms are 2x3 matrices in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from despina_sdk import Array

Fit = Literal["affine", "letterbox", "stretch"]
Align = Literal["center", "top-left"]


@dataclass(frozen=True)
class Box:
    """A rectangle, in edges."""

    x: float
    y: float
    width: float
    height: float

    def intersection(self, other: Box) -> Box:
        """What lies in both; without area where they do not meet."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        return Box(left, top, max(0.0, right - left), max(0.0, bottom - top))


def extend_to_aspect(box: Box, aspect: float, align: Align = "center") -> Box:
    """The smallest box of that width to height around the box, or from its top-left corner."""
    width = max(box.width, box.height * aspect)
    height = max(box.height, box.width / aspect)
    if align == "top-left":
        return Box(box.x, box.y, width, height)
    return Box(box.x - (width - box.width) / 2, box.y - (height - box.height) / 2, width, height)


def enlarge(box: Box, factor: float) -> Box:
    """The box scaled about its centre."""
    width, height = box.width * factor, box.height * factor
    return Box(box.x - (width - box.width) / 2, box.y - (height - box.height) / 2, width, height)


def region_to_input(
    box: Box, fit: Fit, input_size: tuple[int, int], padding: float, align: Align
) -> Box:
    """The region of the image that fills the whole network input of (width, height) pixels."""
    if fit == "stretch":
        return box
    aspect = input_size[0] / input_size[1]
    if fit == "letterbox":
        return extend_to_aspect(box, aspect, align)
    return enlarge(extend_to_aspect(box, aspect), padding)


def inverse_transform(region: Box, input_size: tuple[int, int]) -> Array:
    """Maps points of the network input to points of the image, both in centres."""
    scale_x, scale_y = region.width / input_size[0], region.height / input_size[1]
    return between_centres(np.array([[scale_x, 0, region.x], [0, scale_y, region.y]], np.float64))


def between_centres(between_edges: Array) -> Array:
    """The transform between points in centres that equals one between points in edges."""
    linear, translation = between_edges[:, :2], between_edges[:, 2:]
    half = np.full((2, 1), 0.5)
    return np.hstack([linear, linear @ half + translation - half])


def upright_to_stored(orientation: int, stored_size: tuple[int, int], reduction: int) -> Array:
    """Maps points of the upright image to points of the decoded pixels, both in centres.

    Args:
        orientation: of EXIF, 1 to 8.
        stored_size: width and height of the image as it lies in the file.
        reduction: how many stored pixels along an axis the decoder made one of, counted from the
            first stored pixel.
    """
    width, height = stored_size
    matrix = {
        1: [[1, 0, 0], [0, 1, 0]],
        2: [[-1, 0, width], [0, 1, 0]],
        3: [[-1, 0, width], [0, -1, height]],
        4: [[1, 0, 0], [0, -1, height]],
        5: [[0, 1, 0], [1, 0, 0]],
        6: [[0, 1, 0], [-1, 0, height]],
        7: [[0, -1, width], [-1, 0, height]],
        8: [[0, -1, width], [1, 0, 0]],
    }[orientation]
    return between_centres(np.array(matrix, np.float64) / reduction)


def compose(outer: Array, inner: Array) -> Array:
    """The transform that applies ``inner`` first and ``outer`` to its result."""
    linear = outer[:, :2] @ inner[:, :2]
    translation = outer[:, :2] @ inner[:, 2:] + outer[:, 2:]
    return np.hstack([linear, translation])


def pixels_inside(visible: Box, region: Box, input_size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the network input whose centres see the visible part of the image."""
    rows = _inside(visible.y, visible.height, region.y, region.height, input_size[1])
    columns = _inside(visible.x, visible.width, region.x, region.width, input_size[0])
    return rows, columns


def _inside(
    start: float, length: float, region_start: float, region_length: float, pixels: int
) -> slice:
    scale = pixels / region_length
    # Centre i + 0.5 lies in the half-open range [first, last), all in edges of the input.
    first, last = ((edge - region_start) * scale for edge in (start, start + length))
    begin, end = (math.ceil(min(max(edge - 0.5, 0.0), float(pixels))) for edge in (first, last))
    return slice(begin, max(begin, end))
