"""Bad images and boxes are refused with INVALID_ARGUMENT and a text that says what is wrong."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from despina_sdk import BackendError, Code

FORMATS = ["JPEG", "PNG", "BMP", "WEBP"]


def refused(preprocess, data, text, box=None, **parameters):
    with pytest.raises(BackendError, match=text) as caught:
        preprocess(data, box, size=(32, 32), **parameters)
    assert caught.value.code == Code.INVALID_ARGUMENT


def png_that_claims(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + body + struct.pack(">I", zlib.crc32(body))


def test_an_empty_image(preprocess):
    refused(preprocess, b"", "^IMAGE is empty$")


def test_what_is_no_image(preprocess):
    refused(
        preprocess,
        b"GIF89a\x01\x00\x01\x00",
        r"^IMAGE is not a JPEG, PNG, BMP or WebP image \(first bytes 47 49 46 38 39 61 01 00\)$",
    )


def test_a_size_beyond_the_limit_is_refused_from_the_header(preprocess):
    text = "^IMAGE is 30000 x 30000 pixels, more than max_pixels = 50000000$"
    refused(preprocess, png_that_claims(30000, 30000), text)


@pytest.mark.parametrize("image_format", FORMATS)
def test_the_limit_of_pixels_holds_in_each_format(preprocess, encode, picture, image_format):
    data = encode(picture, image_format)
    refused(preprocess, data, "IMAGE is 83 x 61 pixels, more than", max_pixels=str(83 * 61 - 1))
    preprocess(data, size=(32, 32), max_pixels=str(83 * 61))


def test_more_bytes_than_the_limit(preprocess, encode, picture):
    data = encode(picture, "BMP")
    text = f"^IMAGE has {len(data)} bytes, more than max_bytes = 1000$"
    refused(preprocess, data, text, max_bytes="1000")


def test_no_pixels(preprocess):
    refused(preprocess, png_that_claims(0, 10), "IMAGE is 0 x 10 pixels")


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_file_cut_off(preprocess, encode, picture, image_format, progressive, share):
    data = encode(picture, image_format, progressive=progressive)
    refused(preprocess, data[: int(len(data) * share)], "^IMAGE is a truncated ")


def test_a_jpeg_without_its_end_marker(preprocess, encode, picture):
    refused(preprocess, encode(picture, "JPEG")[:-2], "^IMAGE is a truncated JPEG")


def test_pixels_that_do_not_inflate(preprocess, encode, picture):
    data = bytearray(encode(picture, "PNG"))
    data[data.index(b"IDAT") + 40] ^= 0xFF
    refused(preprocess, bytes(data), "^IMAGE is a PNG that cannot be decoded")


def test_a_jpeg_whose_tables_are_broken(preprocess, encode, picture):
    data = bytearray(encode(picture, "JPEG"))
    data[data.index(b"\xff\xc4") + 5 : data.index(b"\xff\xc4") + 20] = b"\xff" * 15
    refused(preprocess, bytes(data), "^IMAGE is a JPEG that cannot be decoded: ")


def test_a_small_jpeg_of_very_many_scans(preprocess, encode, picture):
    data = encode(picture, "JPEG", progressive=True)
    last_scan = data.rindex(b"\xff\xda")
    bomb = data[:-2] + data[last_scan:-2] * 200 + data[-2:]
    refused(preprocess, bomb, "^IMAGE is a JPEG of more than 100 scans$")


@pytest.mark.parametrize("size", [0, 5, 39])
def test_a_bmp_whose_header_is_shorter_than_what_is_read_of_it(preprocess, encode, picture, size):
    data = bytearray(encode(picture, "BMP"))
    struct.pack_into("<I", data, 14, size)
    refused(preprocess, bytes(data), f"^IMAGE is a malformed BMP: its header has {size} bytes$")


@pytest.mark.parametrize(
    "box",
    [(0, 0, np.nan, 10), (np.inf, 0, 10, 10), (0, 0, 10, 0), (0, 0, -5, 10), (3e38, 0, 10, 10)],
    ids=str,
)
def test_a_box_that_is_none(preprocess, encode, picture, box):
    refused(preprocess, encode(picture, "PNG"), r"^BOX is \[", box=box)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    image_format=st.sampled_from(FORMATS),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
)
def test_a_damaged_file_is_served_or_refused(
    make_instance, execute, encode, picture, image_format, changes
):
    data = bytearray(encode(picture[::4, ::4].copy(), image_format))
    for where, value in changes:
        # The header, where damage is most interesting, gets half of it.
        data[int(where**2 * len(data))] = value
    instance = make_instance("image_preprocess", width="16", height="16", max_pixels="100000")
    (request,) = execute(instance, {"IMAGE": np.array([[bytes(data)]], object)})
    if request.error is None:
        assert request.outputs["TENSOR"].shape == (1, 3, 16, 16)
    else:
        assert request.error.code == Code.INVALID_ARGUMENT
        assert request.error.message.startswith("IMAGE ")
