"""image_preprocess decodes every kind of image that it promises to the pixels it should show.

``stretch`` to the image's own size is the identity, so the tensor is the decoded image.
"""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps


def shown(preprocess, data, size=(83, 61)):
    outputs = preprocess(data, size=size, fit="stretch")
    assert outputs["IMAGE_SIZE"].tolist() == list(size)
    return outputs["TENSOR"].astype(int)


def grey_of(picture):
    return np.asarray(Image.fromarray(picture).convert("L"))


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"quality": 100, "subsampling": 0}, 5),
        ({"quality": 95}, 16),
        ({"quality": 100, "subsampling": 0, "progressive": True}, 5),
        ({"quality": 100, "subsampling": 0, "restart_marker_blocks": 2}, 5),
    ],
    ids=["baseline", "subsampled", "progressive", "restart-markers"],
)
def test_jpeg_in_colour(preprocess, encode, picture, options, tolerance):
    pixels = shown(preprocess, encode(picture, "JPEG", **options))
    assert np.abs(pixels - picture).max() <= tolerance


def test_jpeg_of_one_component_fills_all_channels(preprocess, encode, picture):
    grey = grey_of(picture)
    pixels = shown(preprocess, encode(grey, "JPEG", quality=100))
    assert np.abs(pixels - grey[..., None]).max() <= 3


def test_jpeg_in_cmyk_as_adobe_writes_it(preprocess, encode, picture):
    cmyk = Image.fromarray(picture).convert("CMYK")
    pixels = shown(preprocess, encode(cmyk, "JPEG", quality=100))
    assert np.abs(pixels - picture).max() <= 5


def test_jpeg_in_ycck(preprocess, encode, picture):
    # Pillow writes no YCCK. Its CMYK writer stores 255 - value in each channel and the marker
    # says "no transform"; given Y, Cb, Cr and black, and with the marker changed, it is YCCK,
    # whose Y, Cb, Cr are those of the complement.
    ycc = np.asarray(Image.fromarray(255 - picture).convert("YCbCr"))
    no_black = np.full((61, 83, 1), 255, np.uint8)
    stored = np.concatenate([ycc, no_black], axis=2)
    data = encode(Image.fromarray(255 - stored, "CMYK"), "JPEG", quality=100)
    marker = data.index(b"Adobe")
    data = data[: marker + 11] + b"\x02" + data[marker + 12 :]
    with Image.open(io.BytesIO(data)) as opened:
        reference = np.asarray(opened.convert("RGB")).astype(int)
    pixels = shown(preprocess, data)
    assert np.abs(reference - picture).max() <= 6, "the test's own image is not what it should be"
    assert np.abs(pixels - picture).max() <= 6


def test_jpeg_in_cmyk_without_adobe_marker_is_refused(preprocess, encode, picture):
    data = encode(Image.fromarray(picture).convert("CMYK"), "JPEG")
    with pytest.raises(Exception, match="CMYK JPEG without an Adobe marker"):
        shown(preprocess, data.replace(b"Adobe", b"adobE"))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB"])
def test_png_without_alpha(preprocess, encode, picture, mode):
    image = Image.fromarray(picture).convert(mode)
    pixels = shown(preprocess, encode(image, "PNG"))
    assert np.array_equal(pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_alpha_is_dropped_not_composited(preprocess, encode, picture, image_format):
    alpha = np.linspace(0, 255, picture[..., 0].size).reshape(61, 83, 1).astype(np.uint8)
    rgba = np.concatenate([picture, alpha], axis=2)
    data = encode(rgba, image_format, lossless=True, exact=True)
    assert np.array_equal(shown(preprocess, data), picture)


def test_png_of_grey_with_alpha(preprocess, encode, picture):
    grey = grey_of(picture)
    image = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(grey)])
    pixels = shown(preprocess, encode(image, "PNG"))
    assert np.array_equal(pixels, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA"])
def test_bmp(preprocess, encode, picture, mode):
    image = Image.fromarray(picture).convert(mode)
    pixels = shown(preprocess, encode(image, "BMP"))
    assert np.array_equal(pixels, np.asarray(image.convert("RGB")))


def test_bmp_stored_from_top_to_bottom(preprocess, encode, picture):
    data = bytearray(encode(picture[::-1], "BMP"))
    struct.pack_into("<i", data, 22, -61)
    assert np.array_equal(shown(preprocess, bytes(data)), picture)


def test_webp_lossless_and_lossy(preprocess, encode, picture):
    assert np.array_equal(shown(preprocess, encode(picture, "WEBP", lossless=True)), picture)
    lossy = shown(preprocess, encode(picture, "WEBP", quality=95))
    assert np.abs(lossy - picture).mean() < 4


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken(preprocess, encode, picture, image_format):
    second = Image.fromarray(picture[::-1].copy())
    data = encode(picture, image_format, save_all=True, append_images=[second], lossless=True)
    assert np.array_equal(shown(preprocess, data), picture)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(preprocess, encode, picture, image_format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if image_format == "JPEG" else {"lossless": True}
    data = encode(picture, image_format, exif=exif, **options)
    with Image.open(io.BytesIO(data)) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    pixels = shown(preprocess, data, size=(upright.shape[1], upright.shape[0]))
    assert np.abs(pixels - upright).max() <= (5 if image_format == "JPEG" else 0)


def test_a_damaged_exif_block_leaves_the_photo_as_stored(preprocess, encode, picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(picture, "JPEG", quality=100, subsampling=0, exif=exif)
    at = data.index(b"Exif\0\0") + 6
    damaged = data[: at + 4] + b"\xff\xff\xff\xff" + data[at + 8 :]
    assert np.abs(shown(preprocess, damaged) - picture).max() <= 5


def test_bytes_behind_the_end_of_a_jpeg_are_ignored(preprocess, encode, picture):
    data = encode(picture, "JPEG", quality=100, subsampling=0)
    assert np.abs(shown(preprocess, data + b"appended by a camera") - picture).max() <= 5
