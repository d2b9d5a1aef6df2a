"""``despina/abi.h`` in ctypes. Numbers are read from the header, so that there is one of each."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    Union,
    c_char,
    c_double,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, ClassVar

import numpy as np

from despina_sdk.backend import Capability
from despina_sdk.cmake import include_folder
from despina_sdk.errors import BackendError, Code
from despina_sdk.tensors import NUMPY_DTYPES

HEADER = include_folder() / "despina" / "abi.h"


def _numbers(header: str) -> dict[str, int]:
    found = dict(re.findall(r"^#define (DESPINA_ABI_\w+) (?:UINT64_C\()?(\w+)", header, re.M))
    found |= dict(re.findall(r"\b(DESPINA_[A-Z0-9_]+) = (\d+u? ?(?:<< \d+)?)", header))
    numbers = {}
    for name, text in found.items():
        number, _, shift = text.replace("u", "").partition("<<")
        numbers[name] = int(number, 0) << int(shift or 0)
    return numbers


NUMBERS = _numbers(HEADER.read_text())
"""All of the header's constants by name."""
OK = NUMBERS["DESPINA_OK"]
CPU = NUMBERS["DESPINA_DEVICE_CPU"]
CAPABILITIES = {
    Capability.STREAMING: NUMBERS["DESPINA_STREAMING"],
    Capability.ASYNC: NUMBERS["DESPINA_ASYNC"],
}

Fields = Sequence[tuple[str, Any]]


class Str(Structure):
    """A text."""

    _fields_: ClassVar[Fields] = [("data", c_void_p), ("size", c_size_t)]


class Pair(Structure):
    """Key and value."""

    _fields_: ClassVar[Fields] = [("key", Str), ("value", Str)]


class Error(Structure):
    """What a call that fails fills in."""

    _fields_: ClassVar[Fields] = [("code", c_int32), ("message", c_char * 508)]


class Datatype(Structure):
    """As in DLPack."""

    _fields_: ClassVar[Fields] = [("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16)]


class Device(Structure):
    """As in DLPack."""

    _fields_: ClassVar[Fields] = [("type", c_int32), ("id", c_int32)]


class Tensor(Structure):
    """Elements in memory of somebody's."""

    _fields_: ClassVar[Fields] = [
        ("data", c_void_p),
        ("shape", POINTER(c_int64)),
        ("ndim", c_int32),
        ("datatype", Datatype),
        ("device", Device),
        ("byte_size", c_uint64),
    ]


Release = CFUNCTYPE(None, c_void_p)


class TensorOwned(Structure):
    """A tensor that is given away."""

    _fields_: ClassVar[Fields] = [("tensor", Tensor), ("owner", c_void_p), ("release", Release)]


class TensorSpec(Structure):
    """What is known of one input or output."""

    _fields_: ClassVar[Fields] = [
        ("name", Str),
        ("shape", POINTER(c_int64)),
        ("ndim", c_int32),
        ("datatype", Datatype),
        ("optional", c_uint32),
    ]


class ModelSpec(Structure):
    """One version of a model as its configuration describes it."""

    _fields_: ClassVar[Fields] = [
        ("struct_size", c_uint32),
        ("max_batch_size", c_int32),
        ("name", Str),
        ("version", Str),
        ("path", Str),
        ("config", Str),
        ("parameters", POINTER(Pair)),
        ("parameter_count", c_size_t),
        ("inputs", POINTER(TensorSpec)),
        ("input_count", c_size_t),
        ("outputs", POINTER(TensorSpec)),
        ("output_count", c_size_t),
        ("metrics", c_void_p),
    ]


class Signature(Structure):
    """What a model takes and gives."""

    _fields_: ClassVar[Fields] = [
        ("struct_size", c_uint32),
        ("max_batch_size", c_int32),
        ("inputs", POINTER(TensorSpec)),
        ("input_count", c_size_t),
        ("outputs", POINTER(TensorSpec)),
        ("output_count", c_size_t),
        ("decoupled", c_int32),
    ]


class Placement(Structure):
    """Where an instance runs."""

    _fields_: ClassVar[Fields] = [
        ("struct_size", c_uint32),
        ("ordinal", c_uint32),
        ("name", Str),
        ("device", Device),
    ]


class ParameterValue(Union):
    """Which of them it is, the type of the parameter says."""

    _fields_: ClassVar[Fields] = [
        ("as_bool", c_uint8),
        ("as_int", c_int64),
        ("as_double", c_double),
        ("as_text", Str),
    ]


class Parameter(Structure):
    """Of a request or an answer."""

    _fields_: ClassVar[Fields] = [("name", Str), ("type", c_int32), ("value", ParameterValue)]


class MetricSpec(Structure):
    """A series of the metrics page."""

    _fields_: ClassVar[Fields] = [
        ("struct_size", c_uint32),
        ("kind", c_int32),
        ("name", Str),
        ("help", Str),
        ("labels", POINTER(Pair)),
        ("label_count", c_size_t),
        ("bounds", POINTER(c_double)),
        ("bound_count", c_size_t),
    ]


def _calls(result: Any, *arguments: Any) -> Any:
    return CFUNCTYPE(result, *arguments)


_E = POINTER(Error)
_ALLOCATE = [c_void_p, c_uint32, Datatype, POINTER(c_int64), c_int32, POINTER(Tensor), _E]
_GIVE = [c_void_p, c_uint32, c_void_p, POINTER(TensorOwned), _E]


class HostApi(Structure):
    """What the server offers.

    ctypes cannot make functions that give back structures: where the header has one, there is an
    address.
    """

    _fields_: ClassVar[Fields] = [
        ("struct_size", c_uint32),
        ("abi_major", c_uint16),
        ("abi_minor", c_uint16),
        ("abi_hash", c_uint64),
        ("log", _calls(None, c_int32, Str)),
        ("query", _calls(c_void_p, Str)),
        ("batch_size", _calls(c_size_t, c_void_p)),
        ("batch_rows", _calls(c_uint64, c_void_p)),
        ("batch_request", _calls(c_void_p, c_void_p, c_size_t)),
        (
            "batch_gather",
            _calls(c_int32, c_void_p, c_uint32, Device, c_void_p, POINTER(Tensor), _E),
        ),
        ("batch_allocate", _calls(c_int32, *_ALLOCATE)),
        ("batch_give", _calls(c_int32, *_GIVE)),
        ("batch_send", _calls(c_int32, c_void_p, _E)),
        ("batch_complete", _calls(None, c_void_p, c_int32, Str)),
        ("request_id", c_void_p),
        ("request_rows", _calls(c_uint64, c_void_p)),
        ("request_parameter_count", _calls(c_size_t, c_void_p)),
        ("request_parameter", c_void_p),
        ("request_cancelled", _calls(c_int32, c_void_p)),
        ("request_wants", _calls(c_int32, c_void_p, c_uint32)),
        ("request_input", _calls(c_int32, c_void_p, c_uint32, POINTER(Tensor), _E)),
        ("request_allocate", _calls(c_int32, *_ALLOCATE)),
        ("request_give", _calls(c_int32, *_GIVE)),
        ("request_set_parameter", _calls(c_int32, c_void_p, POINTER(Parameter), _E)),
        ("request_send", _calls(c_int32, c_void_p, _E)),
        ("request_detach", _calls(c_int32, c_void_p, _E)),
        ("request_complete", _calls(None, c_void_p, c_int32, Str)),
        ("batch_mark", _calls(None, c_void_p, c_int32)),
        ("request_mark", _calls(None, c_void_p, c_int32)),
        (
            "metric_create",
            _calls(c_int32, c_void_p, POINTER(MetricSpec), POINTER(c_void_p), _E),
        ),
        ("metric_add", _calls(None, c_void_p, c_double)),
        ("metric_set", _calls(None, c_void_p, c_double)),
        ("metric_observe", _calls(None, c_void_p, c_double)),
    ]


class BackendApi(Structure):
    """What a backend offers."""

    _fields_: ClassVar[Fields] = [
        ("struct_size", c_uint32),
        ("abi_major", c_uint16),
        ("abi_minor", c_uint16),
        ("abi_hash", c_uint64),
        ("name", Str),
        ("version", Str),
        ("capabilities", c_uint64),
        (
            "backend_create",
            _calls(c_int32, POINTER(HostApi), POINTER(Pair), c_size_t, POINTER(c_void_p), _E),
        ),
        ("backend_destroy", _calls(None, c_void_p)),
        ("model_load", _calls(c_int32, c_void_p, POINTER(ModelSpec), POINTER(c_void_p), _E)),
        ("model_describe", _calls(c_int32, c_void_p, POINTER(Signature), _E)),
        ("model_unload", _calls(None, c_void_p)),
        ("instance_create", _calls(c_int32, c_void_p, POINTER(Placement), POINTER(c_void_p), _E)),
        ("execute", _calls(None, c_void_p, c_void_p)),
        ("instance_destroy", _calls(None, c_void_p)),
        ("model_ready", _calls(c_int32, c_void_p, _E)),
        ("request_cancelled", _calls(None, c_void_p, c_void_p)),
        ("query", _calls(c_void_p, Str)),
    ]


REQUIRED = {
    "backend_create",
    "backend_destroy",
    "model_load",
    "model_describe",
    "model_unload",
    "instance_create",
    "execute",
    "instance_destroy",
}
"""The functions that every backend has; what a table is too short for stays NULL."""
ENTRY = "despina_backend_entry"
Entry = CFUNCTYPE(c_int32, POINTER(HostApi), POINTER(BackendApi), _E)

_CODES = {"FP": "FLOAT", "BF": "BFLOAT"}


def _datatype(name: str, dtype: np.dtype[Any]) -> tuple[int, int, int]:
    kind = name.rstrip("0123456789")
    size = ctypes.sizeof(Str) if dtype.kind == "O" else dtype.itemsize
    return NUMBERS[f"DESPINA_TYPE_{_CODES.get(kind, kind)}"], 8 * size, 1


DATATYPES = {name: _datatype(name, dtype) for name, dtype in NUMPY_DTYPES.items()}
"""Code, bits and lanes of each datatype of the protocol."""
NAMES = {number: name for name, number in DATATYPES.items()}


class Lent:
    """Structures to lend out, and the memory behind them, which lives as long as this."""

    def __init__(self) -> None:
        """Holds nothing."""
        self._kept: list[Any] = []

    def text(self, text: str | bytes) -> Str:
        """A text in UTF-8, or bytes as they are."""
        data = text.encode() if isinstance(text, str) else text
        buffer = ctypes.create_string_buffer(data)
        self._kept.append(buffer)
        return Str(ctypes.addressof(buffer), len(data))

    def pairs(self, items: Sequence[tuple[str, str]]) -> Any:
        """An array of pairs."""
        return self.array(Pair, [Pair(self.text(key), self.text(value)) for key, value in items])

    def array(self, kind: Any, items: Sequence[Any]) -> Any:
        """An array of numbers or structures."""
        array = (kind * len(items))(*items)
        self._kept.append(array)
        return array


def read(text: Str) -> bytes:
    """The bytes of a text."""
    return ctypes.string_at(text.data, text.size) if text.size else b""


def decoded(text: Str) -> str:
    """A text, whatever its bytes."""
    return read(text).decode(errors="replace")


def datatype_of(name: str) -> Datatype:
    """Of a name of the protocol."""
    return Datatype(*DATATYPES[name])


def name_of(datatype: Datatype) -> str:
    """The name of a datatype in the protocol.

    Raises:
        BackendError: INVALID_ARGUMENT: there is no such datatype.
    """
    number = (datatype.code, datatype.bits, datatype.lanes)
    if number not in NAMES:
        raise BackendError(Code.INVALID_ARGUMENT, f"no tensor has datatype {number}")
    return NAMES[number]
