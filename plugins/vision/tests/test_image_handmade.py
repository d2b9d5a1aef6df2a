"""Kinds of PNG and BMP that promise the same pixels but that few encoders write: made by hand."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
HEIGHT, WIDTH = 11, 18
COLOURS = RANDOM.integers(0, 256, (16, 3), np.uint8)
INDICES = RANDOM.integers(0, 16, (HEIGHT, WIDTH), np.uint8)
PICTURE = COLOURS[INDICES]
GREY, PALETTE, RGB, GREY_ALPHA, RGBA = 0, 3, 2, 4, 6


@pytest.fixture
def shown(preprocess):
    def run(data):
        return preprocess(data, size=(WIDTH, HEIGHT), fit="stretch")["TENSOR"].astype(int)

    return run


def packed(values, bits):
    """[height, width] of so many bits each, from the upper ones of a byte on."""
    separate = np.unpackbits(values[..., None], axis=2)[..., 8 - bits :]
    return np.packbits(separate.reshape(len(values), -1), axis=1)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def filtered(rows):
    """Each row behind the number of its filter: none."""
    return b"".join(b"\0" + row.tobytes() for row in rows)


def png(pixels, bits, kind, *chunks, interlaced=False):
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, kind, 0, 0, interlaced)
    parts = [chunk(b"IHDR", header), *chunks]
    parts += [chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("transparent", [(), (chunk(b"tRNS", b"\0\1"),)], ids=["", "transparent"])
def test_png_of_grey_in_fewer_bits_than_8(shown, bits, transparent):
    values = INDICES % (1 << bits)
    data = png(filtered(packed(values, bits)), bits, GREY, *transparent)
    most = (1 << bits) - 1
    assert np.array_equal(shown(data), np.repeat(values[..., None] * (255 // most), 3, axis=2))


@pytest.mark.parametrize("kind", [GREY, RGB, GREY_ALPHA, RGBA])
def test_png_of_16_bits_gives_the_upper_8(shown, kind):
    channels = {GREY: 1, RGB: 3, GREY_ALPHA: 2, RGBA: 4}[kind]
    pixels = RANDOM.integers(0, 1 << 16, (HEIGHT, WIDTH, channels)).astype(">u2")
    colours = (pixels >> 8)[..., : 3 if kind in (RGB, RGBA) else 1]
    expected = np.broadcast_to(colours, (HEIGHT, WIDTH, 3))
    # Codecs differ in the rounding of the last bit.
    assert np.abs(shown(png(filtered(pixels), 16, kind)) - expected).max() <= 1


@pytest.mark.parametrize("bits", [4, 8])
def test_png_of_a_palette_with_transparent_colours_keeps_the_colours(shown, bits):
    chunks = chunk(b"PLTE", COLOURS.tobytes()), chunk(b"tRNS", bytes(range(16)))
    data = png(filtered(packed(INDICES, bits)), bits, PALETTE, *chunks)
    assert np.array_equal(shown(data), PICTURE)


def test_png_with_one_transparent_colour_keeps_it(shown):
    transparent = chunk(b"tRNS", struct.pack(">HHH", *PICTURE[0, 0].tolist()))
    assert np.array_equal(shown(png(filtered(PICTURE), 8, RGB, transparent)), PICTURE)


def test_png_that_is_interlaced(shown):
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    pixels = b"".join(
        filtered(np.ascontiguousarray(PICTURE[top::down, left::across]))
        for left, top, across, down in [*passes, (0, 1, 1, 2)]
    )
    assert np.array_equal(shown(png(pixels, 8, RGB, interlaced=True)), PICTURE)


def padded(rows):
    """From the last row to the first, each to a multiple of four bytes."""
    stored = [row.tobytes() for row in rows[::-1]]
    return b"".join(row + bytes(-len(row) % 4) for row in stored)


def bmp(pixels, bits, compression=0, palette=b"", masks=b"", header_bytes=40):
    """The masks are in the header, or behind it where they have no room in it."""
    sizes = header_bytes, WIDTH, HEIGHT, 1, bits, compression, len(pixels), 0, 0, len(palette) // 4
    header = struct.pack("<IiiHHIIiiII", *sizes, 0) + masks.ljust(header_bytes - 40, b"\0")
    begin = 14 + len(header) + len(palette)
    file_header = b"BM" + struct.pack("<IHHI", begin + len(pixels), 0, 0, begin)
    return file_header + header + palette + pixels


BMP_PALETTE = b"".join(bytes([*colour[::-1], 0]) for colour in COLOURS)


@pytest.mark.parametrize("bits", [4, 8])
def test_bmp_of_a_palette_of_fewer_colours_than_its_bits_can_name(shown, bits):
    data = bmp(padded(packed(INDICES, bits)), bits, palette=BMP_PALETTE)
    assert np.array_equal(shown(data), PICTURE)


@pytest.mark.parametrize("widths", [(5, 5, 5), (5, 6, 5)], ids=str)
def test_bmp_of_16_bits(shown, widths):
    values = [RANDOM.integers(0, 1 << width, (HEIGHT, WIDTH)) for width in widths]
    shifts = widths[1] + widths[2], widths[2], 0
    pixels = sum(value << shift for value, shift in zip(values, shifts, strict=True))
    masks = [((1 << width) - 1) << shift for width, shift in zip(widths, shifts, strict=True)]
    by_masks = {"compression": 3, "masks": struct.pack("<III", *masks)}
    data = bmp(padded(pixels.astype("<u2")), 16, **({} if widths == (5, 5, 5) else by_masks))
    most = [(1 << width) - 1 for width in widths]
    expected = np.stack([value * 255 / top for value, top in zip(values, most, strict=True)], 2)
    # OpenCV fills up with zeros: the most that 5 bits can say becomes 248.
    assert np.abs(shown(data) - expected).max() <= 7


def test_bmp_of_32_bits_whose_masks_say_the_order(shown):
    alpha = np.full((HEIGHT, WIDTH, 1), 7, np.uint8)
    pixels = np.concatenate([alpha, PICTURE], axis=2)  # the first byte is the lowest
    masks = struct.pack("<IIII", 0xFF00, 0xFF0000, 0xFF000000, 0xFF)
    data = bmp(padded(pixels), 32, 3, masks=masks, header_bytes=108)
    assert np.array_equal(shown(data), PICTURE)


def runs(row, bits):
    """Two runs of one pixel, the others one by one, and the end of the row."""
    step = 4 if bits == 4 else 0
    first = b"".join(bytes([1, int(index) << step]) for index in row[:2])
    literals = packed(row[None, 2:], bits).tobytes()
    return first + bytes([0, len(row) - 2]) + literals + bytes(len(literals) % 2) + b"\0\0"


@pytest.mark.parametrize(("bits", "compression"), [(8, 1), (4, 2)])
def test_bmp_run_length_encoded(shown, bits, compression):
    pixels = b"".join(runs(row, bits) for row in INDICES[::-1]) + b"\0\1"
    data = bmp(pixels, bits, compression, palette=BMP_PALETTE)
    assert np.array_equal(shown(data), PICTURE)


def test_bmp_run_length_encoded_whose_runs_are_cut_off(shown):
    data = bmp(runs(INDICES[-1], 8)[:-4], 8, 1, palette=BMP_PALETTE)
    with pytest.raises(Exception, match="^IMAGE is a BMP that cannot be decoded: its data is corr"):
        shown(data)
