"""The tensors of a model: as the ONNX file has them, checked against the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import onnxruntime  # type: ignore[import-untyped]

from despina_onnxruntime.errors import refusal
from despina_onnxruntime.tensors import DATATYPES
from despina_sdk import BackendError, ModelSpec, Signature, TensorSpec

Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Tensor:
    """An input or output as the ONNX file has it: all axes, -1 where one varies."""

    role: str
    name: str
    type: str
    shape: Shape

    @property
    def varies_in_rows(self) -> bool:
        return self.shape[:1] == (-1,)

    def __str__(self) -> str:
        return f"{self.role} '{self.name}'"


def _tensors(role: str, nodes: Iterable[onnxruntime.NodeArg]) -> dict[str, _Tensor]:
    return {
        node.name: _Tensor(
            role,
            node.name,
            node.type,
            tuple(axis if isinstance(axis, int) else -1 for axis in node.shape or ()),
        )
        for node in nodes
    }


def complete(
    spec: ModelSpec, session: onnxruntime.InferenceSession, file: str, default_max_batch_size: int
) -> Signature:
    """Returns the model's signature: what is configured, completed by what the file says.

    A model can batch when the first axis of each of its tensors varies. Inputs that are not
    configured are added, except those with a default in the file; outputs only when none is
    configured.

    Args:
        spec: the configuration; dims after ``reshape`` must fit the file.
        session: holds the model.
        file: its name for messages.
        default_max_batch_size: of models that can batch and whose configuration says nothing.

    Raises:
        BackendError: the configuration does not fit the file (INVALID_ARGUMENT).
    """
    inputs = _tensors("input", session.get_inputs())
    defaults = _tensors("input", session.get_overridable_initializers())
    outputs = _tensors("output", session.get_outputs())

    max_batch_size = spec.max_batch_size
    nothing_configured = not (max_batch_size or spec.inputs or spec.outputs)
    everything = [*inputs.values(), *outputs.values()]
    if nothing_configured and all(tensor.varies_in_rows for tensor in everything):
        max_batch_size = default_max_batch_size
    check = _Check(spec, file, max_batch_size > 0)

    for configured in spec.inputs:
        if configured.optional and configured.name in inputs:
            text = f"input '{configured.name}' is optional as configured, but has no default in"
            raise refusal(spec, f"{text} {file}")
    given = {configured.name for configured in spec.inputs}
    taken = [check.configured(each, inputs | defaults, "input") for each in spec.inputs]
    taken += [check.completed(tensor) for name, tensor in inputs.items() if name not in given]
    made = [check.configured(each, outputs, "output") for each in spec.outputs]
    made = made or [check.completed(tensor) for tensor in outputs.values()]
    return Signature(tuple(taken), tuple(made), max_batch_size)


class _Check:
    """Holds the tensors of one configuration against those of its file."""

    def __init__(self, spec: ModelSpec, file: str, batching: bool) -> None:
        self._spec, self._file, self._batching = spec, file, batching

    def completed(self, tensor: _Tensor) -> TensorSpec:
        """Specifies a tensor of the file that is not configured."""
        shape = tensor.shape[1:] if self._batching else tensor.shape
        self._check_batch_axis(tensor)
        return TensorSpec(tensor.name, self._datatype(tensor), shape)

    def configured(
        self, configured: TensorSpec, tensors: Mapping[str, _Tensor], role: str
    ) -> TensorSpec:
        """Checks a configured tensor against that of its name in the file, and returns it."""
        tensor = tensors.get(configured.name)
        if tensor is None:
            names = ", ".join(f"'{name}'" for name in tensors) or "none"
            text = f"{role} '{configured.name}' is not in {self._file}, whose {role}s are: {names}"
            raise refusal(self._spec, text)
        datatype = self._datatype(tensor)
        if configured.datatype != datatype:
            raise self._mismatch(tensor, configured.datatype, datatype)
        self._check_batch_axis(tensor)
        shape = _reshaped(self._spec, role, configured)
        shape = (-1, *shape) if self._batching else shape
        if not _fits(shape, tensor.shape):
            raise self._mismatch(
                tensor, _axes(shape), _axes(tensor.shape), self._hint(shape, tensor)
            )
        return configured

    def _datatype(self, tensor: _Tensor) -> str:
        if tensor.type not in DATATYPES:
            text = f"{tensor} of {self._file} is a {tensor.type}, which cannot be served"
            raise refusal(self._spec, text)
        return DATATYPES[tensor.type]

    def _check_batch_axis(self, tensor: _Tensor) -> None:
        if self._batching and not tensor.varies_in_rows:
            text = (
                f"max_batch_size is {self._spec.max_batch_size}, but the first axis of {tensor} "
                f"does not vary in {self._file}, where its shape is {_axes(tensor.shape)}"
            )
            raise refusal(self._spec, text)

    def _mismatch(self, tensor: _Tensor, ours: str, theirs: str, hint: str = "") -> BackendError:
        text = f"{tensor} is {ours} as configured, but {theirs} in {self._file}{hint}"
        return refusal(self._spec, text)

    def _hint(self, shape: Shape, tensor: _Tensor) -> str:
        if self._batching:
            return " (with the batch axis)"
        if not tensor.shape:
            return "; a scalar is dims: [ 1 ] reshape { shape: [ ] }"
        if tensor.varies_in_rows and _fits(shape, tensor.shape[1:]):
            return "; is max_batch_size missing?"
        return ""


def _fits(configured: Shape, file: Shape) -> bool:
    return len(configured) == len(file) and all(
        theirs in (-1, ours) for ours, theirs in zip(configured, file, strict=True)
    )


def _reshaped(spec: ModelSpec, role: str, configured: TensorSpec) -> Shape:
    """The shape on the model's side, where the server applies ``reshape``."""
    entries: Iterable[Mapping[str, Any]] = spec.config.get(role) or ()
    for entry in entries:
        if entry.get("name") == configured.name and entry.get("reshape") is not None:
            return tuple(int(axis) for axis in entry["reshape"].get("shape") or ())
    return configured.shape


def _axes(shape: Shape) -> str:
    return f"[{', '.join(map(str, shape))}]"
