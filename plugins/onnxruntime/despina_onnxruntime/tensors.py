"""Between numpy as the server gives it and what ONNX Runtime takes: types, strings, bfloat16."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from despina_sdk import Array, BackendError, Code

DATATYPES: Mapping[str, str] = MappingProxyType(
    {
        "tensor(bool)": "BOOL",
        "tensor(uint8)": "UINT8",
        "tensor(uint16)": "UINT16",
        "tensor(uint32)": "UINT32",
        "tensor(uint64)": "UINT64",
        "tensor(int8)": "INT8",
        "tensor(int16)": "INT16",
        "tensor(int32)": "INT32",
        "tensor(int64)": "INT64",
        "tensor(float16)": "FP16",
        "tensor(float)": "FP32",
        "tensor(double)": "FP64",
        "tensor(bfloat16)": "BF16",
        "tensor(string)": "BYTES",
    }
)
"""The datatype of the protocol for each type that ONNX Runtime names."""

_ONNX_BFLOAT16 = 16  # TensorProto.DataType


def to_text(name: str, array: Array) -> Array:
    """Makes the strings that ONNX Runtime takes of ``bytes``.

    Raises:
        BackendError: an element is not UTF-8, which ONNX strings are (INVALID_ARGUMENT).
    """
    text = np.empty(array.size, object)
    for index, element in enumerate(array.flat):
        try:
            text[index] = element.decode()
        except UnicodeDecodeError as error:
            reason = f"input '{name}': element {index} is not UTF-8: {error}"
            raise BackendError(Code.INVALID_ARGUMENT, reason) from None
    return text.reshape(array.shape)


def to_bytes(array: Array) -> Array:
    """Makes ``bytes`` of the strings that ONNX Runtime gives."""
    data = np.empty(array.size, object)
    data[:] = [element.encode() for element in array.flat]
    return data.reshape(array.shape)


def to_value(array: Array, datatype: str) -> onnxruntime.OrtValue:
    """Wraps an array, C-contiguous, as an ONNX value that shares and keeps its memory."""
    if datatype == "BF16":
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, _ONNX_BFLOAT16)
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def to_array(value: onnxruntime.OrtValue) -> Array:
    """Views an ONNX value in host memory as an array that keeps that memory."""
    if value.data_type() != "tensor(bfloat16)":
        array: Array = value.numpy()
        return array
    if 0 in value.shape():  # there may be no memory to view
        return np.empty(value.shape(), np.uint16)
    return np.asarray(_Bfloat16Patterns(value))


class _Bfloat16Patterns:
    """Shows numpy, which has no bfloat16, the bit patterns; arrays made of it keep it alive."""

    def __init__(self, value: onnxruntime.OrtValue) -> None:
        self._value = value
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "typestr": np.dtype(np.uint16).str,
            "shape": tuple(value.shape()),
            "data": (value.data_ptr(), False),
        }
