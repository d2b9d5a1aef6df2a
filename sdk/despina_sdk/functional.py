"""A whole backend from one vectorised function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from despina_sdk.backend import (
    Backend,
    Batch,
    Capability,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Signature,
)
from despina_sdk.tensors import ArrayLike, TensorSpec

Setup = Callable[[ModelSpec, Placement], Any]
Function = Callable[..., Mapping[str, ArrayLike] | Iterator[Mapping[str, ArrayLike]]]


class _FunctionInstance(Instance):
    def __init__(self, function: Function, inputs: Sequence[str], state: tuple[Any, ...]) -> None:
        self._function, self._inputs, self._state = function, inputs, state

    def execute(self, batch: Batch) -> None:
        arrays = {name: batch.gather(name) for name in self._inputs}
        result = self._function(*self._state, **arrays)
        if isinstance(result, Mapping):
            batch.scatter(result)
            return
        for part in result:
            batch.send(part)
        batch.scatter({})


class _FunctionModel(Model):
    def __init__(
        self, function: Function, setup: Setup | None, spec: ModelSpec, signature: Signature
    ) -> None:
        self.signature = signature
        self._function, self._setup, self._spec = function, setup, spec

    def instance(self, placement: Placement) -> Instance:
        state = (self._setup(self._spec, placement),) if self._setup else ()
        inputs = [tensor.name for tensor in self.signature.inputs]
        return _FunctionInstance(self._function, inputs, state)


def batch_function(
    *,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    name: str | None = None,
    setup: Setup | None = None,
    max_batch_size: int = 8,
) -> Callable[[Function], type[Backend]]:
    """Makes a ``Backend`` class of a function over stacked arrays.

    The function gets one array per input as keyword argument, all rows of the batch along the
    first axis (``None`` for an optional input left out), and returns one array per output. A
    generator yields such mappings: each is a part of the answers, for decoupled models.

    Args:
        inputs, outputs: shapes without the batch axis.
        name: of the backend; the function's own by default.
        setup: called once per instance, on its thread, as ``setup(spec, placement)``; what it
            returns becomes the function's first argument.
        max_batch_size: rows of a batch at most, where the model's configuration names no number.
    """

    def wrap(function: Function) -> type[Backend]:
        class FunctionBackend(Backend):
            def load(self, spec: ModelSpec) -> Model:
                rows = spec.max_batch_size or max_batch_size
                signature = Signature(tuple(inputs), tuple(outputs), rows)
                return _FunctionModel(function, setup, spec, signature)

        FunctionBackend.name = name or function.__name__
        if inspect.isgeneratorfunction(function):
            FunctionBackend.capabilities = Capability.STREAMING
        FunctionBackend.__name__ = FunctionBackend.__qualname__ = function.__name__
        FunctionBackend.__module__, FunctionBackend.__doc__ = function.__module__, function.__doc__
        return FunctionBackend

    return wrap
