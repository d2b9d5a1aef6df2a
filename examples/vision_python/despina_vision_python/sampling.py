"""Draws a network input out of decoded pixels."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np

from despina_sdk import Array
from despina_vision_python.geometry import between_centres, compose

Interpolation = Literal["linear", "cubic", "area"]

_MARGIN = 4
"""Pixels around the region sampled that any of the filters may still read."""

_MAX_SIDE = 32_000
"""cv2.warpAffine counts source pixels in 16 bits."""


def sample(
    pixels: Array,
    transform: Array,
    size: tuple[int, int],
    inside: tuple[slice, slice],
    interpolation: Interpolation,
    fill: int,
) -> Array:
    """Fills an image by looking up, for each of its pixels, where that lies in another.

    Samples beyond the edge of ``pixels`` repeat the edge.

    Args:
        pixels: uint8 [h, w, 3].
        transform: 2x3, maps points of the result to points of ``pixels``, both in centres. Axes
            may be swapped and mirrored, but not rotated otherwise.
        size: width and height of the result.
        inside: rows and columns that are looked up; the others get the fill value.
        interpolation: ``linear`` and ``cubic`` look at the nearest 2 x 2 or 4 x 4 pixels;
            ``area`` first averages blocks of as many pixels as fit between two samples, and is
            linear then.
        fill: 0 to 255.

    Returns:
        uint8 [size[1], size[0], 3].
    """
    result = np.full((size[1], size[0], 3), fill, np.uint8)
    rows, columns = inside
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if height == 0 or width == 0:
        return result
    # Only pixels inside are computed, so that no coordinate is far outside the source.
    transform = compose(transform, np.array([[1, 0, columns.start], [0, 1, rows.start]], float))
    pixels, transform = _crop_and_shrink(pixels, transform, (width, height), interpolation)
    flags = cv2.INTER_CUBIC if interpolation == "cubic" else cv2.INTER_LINEAR
    result[rows, columns] = cv2.warpAffine(
        pixels,
        transform,
        (width, height),
        flags=flags | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return result


def _crop_and_shrink(
    pixels: Array, transform: Array, size: tuple[int, int], interpolation: Interpolation
) -> tuple[Array, Array]:
    """The part of the source that is sampled, in blocks averaged, and the transform to it."""
    corners = np.array([[0, size[0] - 1], [0, size[1] - 1], [1, 1]], float)
    ends = transform @ corners
    starts: list[int] = []
    blocks: list[int] = []
    parts: list[slice] = []
    for axis, length in ((0, pixels.shape[1]), (1, pixels.shape[0])):
        first, last = sorted(ends[axis])
        step = float(np.abs(transform[axis, :2]).sum())
        block = max(1, math.floor(step)) if interpolation == "area" else 1
        block = min(max(block, math.ceil((last - first) / _MAX_SIDE)), length)
        begin = min(max(0, math.floor(first) - _MARGIN * block), length - 1) // block * block
        end = min(length, max(begin + 1, math.ceil(last) + 1 + _MARGIN * block))
        starts.append(begin)
        blocks.append(block)
        parts.append(slice(begin, end))
    part = _average_blocks(pixels[parts[1], parts[0]], *blocks)
    to_part = np.array(
        [[1 / blocks[0], 0, -starts[0] / blocks[0]], [0, 1 / blocks[1], -starts[1] / blocks[1]]]
    )
    return part, compose(between_centres(to_part), transform)


def _average_blocks(pixels: Array, block_width: int, block_height: int) -> Array:
    """One pixel for each block; a last block that is cut off is completed from its edge."""
    if block_width == block_height == 1:
        return pixels
    height, width = pixels.shape[:2]
    blocks = math.ceil(width / block_width), math.ceil(height / block_height)
    padded = cv2.copyMakeBorder(
        pixels,
        0,
        blocks[1] * block_height - height,
        0,
        blocks[0] * block_width - width,
        cv2.BORDER_REPLICATE,
    )
    return cv2.resize(padded, blocks, interpolation=cv2.INTER_AREA)
