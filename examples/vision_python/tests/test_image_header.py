"""The header reader: what it finds, and that nothing makes it do more than refuse."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from despina_vision_python.header import ImageError, ImageHeader, Limits, read_header

FORMATS = {"JPEG": "JPEG", "PNG": "PNG", "BMP": "BMP", "WEBP": "WebP"}
LIMITS = Limits()
SIGNATURES = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF\xff\0\0\0WEBPVP8X", b""]


def exif_with(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("image_format", FORMATS)
def test_finds_format_and_size(encode, picture, image_format):
    header = read_header(encode(picture, image_format), LIMITS)
    assert header == ImageHeader(FORMATS[image_format], 83, 61, 1)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9, 77])
def test_finds_the_orientation_and_takes_an_impossible_one_for_1(
    encode, picture, image_format, orientation
):
    header = read_header(encode(picture, image_format, exif=exif_with(orientation)), LIMITS)
    assert header.orientation == (orientation if 1 <= orientation <= 8 else 1)
    assert header.upright_size == ((61, 83) if header.orientation >= 5 else (83, 61))


def test_reads_exif_of_either_byte_order(encode, picture):
    for order, mark in ((">", b"MM"), ("<", b"II")):
        entry = struct.pack(order + "HHHIHH", 1, 0x0112, 3, 1, 6, 0)
        tiff = mark + struct.pack(order + "HI", 42, 8) + entry
        data = encode(picture, "JPEG", exif=b"Exif\0\0" + tiff)
        assert read_header(data, LIMITS).orientation == 6


def test_reads_the_oldest_bitmap_header(picture):
    row = b"\0" * 12
    header = struct.pack("<IHHHH", 12, 4, 2, 1, 24)
    data = b"BM" + struct.pack("<IHHI", 26 + 24, 0, 0, 26) + header + row * 2
    assert read_header(data, LIMITS) == ImageHeader("BMP", 4, 2)


@pytest.mark.parametrize("image_format", FORMATS)
def test_refuses_every_proper_beginning_of_a_file(encode, picture, image_format):
    data = encode(picture[::8, ::8].copy(), image_format)
    read_header(data, LIMITS)
    for length in range(len(data)):
        with pytest.raises(ImageError):
            read_header(data[:length], LIMITS)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x00\x00\x10\x01\x01\x11\x00", "16 x 0 pixels"),
        (b"\xff\xd8\xff\xe0\x00\x01", "shorter than its own length"),
        (b"\xff\xd8\xff\xd8\xff", "begins inside another"),
        (b"\xff\xd8\xff\xd9", "holds no picture"),
        (b"\xff\xd8" + b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00" * 2, "two frame"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIDAT" + bytes(17), "does not begin with its header"),
        (b"RIFF\x20\0\0\0WEBPVP8 " + bytes(20), "start code"),
        (b"RIFF\x20\0\0\0WEBPVP8L" + bytes(20), "signature"),
        (b"RIFF\x20\0\0\0WEBPJUNK" + bytes(20), "does not begin with a picture"),
        (b"RIFF\x20\0\0\0WEBPVP8X" + bytes(8) + b"\xff" * 6 + bytes(6), "more than max_pixels"),
        (b"BM" + bytes(12) + struct.pack("<Iii", 40, -5, 5) + bytes(24), "-5 x 5 pixels"),
    ],
)
def test_says_what_is_malformed(data, text):
    with pytest.raises(ImageError, match=text):
        read_header(data, LIMITS)


@settings(max_examples=400)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_arbitrary_bytes_are_read_or_refused(signature, rest):
    try:
        header = read_header(signature + rest, LIMITS)
    except ImageError:
        return
    assert 0 < header.width * header.height <= LIMITS.max_pixels
    assert 1 <= header.orientation <= 8


@settings(max_examples=200, deadline=None)
@given(data=st.data(), image_format=st.sampled_from(list(FORMATS)))
def test_damaged_files_are_read_or_refused(data, image_format, encode, picture):
    content = bytearray(encode(picture[::8, ::8].copy(), image_format, exif=exif_with(6)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = read_header(bytes(content), LIMITS)
    except ImageError:
        return
    assert 0 < header.width * header.height <= LIMITS.max_pixels
