"""Which part of the image each pixel of image_preprocess's tensor shows.

The pictures are ramps, whose colour says where in the image a pixel comes from: what the tensor
shows is compared with what INVERSE_TRANSFORM says.
"""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

FITS = [
    {"fit": "affine"},
    {"fit": "affine", "padding": "1.0"},
    {"fit": "letterbox"},
    {"fit": "letterbox", "align": "top-left"},
    {"fit": "stretch"},
]


def positions(outputs, size):
    """x and y in the image of every pixel of the tensor, [height, width] each."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    points = np.stack([x, y, np.ones_like(x)], axis=2)
    return np.moveaxis(points @ outputs["INVERSE_TRANSFORM"].astype(np.float64).T, 2, 0)


def assert_shows_its_place(outputs, size, image_size, margin, noise):
    """Each tensor pixel that looks at the image, ``margin`` pixels inside, has the ramp's colour.

    ``noise`` is what one pixel may be off, rounding and JPEG included. The mean over all pixels
    must be within a third of an image pixel of the place.
    """
    width, height = image_size
    x, y = positions(outputs, size)
    inside = (x >= margin) & (x <= width - 1 - margin) & (y >= margin) & (y <= height - 1 - margin)
    tensor = outputs["TENSOR"].astype(float)
    inside &= (tensor > 0).any(axis=2)
    assert inside.sum() > 0.15 * inside.size, "the test looks at next to nothing"
    for channel, place, length in ((0, x, width), (1, y, height)):
        step = 215 / (length - 1)
        error = (tensor[..., channel] - (20 + step * place))[inside]
        assert np.abs(error).max() <= noise
        assert abs(error.mean()) <= step / 3


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: "-".join(fit.values()))
@pytest.mark.parametrize("interpolation", ["linear", "area", "cubic"])
@pytest.mark.parametrize("box", [None, (30.5, 12.25, 90, 60), (-20, -10, 150, 80)])
@pytest.mark.parametrize("size", [(48, 64), (200, 120)], ids=["smaller", "larger"])
def test_inverse_transform_says_where_pixels_come_from(
    preprocess, encode, ramp, fit, interpolation, box, size
):
    data = encode(ramp(160, 100), "PNG")
    outputs = preprocess(data, box, size=size, interpolation=interpolation, **fit)
    assert_shows_its_place(outputs, size, (160, 100), margin=4, noise=2.2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("reduced", ["true", "false"])
@pytest.mark.parametrize("factor", [2.2, 4.5, 8.9])
def test_inverse_transform_holds_for_oriented_photos_decoded_smaller(
    preprocess, encode, ramp, orientation, reduced, factor
):
    # 403 x 301: the last block of a smaller decode is cut off, and orientations move it about.
    upright = ramp(403, 301)
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = Image.fromarray(upright)
    stored = stored if undo is None else stored.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored, "JPEG", quality=100, subsampling=0, exif=exif)
    size = (int(403 / factor), int(301 / factor))
    outputs = preprocess(data, size=size, fit="stretch", reduced_decode=reduced)
    assert outputs["IMAGE_SIZE"].tolist() == [403, 301]
    assert_shows_its_place(outputs, size, (403, 301), margin=8, noise=4.5)


def test_stretch_maps_the_edges_of_the_image_to_the_edges_of_the_input(preprocess, encode, ramp):
    outputs = preprocess(encode(ramp(160, 100), "PNG"), size=(40, 50), fit="stretch")
    matrix = outputs["INVERSE_TRANSFORM"]
    # Points are pixel centres: the first pixel's centre is (0, 0), the corner (-0.5, -0.5).
    assert np.allclose(matrix @ [-0.5, -0.5, 1], [-0.5, -0.5])
    assert np.allclose(matrix @ [39.5, 49.5, 1], [159.5, 99.5])


def test_affine_extends_the_box_to_the_aspect_and_pads_it(preprocess, encode, ramp):
    data = encode(ramp(160, 100), "PNG")
    matrix = preprocess(data, (60, 40, 30, 20), size=(48, 64))["INVERSE_TRANSFORM"]
    # 30 x 20 becomes 30 x 40 about (75, 50), and 37.5 x 50 with the default padding of 1.25.
    assert np.allclose(matrix @ [-0.5, -0.5, 1], [75 - 18.75 - 0.5, 50 - 25 - 0.5])
    assert np.allclose(matrix @ [47.5, 63.5, 1], [75 + 18.75 - 0.5, 50 + 25 - 0.5])


def test_the_whole_image_is_not_padded(preprocess, encode, ramp):
    data = encode(ramp(160, 100), "PNG")
    matrix = preprocess(data, size=(80, 50))["INVERSE_TRANSFORM"]
    assert np.allclose(matrix, [[2, 0, 0.5], [0, 2, 0.5]])


@pytest.mark.parametrize(
    ("align", "image_rows"), [("center", slice(16, 48)), ("top-left", slice(0, 32))]
)
def test_letterbox_fills_what_the_image_leaves(preprocess, encode, align, image_rows):
    white = np.full((60, 120, 3), 255, np.uint8)
    tensor = preprocess(
        encode(white, "PNG"), size=(64, 64), fit="letterbox", align=align, fill="114"
    )["TENSOR"]
    assert (tensor[image_rows] == 255).all()
    assert (np.delete(tensor, image_rows, axis=0) == 114).all()


def test_letterbox_shows_nothing_outside_the_box(preprocess, encode):
    picture = np.full((100, 100, 3), 255, np.uint8)
    picture[40:60, 20:80] = 50
    tensor = preprocess(
        encode(picture, "PNG"), (20, 40, 60, 20), size=(60, 60), fit="letterbox", fill="7"
    )["TENSOR"]
    assert (tensor[20:40] == 50).all()
    assert (tensor[:20] == 7).all()
    assert (tensor[40:] == 7).all()


def test_affine_shows_what_surrounds_the_box(preprocess, encode):
    picture = np.full((100, 100, 3), 255, np.uint8)
    picture[40:60, 20:80] = 50
    tensor = preprocess(encode(picture, "PNG"), (20, 40, 60, 20), size=(60, 60), padding="1")[
        "TENSOR"
    ]
    assert (tensor[21:39, 1:59] == 50).all()
    assert (tensor[:19] == 255).all()


def test_pixels_beyond_the_image_are_filled(preprocess, encode):
    white = np.full((50, 50, 3), 255, np.uint8)
    tensor = preprocess(
        encode(white, "PNG"), (-25, -25, 50, 50), size=(50, 50), fit="stretch", fill="9"
    )["TENSOR"]
    assert (tensor[25:, 25:] == 255).all()
    assert (tensor[:25] == 9).all()
    assert (tensor[:, :25] == 9).all()


@pytest.mark.parametrize("box", [(1000, 1000, 10, 10), (-9e6, 0, 10, 10), (0, -500, 40, 400)])
def test_a_box_beside_the_image_gives_the_fill_value(preprocess, encode, ramp, box):
    tensor = preprocess(encode(ramp(40, 40), "PNG"), box, size=(32, 32), padding="1", fill="3")[
        "TENSOR"
    ]
    assert (tensor == 3).all()


@pytest.mark.parametrize("interpolation", ["linear", "area", "cubic"])
@pytest.mark.parametrize("box", [(-8e6, -8e6, 1.6e7, 1.6e7), (20, 20, 1e-6, 1e-6), (0, 0, 1, 40)])
def test_extreme_boxes_are_served(preprocess, encode, ramp, interpolation, box):
    outputs = preprocess(encode(ramp(40, 40), "PNG"), box, size=(32, 32), fit="stretch")
    assert np.isfinite(outputs["INVERSE_TRANSFORM"]).all()


@pytest.mark.parametrize("interpolation", ["linear", "area"])
@pytest.mark.parametrize("shape", [(70_000, 2), (2, 70_000)])
def test_an_image_longer_than_16_bits_count(preprocess, encode, ramp, interpolation, shape):
    data = encode(ramp(*shape), "PNG")
    outputs = preprocess(data, size=(32, 32), fit="stretch", interpolation=interpolation)
    axis = 0 if shape[0] > 2 else 1
    x_or_y = positions(outputs, (32, 32))[axis]
    shown = outputs["TENSOR"][..., axis].astype(float)
    assert np.abs(shown - (20 + 215 * x_or_y / 69_999)).max() <= 2


def test_area_averages_what_linear_skips(preprocess, encode):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    data = encode(stripes, "PNG")
    tensor = preprocess(data, size=(16, 16), fit="stretch", interpolation="area")["TENSOR"]
    assert np.abs(tensor.astype(int) - 64).max() <= 1


def test_a_jpeg_decoded_smaller_is_averaged_and_one_that_is_not_is_sampled(preprocess, encode):
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::4] = 255
    data = encode(stripes, "JPEG", quality=100, subsampling=0)
    smaller, whole = (
        preprocess(data, size=(16, 16), fit="stretch", reduced_decode=value)["TENSOR"].astype(int)
        for value in ("true", "false")
    )
    assert np.abs(smaller - 64).max() <= 2
    assert np.abs(whole - 64).min() > 30


@pytest.mark.parametrize("factor", [4, 8])
def test_a_progressive_jpeg_decoded_smaller_shows_what_a_sequential_one_shows(
    preprocess, encode, factor
):
    noise = np.random.default_rng(2).normal(128, 40, (160, 240, 3)).clip(0, 255).astype(np.uint8)
    sequential, progressive = (
        preprocess(
            encode(noise, "JPEG", quality=90, progressive=value),
            size=(240 // factor, 160 // factor),
            fit="stretch",
        )["TENSOR"].astype(int)
        for value in (False, True)
    )
    assert np.abs(sequential - progressive).mean() < 1.5


@pytest.mark.parametrize(
    ("interpolation", "zoom"), [("linear", 2), ("cubic", 2), ("area", 0.25), ("area", 0.3)]
)
def test_a_crop_shows_what_a_larger_crop_shows_there(preprocess, encode, interpolation, zoom):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    data = encode(noise, "PNG")
    larger = preprocess(
        data,
        (20, 40, 120, 80),
        size=(int(120 * zoom), int(80 * zoom)),
        fit="stretch",
        interpolation=interpolation,
    )["TENSOR"].astype(int)
    part = preprocess(
        data,
        (60, 60, 60, 40),
        size=(int(60 * zoom), int(40 * zoom)),
        fit="stretch",
        interpolation=interpolation,
    )["TENSOR"].astype(int)
    top, left = round(20 * zoom), round(40 * zoom)
    expected = larger[top : top + part.shape[0], left : left + part.shape[1]]
    # OpenCV rounds coordinates to a fraction of a pixel.
    assert np.abs(part - expected).max() <= 8


def test_cubic_overshoots_at_an_edge_and_linear_does_not(preprocess, encode):
    edge = np.full((40, 40, 3), 100, np.uint8)
    edge[:, 20:] = 200
    data = encode(edge, "PNG")
    highest = {
        name: preprocess(data, size=(160, 160), interpolation=name)["TENSOR"].max()
        for name in ("linear", "cubic", "area")
    }
    assert highest["cubic"] > 203
    assert highest["linear"] == highest["area"] == 200
