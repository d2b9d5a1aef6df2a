"""Native libraries as the kit sees every backend: a host in ctypes, over fake requests."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

from despina_sdk.backend import (
    Backend,
    Capability,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Signature,
)
from despina_sdk.errors import BackendError, Code
from despina_sdk.tensors import TensorSpec
from despina_sdk.testing import abi
from despina_sdk.testing.fakes import FakeRequest
from despina_sdk.testing.native_requests import (
    MAX_RANK,
    BatchHandle,
    RequestHandle,
    code_of,
)
from despina_sdk.testing.native_table import HostTable, ModelMetrics


class LibraryError(Exception):
    """A library that the host does not take, and why."""


class Library:
    """A backend's shared library, loaded once in the process.

    Attributes:
        api: what it offers.
        name: of its backend.
        capabilities: that it declares.
    """

    def __init__(self, path: Path) -> None:
        """Loads it, and has it shake hands.

        Raises:
            LibraryError: it cannot be loaded, or is refused as the server would refuse it.
            NoCompilerError: as ``HostTable``.
        """
        self.table = _table()
        self._folder = tempfile.TemporaryDirectory(prefix="despina-")
        try:
            self.api = self._shake_hands(path)
        except (OSError, AttributeError, LibraryError) as cause:
            self._folder.cleanup()
            raise LibraryError(f"library '{path}': {cause}") from None
        self.name = abi.decoded(self.api.name)
        self.capabilities = Capability.NONE
        for capability, bit in abi.CAPABILITIES.items():
            if self.api.capabilities & bit:
                self.capabilities |= capability

    def _shake_hands(self, path: Path) -> abi.BackendApi:
        own = _copy(path, Path(self._folder.name))
        self._library = ctypes.CDLL(str(own), os.RTLD_NOW | os.RTLD_LOCAL)
        entry = abi.Entry((abi.ENTRY, self._library))
        api, error = abi.BackendApi(struct_size=ctypes.sizeof(abi.BackendApi)), abi.Error()
        if entry(self.table.api, api, error):
            raise LibraryError(error.message.decode(errors="replace"))
        if reason := _refusal(api):
            raise LibraryError(reason)
        return api

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function that gives a code.

        Raises:
            BackendError: what it says.
        """
        error = abi.Error()
        if code := getattr(self.api, name)(*arguments, error):
            raise BackendError(code_of(code), error.message.decode(errors="replace"))

    def make(self, name: str, *arguments: Any) -> int:
        """As ``call``, of a function that makes something: its handle.

        Raises:
            BackendError: what it says, or that it gives neither a handle nor an error (INTERNAL).
        """
        made = ctypes.c_void_p()
        self.call(name, *arguments, made)
        if not made.value:
            raise BackendError(Code.INTERNAL, f"{name} gave neither a handle nor an error")
        return made.value


def _copy(path: Path, folder: Path) -> Path:
    """A copy of a library that the process maps beside the original.

    A server in the same process may have loaded that, and a backend knows one host only. What lies
    around the original is linked, for what it looks for relative to itself.
    """
    package = folder / (path.parent.name or "package")
    package.mkdir()
    _link(path.parent, package, path)
    with suppress(OSError):  # it is another's folder: not all of it may be for us
        _link(path.parent.parent, folder, path.parent)
    return Path(shutil.copy(path, package))


def _link(around: Path, place: Path, itself: Path) -> None:
    for each in around.iterdir():
        if each != itself:
            (place / each.name).symlink_to(each)


def _refusal(api: abi.BackendApi) -> str:
    """What is wrong with a table; empty if nothing."""
    size, least = ctypes.sizeof(abi.BackendApi), abi.BackendApi.name.offset
    if not least <= api.struct_size <= size:
        return f"its table has {api.struct_size} bytes, from {least} to {size} are possible"
    version = api.abi_major, api.abi_hash
    if version != (abi.NUMBERS["DESPINA_ABI_MAJOR"], abi.NUMBERS["DESPINA_ABI_HASH"]):
        return "it was compiled with another version of despina/abi.h: compile it again"
    for name, _ in abi.BackendApi._fields_:
        member = getattr(abi.BackendApi, name)
        there = member.offset + member.size <= api.struct_size
        if name in abi.REQUIRED and not (there and getattr(api, name)):
            return f"its table has no '{name}'"
    if not api.name.size:
        return "its backend has no name"
    known = sum(abi.CAPABILITIES.values())
    if api.capabilities & ~known:
        return f"it declares capabilities {api.capabilities}, of which there are {known}"
    return ""


@cache
def _table() -> HostTable:
    return HostTable()


def load(path: Path) -> Library:
    """The library in this file, loaded when it is first asked for.

    Raises:
        LibraryError: it is refused, and why.
        NoCompilerError: as ``HostTable``.
    """
    loaded = _loaded(path)
    if isinstance(loaded, LibraryError):
        raise loaded
    return loaded


@cache
def _loaded(path: Path) -> Library | LibraryError:
    """Loads it once, whether it is taken or not."""
    try:
        return Library(path)
    except LibraryError as refusal:
        return refusal.with_traceback(None)


class NativeBackendUnderTest(Backend):
    """The backend of a library; ``backend_class`` makes its class."""

    library: ClassVar[Library]

    def __init__(self, options: Mapping[str, str]) -> None:
        """Has the library make its backend.

        Raises:
            BackendError: what the library says.
        """
        super().__init__(options)
        lent = abi.Lent()
        pairs = lent.pairs(list(options.items()))
        self.handle = self.library.make("backend_create", self.library.table.api, pairs, len(pairs))

    def load(self, spec: ModelSpec) -> Model:
        """Loads one version of a model.

        Raises:
            BackendError: what the library says.
        """
        return _NativeModel(self, spec)

    def close(self) -> None:
        """Destroys it."""
        self.library.api.backend_destroy(self.handle)


def backend_class(path: Path) -> type[Backend]:
    """The backend in a library, as a class.

    Raises:
        LibraryError: the library is refused, and why.
        NoCompilerError: there is no C compiler, which the kit needs.
    """
    library = load(path.resolve())
    members = {"name": library.name, "capabilities": library.capabilities, "library": library}
    return type("NativeBackend", (NativeBackendUnderTest,), members)


class _NativeModel(Model):
    def __init__(self, backend: NativeBackendUnderTest, spec: ModelSpec) -> None:
        self.library = backend.library
        handles = self.library.table.handles
        self._metrics = ModelMetrics(spec.metrics)
        self._metrics_number = handles.add(self._metrics)
        self._lent = abi.Lent()
        self._spec = self._lend(spec)
        self.handle = 0
        try:
            self.handle = self.library.make("model_load", backend.handle, self._spec)
            self.signature = self._describe()
        except BackendError:
            self.close()
            raise

    def instance(self, placement: Placement) -> Instance:
        return _NativeInstance(self, placement)

    def check_ready(self) -> None:
        if self.library.api.model_ready:
            self.library.call("model_ready", self.handle)

    def close(self) -> None:
        if self.handle:
            self.library.api.model_unload(self.handle)
        for number in (self._metrics_number, *self._metrics.numbers.values()):
            self.library.table.handles.remove(number)

    def _lend(self, spec: ModelSpec) -> abi.ModelSpec:
        lent = self._lent
        parameters = lent.pairs(list(spec.parameters.items()))
        inputs, outputs = ([_spec(each, lent) for each in s] for s in (spec.inputs, spec.outputs))
        return abi.ModelSpec(
            struct_size=ctypes.sizeof(abi.ModelSpec),
            max_batch_size=spec.max_batch_size,
            name=lent.text(spec.name),
            version=lent.text(spec.version),
            path=lent.text(str(spec.path)),
            config=lent.text(json.dumps(dict(spec.config))),
            parameters=parameters,
            parameter_count=len(parameters),
            inputs=lent.array(abi.TensorSpec, inputs),
            input_count=len(inputs),
            outputs=lent.array(abi.TensorSpec, outputs),
            output_count=len(outputs),
            metrics=self._metrics_number,
        )

    def _describe(self) -> Signature:
        told = abi.Signature(ctypes.sizeof(abi.Signature), max_batch_size=-1, decoupled=-1)
        self.library.call("model_describe", self.handle, told)
        if told.max_batch_size < -1:
            text = f"its signature has max_batch_size {told.max_batch_size}"
            raise BackendError(Code.INVALID_ARGUMENT, text)
        return Signature(
            tuple(_read_spec(told.inputs[i]) for i in range(told.input_count)),
            tuple(_read_spec(told.outputs[i]) for i in range(told.output_count)),
            None if told.max_batch_size < 0 else told.max_batch_size,
            None if told.decoupled < 0 else bool(told.decoupled),
        )


class _NativeInstance(Instance):
    def __init__(self, model: _NativeModel, placement: Placement) -> None:
        self._library, self._signature = model.library, model.signature
        self._handles = self._library.table.handles
        self._numbers: list[int] = []
        lent = abi.Lent()
        kind, _, index = placement.device.partition(":")
        device = abi.Device(abi.NUMBERS[f"DESPINA_DEVICE_{kind.upper()}"], int(index or 0))
        name = lent.text(placement.name)
        size = ctypes.sizeof(abi.Placement)
        told = abi.Placement(size, placement.ordinal, name, device)
        self.handle = self._library.make("instance_create", model.handle, told)

    def execute(self, batch: Any) -> None:  # a FakeBatch: the host runs no others
        requests = {self._add(self._lend(each)): each for each in batch.sent}
        found = {number: self._handles.find(RequestHandle, number) for number in requests}
        handle = BatchHandle(batch, found)
        for number, request in requests.items():
            if self._library.api.request_cancelled:
                request.on_cancel = partial(self._tell_cancelled, number, found[number])
        self._library.api.execute(self.handle, self._add(handle))
        handle.end()

    def close(self) -> None:
        self._library.api.instance_destroy(self.handle)
        for number in self._numbers:
            if isinstance(forgotten := self._handles.remove(number), RequestHandle):
                forgotten.drop()

    def _lend(self, request: FakeRequest) -> RequestHandle:
        return RequestHandle(request, self._signature)

    def _add(self, each: Any) -> int:
        self._numbers.append(self._handles.add(each))
        return self._numbers[-1]

    def _tell_cancelled(self, number: int, handle: RequestHandle) -> None:
        if handle.request.answered or (handle.request._ended and not handle.detached):
            return
        handle.cancelling += 1
        try:
            self._library.api.request_cancelled(self.handle, number)
        finally:
            handle.cancelling -= 1


def _spec(tensor: TensorSpec, lent: abi.Lent) -> abi.TensorSpec:
    return abi.TensorSpec(
        lent.text(tensor.name),
        lent.array(ctypes.c_int64, tensor.shape),
        len(tensor.shape),
        abi.datatype_of(tensor.datatype),
        int(tensor.optional),
    )


def _read_spec(spec: abi.TensorSpec) -> TensorSpec:
    name = abi.decoded(spec.name)
    if not 0 <= spec.ndim <= MAX_RANK or any(spec.shape[i] < -1 for i in range(spec.ndim)):
        text = f"tensor '{name}' of its signature has a shape that no tensor has"
        raise BackendError(Code.INVALID_ARGUMENT, text)
    shape = tuple(spec.shape[i] for i in range(spec.ndim))
    return TensorSpec(name, abi.name_of(spec.datatype), shape, bool(spec.optional))
