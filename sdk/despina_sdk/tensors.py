"""Datatypes of the protocol, and what a backend says of one tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class SupportsDLPack(Protocol):
    """What lends its memory by DLPack: tensors of PyTorch, JAX, CuPy, ..."""

    def __dlpack__(self, *, stream: Any = ...) -> Any:
        """A capsule with the tensor."""
        ...

    def __dlpack_device__(self) -> tuple[int, int]:
        """Type and number of the device that it lies on."""
        ...


ArrayLike = npt.ArrayLike | SupportsDLPack
"""What a backend may answer with."""

NUMPY_DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "BOOL": np.dtype(np.bool_),
        "UINT8": np.dtype(np.uint8),
        "UINT16": np.dtype(np.uint16),
        "UINT32": np.dtype(np.uint32),
        "UINT64": np.dtype(np.uint64),
        "INT8": np.dtype(np.int8),
        "INT16": np.dtype(np.int16),
        "INT32": np.dtype(np.int32),
        "INT64": np.dtype(np.int64),
        "FP16": np.dtype(np.float16),
        "FP32": np.dtype(np.float32),
        "FP64": np.dtype(np.float64),
        # numpy has no bfloat16: the bit patterns stand in for it.
        "BF16": np.dtype(np.uint16),
        # An object array whose elements are ``bytes``.
        "BYTES": np.dtype(np.object_),
    }
)
"""The numpy dtype in which a backend sees each datatype of the v2 protocol."""


@dataclass(frozen=True)
class TensorSpec:
    """What is known of one input or output.

    Attributes:
        name: as in the model configuration and on the wire.
        datatype: a name of the v2 protocol: a key of ``NUMPY_DTYPES``.
        shape: elements along each axis, -1 where it varies. The batch axis of a batching model is
            not listed.
        optional: an input that a request may leave out.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False

    def __post_init__(self) -> None:
        if self.datatype not in NUMPY_DTYPES:
            known = ", ".join(NUMPY_DTYPES)
            raise ValueError(f"tensor '{self.name}': datatype '{self.datatype}' is none of {known}")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy dtype of the arrays that carry this tensor."""
        return NUMPY_DTYPES[self.datatype]
