"""Requests and batches as native code has them: handles over ``FakeRequest`` and ``FakeBatch``."""

from __future__ import annotations

import ctypes
import itertools
import math
from collections.abc import Mapping
from typing import Any

from despina_sdk.backend import Capability, ParameterValue, Signature
from despina_sdk.errors import BackendError, Code
from despina_sdk.tensors import NUMPY_DTYPES, Array, TensorSpec
from despina_sdk.testing import abi
from despina_sdk.testing.answers import Reason, RefusedError
from despina_sdk.testing.fakes import FakeBatch, FakeRequest
from despina_sdk.testing.host import StarvedRequest
from despina_sdk.testing.memory import Block, Input, array_of

MAX_RANK = 16


class Given:
    """A tensor that a backend has given, until the last answer with it is read."""

    def __init__(self, owned: abi.TensorOwned) -> None:
        """Takes it over."""
        self._owned = abi.TensorOwned.from_buffer_copy(owned)
        self._readers = 0

    def retain(self) -> None:
        """Someone more reads it."""
        self._readers += 1

    def drop(self) -> None:
        """Someone has read it; the last one releases it."""
        self._readers -= 1
        if self._readers <= 0:
            self._owned.release(ctypes.addressof(self._owned))


class Output:
    """A tensor of an answer that is not sent yet, and where it lies."""

    def __init__(self, array: Array, block: Block | None = None, given: Given | None = None):
        """It is read from there until ``drop``."""
        self.array, self._block, self._given = array, block, given
        if given is not None:
            given.retain()

    def taken(self) -> Array:
        """A copy, as the client gets it."""
        return self.array.copy()

    def damage(self) -> str:
        """What was written beside it; empty if nothing."""
        return self._block.damage() if self._block is not None else ""

    def drop(self) -> None:
        """Nobody reads it any more."""
        if self._given is not None:
            self._given.drop()
            self._given = None


class RequestHandle:
    """One request, for as long as its instance lives: use after its end is noted, no crash.

    Attributes:
        cancelling: how many calls of ``request_cancelled`` with it run.
    """

    def __init__(self, request: FakeRequest, signature: Signature) -> None:
        """Of one execution."""
        self.request, self.signature = request, signature
        self.cancelling = 0
        self._detached: Any = None
        self._inputs: dict[int, Input] = {}
        self._outputs: dict[str, Output] = {}
        self.answer_parameters: dict[str, ParameterValue] = {}
        self.lent = abi.Lent()

    # ---- what it carries

    def look(self) -> FakeRequest:
        """The request, to be looked at.

        Raises:
            RefusedError: it is not the backend's any more.
        """
        self._require_mine()
        if self.request.answered and not self.cancelling:
            text = f"request '{self.request.id}' was used after its answer"
            self.request._refuse(Reason.COMPLETED, Code.FAILED_PRECONDITION, text)
        return self.request

    def input(self, index: int) -> abi.Tensor:
        """An input in place.

        Raises:
            BackendError: NOT_FOUND: it was left out. FAILED_PRECONDITION: as ``look``.
        """
        request = self.look()
        if index not in self._inputs:
            spec = input_spec(self.signature, index)
            if spec is None or spec.name not in request._inputs:
                raise left_out(index)
            self._inputs[index] = Input(spec.name, spec.datatype, request._inputs[spec.name])
        return self._inputs[index].tensor

    # ---- what it is answered with

    def writable(self) -> None:
        """Asks whether it can be given outputs.

        Raises:
            RefusedError: it is not the backend's any more, or answered.
        """
        self._require_mine()
        request = self.request
        streams = Capability.STREAMING in request._capabilities and request._decoupled
        request._require_unanswered(Reason.SENT_LATE if streams else Reason.ANSWERED)

    def allocate(self, index: int, datatype: str, shape: tuple[int, ...]) -> Block:
        """Memory for an output.

        Raises:
            BackendError: the output does not fit (INTERNAL), there is no memory
                (RESOURCE_EXHAUSTED), or as ``writable``.
        """
        block = allocated(datatype, shape, [self.request])
        array = block.array(NUMPY_DTYPES[datatype], shape)
        self.writable()
        self.put(self._checked(index, datatype, array), Output(array, block))
        return block

    def give(self, index: int, owned: abi.TensorOwned) -> None:
        """Takes a tensor over.

        Raises:
            BackendError: as ``allocate``; INVALID_ARGUMENT: it is no tensor. It stays the giver's.
        """
        datatype, array = read_given(owned)
        self.writable()
        name = self._checked(index, datatype, array)
        given = Given(owned)
        self.put(name, Output(array, given=given))
        if datatype == "BYTES":  # copied
            self._outputs[name].drop()

    def put(self, name: str, output: Output) -> None:
        """Makes it one of the next part, or of the answer."""
        if name in self._outputs:
            self._outputs[name].drop()
        self._outputs[name] = output

    def _require_mine(self) -> None:
        """Raises if the batch has ended, unless the request has left it."""
        if self._detached is None:
            self.request._require_batch()

    def _checked(self, index: int, datatype: str, array: Array) -> str:
        try:
            name = check_datatype(self.signature, index, datatype)
        except RefusedError as refusal:
            self.request.refusals.append(refusal)
            raise
        self.request._check({name: array})
        return name

    # ---- its end

    def send(self) -> None:
        """The outputs so far are a part.

        Raises:
            RefusedError: it may not be sent.
        """
        self._require_mine()
        self.look_at_memory()
        self.request._send(self._taken(), self.answer_parameters)
        self.drop()

    def detach(self) -> None:
        """Takes it out of its batch.

        Raises:
            RefusedError: it may not be.
        """
        self._detached = self.request.detach()

    @property
    def detached(self) -> bool:
        """Whether it has left its batch."""
        return self._detached is not None

    def complete(self, code: int, message: str) -> None:
        """Answers it.

        Raises:
            RefusedError: it was answered before, or its batch has ended.
        """
        self._require_mine()
        self.look_at_memory()
        damage = next((r for r in self.request.refusals if r.reason is Reason.OUT_OF_BOUNDS), None)
        try:
            if damage is not None:
                self.request._fail(damage)
            elif code == abi.OK:
                self._complete()
            else:
                self.request._fail(BackendError(code_of(code), message))
        finally:
            self.drop()

    def _complete(self) -> None:
        try:
            self.request._complete(self._taken(), self.answer_parameters)
        except RefusedError:
            raise
        except BackendError as error:  # there is no memory for the answer
            self.request._fail(error)

    def _taken(self) -> Mapping[str, Array]:
        return {name: output.taken() for name, output in self._outputs.items()}

    def look_at_memory(self) -> None:
        """Notes what was written that should not have been."""
        for name, output in self._outputs.items():
            if text := output.damage():
                self._note(Reason.OUT_OF_BOUNDS, f"output '{name}': {text}")
        for each in list(self._inputs.values()):  # a cancellation may look at others meanwhile
            if text := each.damage():
                self._note(Reason.WRITTEN, f"input '{each.name}': {text}")

    def _note(self, reason: Reason, text: str) -> None:
        self.request.refusals.append(RefusedError(reason, Code.INTERNAL, text))

    def drop(self) -> None:
        """Lets go of outputs and parameters that were not sent."""
        for output in self._outputs.values():
            output.drop()
        self._outputs.clear()
        self.answer_parameters.clear()


class BatchHandle:
    """What one execution is to answer."""

    def __init__(self, batch: FakeBatch, handles: dict[int, RequestHandle]) -> None:
        """Of requests whose handles have these numbers."""
        self.batch, self.handles = batch, handles
        self._requests = list(handles.values())
        self._gathered: dict[int, Input] = {}
        self._signature = self._requests[0].signature

    def number(self, i: int) -> int:
        """The handle of the i-th request."""
        self.batch._require_alive()
        return list(self.handles)[i]

    def unanswered(self) -> list[RequestHandle]:
        """Those that the batch still has."""
        self.batch._require_alive()
        return [each for each in self._requests if not (each.request.answered or each.detached)]

    def gather(self, index: int) -> abi.Tensor:
        """All requests' rows of an input.

        Raises:
            BackendError: NOT_FOUND: they leave it out.
        """
        self.batch._require_alive()
        if len(self._requests) == 1 and not self._requests[0].request.answered:
            return self._requests[0].input(index)
        if index not in self._gathered:
            spec = input_spec(self._signature, index)
            array = self.batch.gather(spec.name) if spec is not None else None
            if spec is None or array is None:
                raise left_out(index)
            self._gathered[index] = Input(spec.name, spec.datatype, array)
        return self._gathered[index].tensor

    def allocate(self, index: int, datatype: str, shape: tuple[int, ...]) -> Block:
        """Memory for an output of all.

        Raises:
            BackendError: as of a request.
        """
        self.batch._require_alive()
        block = allocated(datatype, shape, [each.request for each in self.unanswered()])
        array = block.array(NUMPY_DTYPES[datatype], shape)
        for handle, name, part in self._split(index, datatype, array):
            handle.put(name, Output(part, block))
        return block

    def give(self, index: int, owned: abi.TensorOwned) -> None:
        """Takes a tensor over, for all.

        Raises:
            BackendError: as of a request.
        """
        self.batch._require_alive()
        datatype, array = read_given(owned)
        parts = self._split(index, datatype, array)
        given = Given(owned)
        given.retain()  # while it is handed out
        for handle, name, part in parts:
            handle.put(name, Output(part, given=given if datatype != "BYTES" else None))
        given.drop()

    def end(self) -> None:
        """``execute`` has returned."""
        for handle in self._requests:
            if not handle.detached:
                if not handle.request.answered:
                    handle.look_at_memory()
                handle.drop()
        for each in self._gathered.values():
            if text := each.damage():
                text = f"input '{each.name}': {text}"
                self.batch.refusals.append(RefusedError(Reason.WRITTEN, Code.INTERNAL, text))

    def _split(
        self, index: int, datatype: str, array: Array
    ) -> list[tuple[RequestHandle, str, Array]]:
        try:
            name = check_datatype(self._signature, index, datatype)
        except RefusedError as refusal:
            self.batch._refuse(refusal)
        handle_of = {id(each.request): each for each in self._requests}
        parts = self.batch._split({name: array})
        return [(handle_of[id(request)], name, part[name]) for request, part in parts]


class Handles:
    """What native code has numbers of, in place of pointers. No number is used twice."""

    def __init__(self) -> None:
        """Has none."""
        self._numbers = itertools.count(0x1000, 0x10)
        self._objects: dict[int, Any] = {}

    def add(self, each: Any) -> int:
        """Gives it a number."""
        number = next(self._numbers)
        self._objects[number] = each
        return number

    def remove(self, number: int) -> Any:
        """Forgets what has this number, and gives it back."""
        return self._objects.pop(number, None)

    def find(self, kind: type[Any], number: int | None) -> Any:
        """What has this number.

        Raises:
            BackendError: FAILED_PRECONDITION: nothing of the kind (any more).
        """
        found = self._objects.get(number or 0)
        if not isinstance(found, kind):
            text = f"{number or 0:#x} is no {kind.__name__} (any more)"
            raise BackendError(Code.FAILED_PRECONDITION, text)
        return found


def code_of(code: int) -> Code:
    """A code that there is: what else a backend says is UNKNOWN."""
    try:
        return Code(code)
    except ValueError:
        return Code.UNKNOWN


def input_spec(signature: Signature, index: int) -> TensorSpec | None:
    """Of an input, where the model has so many."""
    return signature.inputs[index] if index < len(signature.inputs) else None


def left_out(index: int) -> BackendError:
    """What is said of an input that is not there."""
    return BackendError(Code.NOT_FOUND, f"input {index} was left out of the request")


def check_datatype(signature: Signature, index: int, datatype: str) -> str:
    """The name of an output.

    Raises:
        RefusedError: there is no such output, or it has another datatype.
    """
    if index >= len(signature.outputs):
        raise RefusedError(Reason.NAME, Code.INTERNAL, f"there is no output {index}")
    spec = signature.outputs[index]
    if spec.datatype != datatype:
        text = f"output '{spec.name}' is {datatype}, the model's signature says {spec.datatype}"
        raise RefusedError(Reason.DATATYPE, Code.INTERNAL, text)
    return spec.name


def shape_of(shape: Any, ndim: int) -> tuple[int, ...]:
    """Of an array of numbers.

    Raises:
        BackendError: INVALID_ARGUMENT: no tensor has it.
    """
    if not 0 <= ndim <= MAX_RANK or (ndim and not shape):
        text = f"the tensor has {ndim} axes, from 0 to {MAX_RANK} are possible"
        raise BackendError(Code.INVALID_ARGUMENT, text)
    found = tuple(int(shape[i]) for i in range(ndim))
    if any(size < 0 for size in found):
        raise BackendError(Code.INVALID_ARGUMENT, f"no tensor has shape {list(found)}")
    return found


def allocated(datatype: str, shape: tuple[int, ...], requests: list[FakeRequest]) -> Block:
    """Memory for an output of these requests.

    Raises:
        BackendError: INVALID_ARGUMENT: of BYTES. RESOURCE_EXHAUSTED: there is none.
    """
    if datatype == "BYTES":
        text = "BYTES are given, not written in place: their size is not known"
        raise BackendError(Code.INVALID_ARGUMENT, text)
    size = math.prod(shape) * NUMPY_DTYPES[datatype].itemsize
    if any(isinstance(request, StarvedRequest) for request in requests):
        raise StarvedRequest.no_memory()
    try:
        return Block(size)
    except (MemoryError, ValueError) as error:
        text = f"there are no {size} bytes: {error}"
        raise BackendError(Code.RESOURCE_EXHAUSTED, text) from None


def read_given(owned: abi.TensorOwned) -> tuple[str, Array]:
    """Datatype and elements of a tensor that is offered.

    Raises:
        BackendError: INVALID_ARGUMENT: it is no tensor. UNIMPLEMENTED: it is not on the CPU.
    """
    tensor = owned.tensor
    if not owned.release:
        raise BackendError(Code.INVALID_ARGUMENT, "the tensor has no release")
    if tensor.device.type not in (abi.CPU, abi.NUMBERS["DESPINA_DEVICE_CUDA_HOST"]):
        text = f"the tensor is on a device of type {tensor.device.type}"
        raise BackendError(Code.UNIMPLEMENTED, text)
    if tensor.byte_size and not tensor.data:
        text = f"the tensor has {tensor.byte_size} bytes, and no data"
        raise BackendError(Code.INVALID_ARGUMENT, text)
    datatype = abi.name_of(tensor.datatype)
    shape = shape_of(tensor.shape, tensor.ndim)
    if math.prod(shape) * abi.DATATYPES[datatype][1] // 8 != tensor.byte_size:
        text = f"the tensor has {tensor.byte_size} bytes, which is not what {list(shape)} takes"
        raise BackendError(Code.INVALID_ARGUMENT, text)
    return datatype, array_of(tensor, datatype, shape)
