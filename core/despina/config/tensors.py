"""Tensors of a configuration: datatypes, and shapes as clients and as backends see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from despina.config.model_config_pb2 import DataType, ModelInput, ModelOutput
from despina_sdk import TensorSpec

TensorMessage = ModelInput | ModelOutput

_PREFIX = "TYPE_"


def datatype_name(data_type: DataType) -> str:
    """The protocol's name: ``TYPE_FP32`` → ``FP32``, ``TYPE_STRING`` → ``BYTES``."""
    name = DataType.Name(data_type)
    return "BYTES" if name == "TYPE_STRING" else name.removeprefix(_PREFIX)


def datatype_number(name: str) -> DataType:
    """The enum's value for a name of the protocol."""
    name = "TYPE_STRING" if name == "BYTES" else f"{_PREFIX}{name}"
    return cast("DataType", DataType.Value(name))


def backend_shape(tensor: TensorMessage) -> tuple[int, ...]:
    """The shape that the backend sees, without the batch axis."""
    return tuple(tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims)


def is_complete(tensor: TensorMessage) -> bool:
    """Whether the configuration says all that is needed of a tensor."""
    return tensor.data_type != DataType.TYPE_INVALID and len(tensor.dims) > 0


def tensor_specs(tensors: Sequence[TensorMessage]) -> tuple[TensorSpec, ...]:
    """Tensors as a backend is told of them; none unless all of them are fully described."""
    if not all(map(is_complete, tensors)):
        return ()
    return tuple(
        TensorSpec(
            tensor.name,
            datatype_name(tensor.data_type),
            backend_shape(tensor),
            isinstance(tensor, ModelInput) and tensor.optional,
        )
        for tensor in tensors
    )
