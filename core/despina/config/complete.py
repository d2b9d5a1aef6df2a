"""Brings a configuration and the signature of the loaded model together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from despina.config.model_config_pb2 import DataType, ModelConfig, ModelInput
from despina.config.problem import Problem
from despina.config.tensors import (
    TensorMessage,
    backend_shape,
    datatype_name,
    datatype_number,
)
from despina.text import did_you_mean
from despina_sdk import Signature, TensorSpec


def complete(config: ModelConfig, signature: Signature, *, fill: bool) -> list[Problem]:
    """Fills in, in place, what the signature knows, and checks what the configuration says.

    Args:
        config: normalised; of a model that is not an ensemble.
        signature: what the backend says of the loaded model.
        fill: whether the signature may fill anything in; if not, it must be there already.
    """
    problems = _max_batch_size(config, signature.max_batch_size, fill)
    problems += _decoupled(config, signature.decoupled, fill)
    for kind, tensors, specs in (
        ("input", config.input, signature.inputs),
        ("output", config.output, signature.outputs),
    ):
        problems += _tensors(kind, tensors, specs, fill)
    return problems


def _max_batch_size(config: ModelConfig, takes: int | None, fill: bool) -> list[Problem]:
    configured = config.max_batch_size
    if takes is None or configured == takes:
        return []
    if takes == 0:
        text = f"is {configured}, and the model has no batch axis"
        return [Problem("max_batch_size", text)]
    if configured > takes:
        text = f"is {configured}, and the model takes {takes} rows at most"
        return [Problem("max_batch_size", text)]
    if configured == 0 and fill:
        config.max_batch_size = takes
        if takes > 1 and config.WhichOneof("scheduling_choice") is None:
            config.dynamic_batching.SetInParent()
    return []


def _decoupled(config: ModelConfig, says: bool | None, fill: bool) -> list[Problem]:
    policy = config.model_transaction_policy
    if says is None or policy.decoupled == says:
        return []
    if says and fill and not config.HasField("model_transaction_policy"):
        policy.decoupled = True
        return []
    configured, how = ("false", "in parts") if says else ("true", "once")
    text = f"is {configured}, and the model answers {how}"
    return [Problem("model_transaction_policy.decoupled", text)]


def _tensors(kind: str, tensors: Any, specs: Sequence[TensorSpec], fill: bool) -> list[Problem]:
    """``tensors`` is the repeated field ``kind`` of the configuration."""
    problems: list[Problem] = []
    by_name = {spec.name: spec for spec in specs}
    for index, tensor in enumerate(tensors):
        spec = by_name.pop(tensor.name, None)
        field = f"{kind}[{index}]"
        if spec is None:
            hint = did_you_mean(tensor.name, (each.name for each in specs))
            problems.append(Problem(f"{field}.name", f"the model has no '{tensor.name}'{hint}"))
        else:
            problems += _tensor(field, tensor, spec, fill)
    for spec in by_name.values():
        if fill:
            _add(tensors, spec)
        elif not spec.optional:
            problems.append(Problem(kind, f"'{spec.name}' of the model is missing"))
    return problems


def _add(tensors: Any, spec: TensorSpec) -> None:
    tensor = tensors.add(name=spec.name)
    _fill(tensor, spec)
    if isinstance(tensor, ModelInput):
        tensor.optional = spec.optional


def _fill(tensor: TensorMessage, spec: TensorSpec) -> None:
    """A scalar has dims [1] for clients, since dims may not be empty, and [] for the backend."""
    if tensor.data_type == DataType.TYPE_INVALID:
        tensor.data_type = datatype_number(spec.datatype)
    if not tensor.dims:
        tensor.dims.extend(spec.shape or (1,))
        if not spec.shape:
            tensor.reshape.SetInParent()


def _tensor(field: str, tensor: TensorMessage, spec: TensorSpec, fill: bool) -> list[Problem]:
    if fill:
        _fill(tensor, spec)
    problems = []
    configured = datatype_name(tensor.data_type)
    if configured != spec.datatype:
        text = f"'{tensor.name}' is {configured} here and {spec.datatype} in the model"
        problems.append(Problem(f"{field}.data_type", text))
    shape = backend_shape(tensor)
    if not compatible(shape, spec.shape):
        text = f"'{tensor.name}' is {list(shape)} here and {list(spec.shape)} in the model"
        problems.append(Problem(f"{field}.dims", text))
    return problems


def compatible(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether some shape fits both; -1 fits any size."""
    return len(one) == len(other) and all(
        a == b or -1 in (a, b) for a, b in zip(one, other, strict=True)
    )
