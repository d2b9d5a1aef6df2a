"""Encoded bytes to pixels, with every way in which that can fail turned into one error."""

from __future__ import annotations

import math

import cv2
import numpy as np

from despina_sdk import Array
from despina_vision_python.header import ImageError, ImageHeader

_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def reduction_for(header: ImageHeader, step: float) -> int:
    """How many pixels along an axis the decoder may make one of: 1, 2, 4 or 8.

    Args:
        header: of the image; only a JPEG decoder saves work that way.
        step: the smallest distance of two samples, in stored pixels.
    """
    if header.format != "JPEG":
        return 1
    return next((factor for factor in (8, 4, 2) if step >= factor), 1)


def decode(data: bytes, header: ImageHeader, reduction: int = 1) -> Array:
    """The pixels as stored, in blue, green, red.

    Alpha is dropped, not composited; 16 bits become the upper 8; of an animation the first frame
    is taken; the orientation is not applied.

    Args:
        data: the encoded image whose header has been accepted.
        header: what ``read_header`` said of it.
        reduction: one of those that ``reduction_for`` gives.

    Returns:
        uint8 [ceil(height / reduction), ceil(width / reduction), 3].

    Raises:
        ImageError: it cannot be decoded, or is not of the size that its header says.
    """
    flags = _FLAGS[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"is a {header.format} that cannot be decoded: {error.err}") from None
    if pixels is None:
        raise ImageError(f"is a {header.format} that cannot be decoded: its data is corrupt")
    expected = math.ceil(header.height / reduction), math.ceil(header.width / reduction)
    if pixels.shape[:2] != expected:
        raise ImageError(f"is a malformed {header.format}: its picture is not of its header's size")
    return pixels
