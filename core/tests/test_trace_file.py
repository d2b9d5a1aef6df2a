"""The file of traces: an array that is whole, and what tensors look like in it."""

from __future__ import annotations

import json
import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from despina.engine import Trace
from despina.observe.trace_file import TraceFile, elements


def trace(number: int, request: str = "", model: str = "one") -> Trace:
    """As the engine makes one, of which nothing is known but its model."""
    nothing = {"parent_id": 0, "timestamps": [], "tensors": [], "steps": []}
    of = {"id": number, "model": model, "version": 1, "request_id": request}
    return cast("Trace", SimpleNamespace(**of, **nothing))


def numbers(file: Path) -> list[int]:
    return [entry["id"] for entry in json.loads(file.read_text())]


@contextmanager
def files_of(size: int) -> Iterator[None]:
    """No file grows beyond that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_file_is_whole_after_each_trace(tmp_path: Path):
    path = tmp_path / "traces.json"
    path.write_text("of an earlier run, and longer than a trace" * 10)
    file = TraceFile(str(path), lambda: 0)
    for number in range(3):
        file.write([trace(number)])
        assert numbers(path) == list(range(number + 1))
    file.close()
    assert numbers(path) == [0, 1, 2]


def test_a_trace_of_which_nothing_is_known_is_left_out(tmp_path: Path):
    """Of a request that was refused before it was looked at."""
    path = tmp_path / "traces.json"
    file = TraceFile(str(path), lambda: 2)
    file.write([trace(0, model="")])
    assert not path.with_suffix(".json.0").exists()
    file.write([trace(1), trace(2, model=""), trace(3)])
    file.close()
    assert numbers(path.with_suffix(".json.0")) == [1, 3]


def test_a_trace_that_finds_no_room_is_taken_back(tmp_path: Path):
    path = tmp_path / "traces.json"
    file = TraceFile(str(path), lambda: 0)
    with files_of(500):
        with pytest.raises(OSError, match="File too large"):
            file.write([trace(0, "x" * 1000)])
        assert path.read_text() == ""
        file.write([trace(1)])
        with pytest.raises(OSError, match="File too large"):
            file.write([trace(2), trace(3, "x" * 1000)])
        assert numbers(path) == [1, 2]
    file.write([trace(4)])
    file.close()
    assert numbers(path) == [1, 2, 4]


def test_a_file_that_cannot_be_opened_loses_the_traces_and_is_tried_again(tmp_path: Path):
    path = tmp_path / "traces.json"
    path.mkdir()
    file = TraceFile(str(path), lambda: 0)
    with pytest.raises(IsADirectoryError):
        file.write([trace(0)])
    path.rmdir()
    file.write([trace(1)])
    file.close()
    assert numbers(path) == [1]


@pytest.mark.parametrize(
    ("datatype", "data", "texts"),
    [
        ("BOOL", bytes([0, 1]), ["0", "1"]),
        ("UINT64", np.array([2**64 - 1], np.uint64).tobytes(), ["18446744073709551615"]),
        ("INT8", np.array([-1], np.int8).tobytes(), ["-1"]),
        ("FP16", np.array([0.5, 2], np.float16).tobytes(), ["0.5", "2"]),
        (
            "FP32",
            np.array([1, 2.5, math.nan, math.inf], "f4").tobytes(),
            ["1", "2.5", "nan", "inf"],
        ),
        ("FP64", np.array([0.1]).tobytes(), ["0.10000000000000001"]),
        ("BF16", bytes([0x80, 0x3F]), ["1"]),
        ("BYTES", b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0\xff", ["ab", "", "\ufffd"]),
        ("FP32", b"", []),
    ],
)
def test_elements_are_written_as_text(datatype: str, data: bytes, texts: list[str]):
    assert list(elements(datatype, data)) == texts
