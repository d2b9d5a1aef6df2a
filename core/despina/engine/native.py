"""Backends in shared libraries, as the control plane sees every backend."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from despina import _engine
from despina.errors import DespinaError
from despina_sdk import (
    Backend,
    BackendError,
    Code,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Signature,
    TensorSpec,
)

logger = logging.getLogger(__name__)

ABI: str = _engine.ABI
"""The version of the C interface that this engine speaks."""


def abi_of_library(path: Path) -> str:
    """The version that a library was compiled with; empty if it cannot be asked."""
    try:
        return _engine.abi_of_library(str(path))
    except _engine.EngineError:
        return ""


@contextmanager
def translated() -> Iterator[None]:
    """Makes the engine's exception one that the rest of the server knows."""
    try:
        yield
    except _engine.EngineError as error:
        raise DespinaError(Code(cast(Any, error).code), str(error)) from error


class NativeModel(Model):
    """A version of a model whose instances the engine runs without the interpreter."""

    def __init__(self, handle: _engine.NativeModel) -> None:
        """Takes the engine's object."""
        self.handle = handle
        rows = handle.max_batch_size
        self.signature = Signature(
            _specs(handle.inputs),
            _specs(handle.outputs),
            None if rows < 0 else rows,
            handle.decoupled,
        )

    def instance(self, placement: Placement) -> Instance:
        """Never called: the engine makes the instances.

        Raises:
            BackendError: UNIMPLEMENTED.
        """
        text = f"instance '{placement.name}' of a native backend is made by the engine"
        raise BackendError(Code.UNIMPLEMENTED, text)

    def check_ready(self) -> None:
        """Asks the backend.

        Raises:
            DespinaError: what it says.
        """
        with translated():
            self.handle.check_ready()

    def close(self) -> None:
        """Unloads it."""
        self.handle.close()


class LibraryBackend(Backend):
    """The backend of a shared library."""

    def __init__(self, name: str, path: Path, uses: frozenset[str], options: Mapping[str, str]):
        """Loads the library and makes the backend.

        Raises:
            DespinaError: the library is refused, or the backend cannot be made, and why.
        """
        super().__init__(options)
        self.name, self.uses = name, uses  # type: ignore[misc]
        with translated():
            self._handle = _engine.NativeBackend(
                path=str(path), name=name, options=list(options.items())
            )
        self.warnings = tuple(self._handle.warnings)
        for warning in self.warnings:
            logger.warning("backend '%s': library '%s': %s", name, path, warning)

    def load(self, spec: ModelSpec) -> Model:
        """Loads one version of a model.

        Raises:
            DespinaError: what the backend says.
        """
        assert isinstance(spec.metrics, _engine.ModelMetrics)  # a server asks, and no test kit
        with translated():
            return NativeModel(
                self._handle.load(
                    name=spec.name,
                    version=spec.version,
                    path=str(spec.path),
                    config=json.dumps(spec.config),
                    max_batch_size=spec.max_batch_size,
                    parameters=list(spec.parameters.items()),
                    inputs=[_definition(tensor) for tensor in spec.inputs],
                    outputs=[_definition(tensor) for tensor in spec.outputs],
                    metrics=spec.metrics,
                )
            )

    def close(self) -> None:
        """Ends the backend; its library stays."""
        self._handle.close()


def _definition(tensor: TensorSpec) -> _engine.TensorDefinition:
    return _engine.TensorDefinition(
        name=tensor.name,
        datatype=tensor.datatype,
        dims=list(tensor.shape),
        optional=tensor.optional,
    )


def _specs(tensors: Sequence[tuple[str, str, list[int], bool]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, datatype, tuple(dims), optional)
        for name, datatype, dims, optional in tensors
    )
