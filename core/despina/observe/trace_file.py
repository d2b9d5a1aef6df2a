"""Traces in a file of Triton's form: an array of JSON objects."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from despina.engine import Trace
from despina.errors import DespinaError
from despina_sdk import Code

_FRONT = ("HTTP_RECV_START", "HTTP_RECV_END", "GRPC_WAITREAD_START", "GRPC_WAITREAD_END")
_BEFORE_COMPUTE = ("REQUEST_START", "QUEUE_START")
_COMPUTE = ("COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END")

_NUMPY = {
    "BOOL": np.uint8,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BF16": np.uint16,
}
_DIGITS = {"FP16": 5, "BF16": 4, "FP32": 9, "FP64": 17}
"""That tell every number of the datatype from its neighbours."""


class TraceFile:
    """A writer. The file is a whole array after each trace; one that is there is written over.

    Each trace is formatted first and then written at once, so that a reader rarely sees a part of
    one. A trace that finds no room on the disk is taken back.
    """

    def __init__(self, path: str, log_frequency: Callable[[], int]) -> None:
        """Opens nothing yet.

        Args:
            path: of the file.
            log_frequency: traces of one file; the files are ``path.0``, ``path.1``, ... then.
                0: all are in one.

        Raises:
            DespinaError: INVALID_ARGUMENT: its folder cannot be written to.
        """
        folder = Path(path).parent
        if not os.access(folder, os.W_OK | os.X_OK):
            text = f"the trace file '{path}': the folder '{folder}' cannot be written to"
            raise DespinaError(Code.INVALID_ARGUMENT, text)
        self._path, self._log_frequency = path, log_frequency
        self._file: FileIO | None = None
        self._size = self._in_file = self._index = 0

    def write(self, traces: Sequence[Trace]) -> None:
        """Appends traces, those of steps before their request's.

        Raises:
            OSError: the file could not be opened, or a trace not be written. What was written
                before is whole; that trace and those after it are lost.
        """
        for trace in traces:
            text = ",".join(json.dumps(each, separators=(",", ":")) for each in entries(trace))
            if not text:
                continue
            frequency = self._log_frequency()
            if self._file is None:
                name = f"{self._path}.{self._index}" if frequency else self._path
                self._file = Path(name).open("wb", buffering=0)  # noqa: SIM115 - over several calls
                self._size = self._in_file = 0
            self._append(self._file.fileno(), text)
            self._in_file += 1
            if frequency and self._in_file >= frequency:
                self._next()

    def close(self) -> None:
        """Closes the file that is open, if one is."""
        self._next()

    def _append(self, file: int, text: str) -> None:
        """Writes over the closing bracket, and puts it behind what is added."""
        data = f"{',' if self._size else '['}{text}]".encode()
        start = max(self._size - 1, 0)
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(file, data[written:], start + written)
        except OSError:
            os.ftruncate(file, self._size)
            if self._size:
                os.pwrite(file, b"]", start)
            raise
        self._size = start + written

    def _next(self) -> None:
        if self._file:
            self._file.close()
            self._file = None
            self._index += 1


def entries(trace: Trace) -> Iterator[dict[str, Any]]:
    """The objects of one trace and its steps."""
    for step in trace.steps:
        yield from entries(step)
    stamps = trace.timestamps
    yield from _stamps(trace, [each for each in stamps if each[0] in _FRONT])
    if trace.model:
        about = {"id": trace.id, "model_name": trace.model, "model_version": trace.version}
        if trace.request_id:
            about["request_id"] = trace.request_id
        if trace.parent_id:
            about["parent_id"] = trace.parent_id
        yield about
    yield from _stamps(trace, [each for each in stamps if each[0] in _BEFORE_COMPUTE])
    yield from _tensors(trace, "TENSOR_QUEUE_INPUT")
    yield from _stamps(trace, [each for each in stamps if each[0] in _COMPUTE])
    yield from _tensors(trace, "TENSOR_BACKEND_OUTPUT")
    known = (*_FRONT, *_BEFORE_COMPUTE, *_COMPUTE)
    yield from _stamps(trace, [each for each in stamps if each[0] not in known])


def _stamps(trace: Trace, stamps: list[tuple[str, int]]) -> Iterator[dict[str, Any]]:
    for name, nanoseconds in stamps:
        yield {"id": trace.id, "timestamps": [{"name": name, "ns": nanoseconds}]}


def _tensors(trace: Trace, activity: str) -> Iterator[dict[str, Any]]:
    for at, name, datatype, shape, data in trace.tensors:
        if at == activity:
            yield {
                "id": trace.id,
                "activity": activity,
                "tensor": {
                    "name": name,
                    "data": ",".join(elements(datatype, data)),
                    "shape": ",".join(map(str, shape)),
                    "dtype": datatype,
                },
            }


def elements(datatype: str, data: bytes) -> Iterator[str]:
    """The elements of a tensor in its wire form, as text."""
    if datatype == "BYTES":
        yield from _strings(data)
        return
    array = np.frombuffer(data, _NUMPY[datatype])
    if datatype == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    if datatype in _DIGITS:
        for number in array.tolist():
            yield f"{number:.{_DIGITS[datatype]}g}"
    else:
        yield from map(str, array.tolist())


def _strings(data: bytes) -> Iterator[str]:
    at = 0
    while at + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        yield data[at + 4 : at + 4 + size].decode("utf-8", "replace")
        at += 4 + size
