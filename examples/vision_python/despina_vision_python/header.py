"""Reads what an encoded image says of itself, without decoding it.

``read_header`` walks the container once, from its first byte to its end marker, so that size
limits are enforced before a decoder allocates anything, and a file that was cut off is refused
instead of being decoded in part.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

Format = Literal["JPEG", "PNG", "BMP", "WebP"]

MAX_SCANS = 100
"""Scans of a progressive JPEG. Encoders write about ten; each costs the decoder a pass over the
whole image, which makes a small file of thousands of scans an attack."""


class ImageError(ValueError):
    """The image is refused. The text continues a sentence that begins with the image's name."""


@dataclass(frozen=True)
class Limits:
    """What an image may ask for.

    Attributes:
        max_pixels: width times height.
        max_bytes: length of the encoded image.
    """

    max_pixels: int = 50_000_000
    max_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True)
class ImageHeader:
    """What an encoded image says of itself.

    Attributes:
        format: its container.
        width, height: in pixels as stored, before the orientation is applied.
        orientation: the EXIF orientation, 1 to 8; 1 where the image names none.
    """

    format: Format
    width: int
    height: int
    orientation: int = 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height in pixels once the orientation is applied."""
        if self.orientation >= 5:
            return self.height, self.width
        return self.width, self.height


def read_header(data: bytes, limits: Limits) -> ImageHeader:
    """Finds format, size and orientation of an encoded image.

    Raises:
        ImageError: it is empty, of an unknown format, cut off, without pixels, malformed in its
            container, or larger than the limits.
    """
    if not data:
        raise ImageError("is empty")
    if len(data) > limits.max_bytes:
        raise ImageError(f"has {len(data)} bytes, more than max_bytes = {limits.max_bytes}")
    for image_format, signature, reader in _READERS:
        if signature.match(data):
            try:
                return reader(data, limits)
            except struct.error:
                raise _truncated(image_format) from None
    raise ImageError(f"is not a JPEG, PNG, BMP or WebP image (first bytes {data[:8].hex(' ')})")


def _truncated(image_format: Format) -> ImageError:
    return ImageError(f"is a truncated {image_format}: it ends before its last part")


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width <= 0 or height <= 0:
        raise ImageError(f"is {width} x {height} pixels: there is nothing in it")
    if width * height > limits.max_pixels:
        raise ImageError(
            f"is {width} x {height} pixels, more than max_pixels = {limits.max_pixels}"
        )


# Marker codes of JPEG, ITU-T T.81 table B.1. The scan data between markers may hold stuffed
# zeros (FF 00), restart markers (FF D0 to FF D7) and fill bytes (FF FF): none of them ends it.
_JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
_SOI, _EOI, _SOS, _APP1, _APP14 = 0xD8, 0xD9, 0xDA, 0xE1, 0xEE
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _read_jpeg(data: bytes, limits: Limits) -> ImageHeader:
    size: tuple[int, int] | None = None
    orientation: int | None = None
    components = scans = 0
    adobe = False
    for marker, segment in _jpeg_segments(data):
        if marker in _SOF:
            if size is not None:
                raise ImageError("is a malformed JPEG: it has two frame headers")
            height, width, components = struct.unpack_from(">xHHB", segment)
            _check_size(width, height, limits)
            size = width, height
        elif marker == _APP1 and orientation is None and segment.startswith(b"Exif\0\0"):
            orientation = _exif_orientation(segment[6:])
        elif marker == _APP14:
            adobe = adobe or segment.startswith(b"Adobe")
        elif marker == _SOS:
            scans += 1
            if scans > MAX_SCANS:
                raise ImageError(f"is a JPEG of more than {MAX_SCANS} scans")
    if size is None or not scans:
        raise ImageError("is a malformed JPEG: it holds no picture")
    if components == 4 and not adobe:
        # Without the marker nobody can tell ink from its absence.
        raise ImageError("is a CMYK JPEG without an Adobe marker, which is not supported")
    return ImageHeader("JPEG", *size, orientation or 1)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each segment up to the end marker, without marker and length. What follows is not ours."""
    at = 2
    while match := _JPEG_MARKER.search(data, at):
        marker, at = data[match.end() - 1], match.end()
        if marker == _EOI:
            return
        if marker == _SOI:
            raise ImageError("is a malformed JPEG: an image begins inside another")
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2:
            raise ImageError("is a malformed JPEG: a segment is shorter than its own length")
        yield marker, data[at + 2 : at + length]
        at += length
    raise _truncated("JPEG")


def _read_png(data: bytes, limits: Limits) -> ImageHeader:
    length, kind, width, height = struct.unpack_from(">I4sII", data, 8)
    if kind != b"IHDR" or length != 13:
        raise ImageError("is a malformed PNG: it does not begin with its header")
    _check_size(width, height, limits)
    orientation, has_pixels, at = 1, False, 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        body, at = at + 8, at + 12 + length
        if at > len(data):
            raise _truncated("PNG")
        if kind == b"IEND":
            break
        if kind == b"eXIf":
            orientation = _exif_orientation(data[body : body + length])
        has_pixels = has_pixels or kind == b"IDAT"
    if not has_pixels:
        raise ImageError("is a malformed PNG: it holds no picture")
    return ImageHeader("PNG", width, height, orientation)


def _read_bmp(data: bytes, limits: Limits) -> ImageHeader:
    pixels_at, header_size = struct.unpack_from("<II", data, 10)
    if header_size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    elif header_size < 40:
        raise ImageError(f"is a malformed BMP: its header has {header_size} bytes")
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    # A negative height says that the rows are stored from top to bottom.
    height = abs(height)
    _check_size(width, height, limits)
    run_length_encoded = compression in (1, 2)
    row_bytes = (width * bits + 31) // 32 * 4
    if not run_length_encoded and pixels_at + row_bytes * height > len(data):
        raise _truncated("BMP")
    return ImageHeader("BMP", width, height)


def _read_webp(data: bytes, limits: Limits) -> ImageHeader:
    (riff_size,) = struct.unpack_from("<I", data, 4)
    width, height = _webp_size(data)
    _check_size(width, height, limits)
    end = 8 + riff_size
    if end > len(data):
        raise _truncated("WebP")
    orientation, at = 1, 12
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        body, at = at + 8, at + 8 + length + length % 2
        if body + length > end:
            raise _truncated("WebP")
        if kind == b"EXIF":
            exif = data[body : body + length]
            # The specification has no prefix here, some writers keep that of JPEG.
            orientation = _exif_orientation(exif.removeprefix(b"Exif\0\0"))
    return ImageHeader("WebP", width, height, orientation)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height from the first chunk: lossy, lossless or extended."""
    kind = data[12:16]
    if kind == b"VP8 ":
        start_code, width, height = struct.unpack_from("<3sHH", data, 23)
        if start_code != b"\x9d\x01\x2a":
            raise ImageError("is a malformed WebP: its frame does not begin with the start code")
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        mark, bits = struct.unpack_from("<BI", data, 20)
        if mark != 0x2F:
            raise ImageError("is a malformed WebP: its frame does not begin with the signature")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)
        return (high_w << 16 | low_w) + 1, (high_h << 16 | low_h) + 1
    if len(data) < 16:
        raise _truncated("WebP")
    raise ImageError("is a malformed WebP: it does not begin with a picture")


def _exif_orientation(tiff: bytes) -> int:
    """The orientation in the first directory of an EXIF block; 1 if it is absent or damaged.

    A photo with a broken EXIF block is still a photo: viewers show it as stored, and so do we.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, directory)
        for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
            tag, datatype, count, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if (tag, datatype, count) == (0x0112, 3, 1):
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


_READERS: tuple[tuple[Format, re.Pattern[bytes], Callable[[bytes, Limits], ImageHeader]], ...] = (
    ("JPEG", re.compile(rb"\xff\xd8\xff"), _read_jpeg),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n"), _read_png),
    ("BMP", re.compile(rb"BM"), _read_bmp),
    ("WebP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL), _read_webp),
)
