"""Draws a skeleton over a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from coco import LIMBS, keypoint_names

LEFT, RIGHT, MIDDLE = (255, 140, 0), (0, 150, 255), (60, 220, 90)  # of the person, not the picture

_LONGEST_SIDE = 1024  # of the picture that is written
_SUPERSAMPLING = 3  # Pillow draws without anti-aliasing
_FAINTEST = 0.12  # opacity of a keypoint with score 0


def draw_skeleton(picture: Path, keypoints: NDArray[np.float32], target: Path) -> None:
    """Write ``picture``, upright and at most 1024 pixels long, with ``keypoints`` to ``target``.

    The lower a score, the fainter what is drawn. Limbs are drawn between COCO's 17 keypoints only.

    Args:
        picture: an image file that Pillow reads.
        keypoints: [K, 3], x and y in pixels of the upright picture, and score; or [N, K, 3] of
            several persons.
        target: the file to write; its suffix names the format.

    Raises:
        OSError: the picture cannot be read, or the target not be written.
    """
    with Image.open(picture) as file:
        image = ImageOps.exif_transpose(file).convert("RGBA")
    original_width = image.width
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    scale = image.width / original_width
    for person in keypoints.reshape(-1, *keypoints.shape[-2:]):
        image.alpha_composite(
            _skeleton(image.size, person * np.array([scale, scale, 1], np.float32))
        )
    image.convert("RGB").save(target)


def _skeleton(size: tuple[int, int], keypoints: NDArray[np.float32]) -> Image.Image:
    """A transparent picture of ``size`` (width, height) with limbs and joints."""
    names = keypoint_names(len(keypoints))
    canvas = Image.new("RGBA", (size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING))
    draw = ImageDraw.Draw(canvas)
    # Pixel centres are at whole numbers in `keypoints`, pixel corners in the canvas.
    points = (keypoints[:, :2] + 0.5) * _SUPERSAMPLING
    place = {name: (float(x), float(y)) for name, (x, y) in zip(names, points, strict=True)}
    score = {name: float(value) for name, value in zip(names, keypoints[:, 2], strict=True)}
    radius = _SUPERSAMPLING * max(max(size) / 160, 2.0)
    for first, second in LIMBS if "nose" in place else ():
        color = _side_color(first) if first.split("_")[0] == second.split("_")[0] else MIDDLE
        opacity = _opacity(min(score[first], score[second]))
        draw.line((place[first], place[second]), (*color, opacity), round(radius))
    for name, (x, y) in place.items():
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, (*_side_color(name), _opacity(score[name])))
    return canvas.resize(size, Image.Resampling.BOX)


def _side_color(name: str) -> tuple[int, int, int]:
    return {"left": LEFT, "right": RIGHT}.get(name.split("_")[0], MIDDLE)


def _opacity(score: float) -> int:
    return round(255 * min(max(score, _FAINTEST), 1.0))
