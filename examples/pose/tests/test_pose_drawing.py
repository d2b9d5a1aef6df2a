"""The picture with the skeleton."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from coco import KEYPOINTS
from drawing import LEFT, RIGHT, draw_skeleton


def draw(
    tmp_path: Path,
    points: dict[str, tuple[float, float, float]],
    size: tuple[int, int] = (300, 200),
) -> NDArray[np.uint8]:
    """The drawing of these keypoints on white; the others are far outside."""
    picture, target = tmp_path / "white.png", tmp_path / "drawn.png"
    Image.new("RGB", size, "white").save(picture)
    outside = (-1e4, -1e4, 0.0)
    keypoints = np.array([points.get(name, outside) for name in KEYPOINTS], np.float32)
    draw_skeleton(picture, keypoints, target)
    with Image.open(target) as image:
        return np.asarray(image.convert("RGB"))


def test_sides_of_the_body_have_different_colors(tmp_path: Path) -> None:
    drawn = draw(tmp_path, {"left_wrist": (50, 60, 1.0), "right_wrist": (200, 100, 1.0)})
    assert tuple(drawn[60, 50]) == LEFT
    assert tuple(drawn[100, 200]) == RIGHT


def test_a_limb_joins_its_keypoints(tmp_path: Path) -> None:
    drawn = draw(tmp_path, {"left_knee": (50, 60, 1.0), "left_ankle": (150, 60, 1.0)})
    assert tuple(drawn[60, 100]) == LEFT


def test_the_lower_the_score_the_fainter(tmp_path: Path) -> None:
    scores = {"left_wrist": (50, 60, 0.9), "left_knee": (200, 60, 0.4), "left_eye": (50, 150, 0.0)}
    drawn = draw(tmp_path, scores)
    contrast = [255 - int(drawn[y, x, 2]) for x, y in ((50, 60), (200, 60), (50, 150))]
    assert contrast[0] > 1.5 * contrast[1] > 2 * contrast[2] > 0


def test_each_of_several_persons_is_drawn(tmp_path: Path) -> None:
    picture, target = tmp_path / "white.png", tmp_path / "drawn.png"
    Image.new("RGB", (100, 100), "white").save(picture)
    draw_skeleton(picture, np.array([[[20, 20, 1]], [[80, 80, 1]]], np.float32), target)
    with Image.open(target) as image:
        for place in ((20, 20), (80, 80)):
            assert image.getpixel(place) != (255, 255, 255)
    draw_skeleton(picture, np.empty((0, 17, 3), np.float32), target)
    with Image.open(target) as image:
        assert image.getcolors() == [(100 * 100, (255, 255, 255))]


def test_keypoints_of_another_kind_are_drawn_without_limbs(tmp_path: Path) -> None:
    picture, target = tmp_path / "white.png", tmp_path / "drawn.png"
    Image.new("RGB", (100, 100), "white").save(picture)
    draw_skeleton(picture, np.array([[20, 20, 1], [80, 80, 1]], np.float32), target)
    with Image.open(target) as image:
        assert image.getpixel((20, 20)) != (255, 255, 255)
        assert image.getpixel((50, 50)) == (255, 255, 255)


def test_a_large_picture_is_made_smaller_with_its_keypoints(tmp_path: Path) -> None:
    drawn = draw(tmp_path, {"right_knee": (1000, 500, 1.0)}, size=(2048, 1024))
    assert drawn.shape == (512, 1024, 3)
    assert tuple(drawn[250, 500]) == RIGHT


def test_a_photograph_is_drawn_upright(tmp_path: Path) -> None:
    picture, target = tmp_path / "rotated.jpg", tmp_path / "drawn.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    Image.new("RGB", (120, 80), "white").save(picture, exif=exif)
    draw_skeleton(picture, np.zeros((17, 3), np.float32), target)
    with Image.open(target) as image:
        assert image.size == (80, 120)


def test_what_is_no_picture_raises(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(OSError, match="cannot identify"):
        draw_skeleton(tmp_path / "text.jpg", np.zeros((17, 3), np.float32), tmp_path / "out.png")
