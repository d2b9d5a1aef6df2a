"""A small file that claims a large picture is refused before any memory is taken for it."""

from __future__ import annotations

import os
import re
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from despina_sdk import BackendError, Code

SIDE = 8000  # 64 megapixels, 192 MB of pixels
BOUND = 16 << 20


def jpeg(encode, picture):
    data = bytearray(encode(picture, "JPEG"))
    frame = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, frame + 5, SIDE, SIDE)
    return bytes(data)


def png(encode, picture):
    data = bytearray(encode(picture, "PNG"))
    struct.pack_into(">II", data, 16, SIDE, SIDE)
    struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    return bytes(data)


def bmp(encode, picture):
    """Run-length encoded: two bytes are enough for the whole of it."""
    header = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 8, 1, 2, 0, 0, 1, 0)
    return b"BM" + struct.pack("<IHHI", 60, 0, 0, 58) + header + bytes(4) + b"\0\1"


def webp_lossy(encode, picture):
    data = bytearray(encode(picture, "WEBP"))
    struct.pack_into("<HH", data, data.index(b"\x9d\x01\x2a") + 3, SIDE, SIDE)
    return bytes(data)


def webp_lossless(encode, picture):
    data = bytearray(encode(picture, "WEBP", lossless=True))
    (bits,) = struct.unpack_from("<I", data, 21)
    struct.pack_into("<I", data, 21, bits & 0xF0000000 | (SIDE - 1) << 14 | (SIDE - 1))
    return bytes(data)


BOMBS = [jpeg, png, bmp, webp_lossy, webp_lossless]


def kilobytes(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1])


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that the process had at most, beyond what it had before."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = kilobytes("VmRSS")
    work()
    return (kilobytes("VmHWM") - before) * 1024


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_before_memory_is_taken(preprocess, encode, picture, bomb):
    data = bomb(encode, picture)
    assert len(data) < 10_000

    def send():
        with pytest.raises(BackendError, match=f"IMAGE is {SIDE} x {SIDE} pixels, more than"):
            preprocess(data, size=(32, 32))

    send()
    assert peak_of(send) < BOUND


@pytest.mark.parametrize("before", [b"iTXttext\0\1\0\0\0", b"zTXttext\0\0"])
def test_what_a_png_says_beside_its_pixels_is_not_inflated(preprocess, encode, picture, before):
    body = before + zlib.compress(b"a" * (8 << 20), 9)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data = encode(picture, "PNG")
    bomb = data[:33] + chunk * 10 + data[33:]  # behind the header
    served = []
    assert peak_of(lambda: served.append(preprocess(bomb, size=(32, 32)))) < BOUND
    assert np.array_equal(served[0]["TENSOR"], preprocess(data, size=(32, 32))["TENSOR"])


def test_the_bound_would_notice_memory_that_is_taken(preprocess, encode, picture):
    data = jpeg(encode, picture)
    peak = peak_of(
        lambda: preprocess(data, size=(32, 32), max_pixels=str(2**30), reduced_decode="false")
    )
    assert peak > 8 * BOUND


def test_an_instance_does_not_keep_the_memory_of_a_large_image(
    make_instance, execute, encode, picture
):
    instance = make_instance(
        "image_preprocess", width="32", height="32", max_pixels=str(2**30), reduced_decode="false"
    )
    sent = {"IMAGE": np.array([[jpeg(encode, picture)]], object)}
    before = kilobytes("VmRSS")
    (request,) = execute(instance, sent)
    assert request.error is None
    assert (kilobytes("VmRSS") - before) * 1024 < 2 * BOUND


@contextmanager
def at_most(more: int) -> Iterator[None]:
    """The process cannot take more bytes than that from the system."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (kilobytes("VmSize") * 1024 + more, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def passes_alone(request: pytest.FixtureRequest) -> bool:
    """Runs the test again in a process of its own, where other tests have left no free memory.

    Returns:
        Whether that was done; otherwise this is that process.
    """
    if "DESPINA_TEST_ALONE" in os.environ:
        return False
    test = f"{request.path}::{request.node.name}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    environment = os.environ | {"DESPINA_TEST_ALONE": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout
    return True


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP"])
def test_memory_that_a_codec_lacks_is_not_taken_for_a_corrupt_image(
    request, preprocess, encode, picture, image_format
):
    """Its pixels are 48 MB, the codec needs 64 MB or more besides."""
    if "python" in request.node.callspec.id:
        pytest.skip("OpenCV does not say which it is")
    if passes_alone(request):
        return
    large = np.zeros((4000, 4000, 3), np.uint8)
    large[: picture.shape[0], : picture.shape[1]] = picture  # more colours than a palette has
    data = encode(large, image_format, progressive=True, subsampling=0, lossless=True, method=0)
    with at_most(80 << 20), pytest.raises(BackendError, match="^out of memory$") as caught:
        preprocess(data, size=(32, 32), reduced_decode="false")
    assert caught.value.code == Code.RESOURCE_EXHAUSTED
