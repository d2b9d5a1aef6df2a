"""Memory that the kit lends to native code, between guards that show what was written beside it."""

from __future__ import annotations

import ctypes
from itertools import cycle
from typing import Any

import numpy as np

from despina_sdk.errors import BackendError, Code
from despina_sdk.tensors import NUMPY_DTYPES, Array
from despina_sdk.testing import abi

ALIGNMENT = 64
GUARD = 0xFB
_FILLINGS = cycle(range(1, 100))
"""What is not written yet differs from block to block, so that no two answers of it are alike."""


class Block:
    """So many bytes, aligned as the server's, with guards on both sides.

    Attributes:
        address: of the first byte.
        bytes: the memory as an array of uint8.
    """

    def __init__(self, size: int) -> None:
        """Takes the memory.

        Raises:
            MemoryError: there is not that much.
        """
        self._whole = np.full(size + 3 * ALIGNMENT, GUARD, np.uint8)
        begin = 2 * ALIGNMENT - self._whole.ctypes.data % ALIGNMENT
        self._before, self._after = self._whole[:begin], self._whole[begin + size :]
        self.bytes = self._whole[begin : begin + size]
        self.bytes[:] = next(_FILLINGS)
        self.address = self._whole.ctypes.data + begin
        self._sealed: bytes | None = None

    def array(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        """The memory as elements, which keep it."""
        return self.bytes.view(dtype).reshape(shape)

    def seal(self) -> None:
        """From now on nothing may be written."""
        self._sealed = self.bytes.tobytes()

    def damage(self) -> str:
        """What was written that should not have been; empty if nothing."""
        for guard, where in ((self._before, "before its begin"), (self._after, "after its end")):
            if count := int(np.count_nonzero(guard != GUARD)):
                return f"{count} bytes {where} were written"
        changed = self._sealed is not None and self._sealed != self.bytes.tobytes()
        return "it was changed" if changed else ""


class Input:
    """A tensor that the server lends.

    Attributes:
        tensor: as the backend sees it.
    """

    def __init__(self, name: str, datatype: str, array: Array) -> None:
        """Copies an array to where the server would have it."""
        self.name = name
        self._blocks = self._text_blocks(array) if datatype == "BYTES" else [_copied(array)]
        self._shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        self.tensor = abi.Tensor(
            self._blocks[0].address,
            self._shape,
            array.ndim,
            abi.datatype_of(datatype),
            abi.Device(abi.CPU, 0),
            self._blocks[0].bytes.size,
        )
        for block in self._blocks:
            block.seal()

    def damage(self) -> str:
        """What was written to it; empty if nothing."""
        return next((text for block in self._blocks if (text := block.damage())), "")

    def _text_blocks(self, array: Array) -> list[Block]:
        """The elements, and what they point to."""
        texts = [_encoded(each) for each in array.ravel()]
        packed = _copied(np.frombuffer(b"".join(texts), np.uint8))
        elements = np.zeros((len(texts), 2), np.uint64)
        at = packed.address
        for i, text in enumerate(texts):
            elements[i] = at, len(text)
            at += len(text)
        return [_copied(elements), packed]


def _encoded(text: Any) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


def _copied(array: Array) -> Block:
    block = Block(array.nbytes)
    block.array(array.dtype, array.shape)[...] = array
    return block


def array_of(tensor: abi.Tensor, datatype: str, shape: tuple[int, ...]) -> Array:
    """A backend's tensor in place; texts are copied.

    Args:
        tensor: whose size fits the shape.
        datatype: of the protocol.
        shape: its own.

    Raises:
        BackendError: INVALID_ARGUMENT: a text is nowhere.
    """
    if tensor.byte_size == 0:
        return np.empty(shape, NUMPY_DTYPES[datatype])
    if datatype != "BYTES":
        memory = (ctypes.c_uint8 * tensor.byte_size).from_address(tensor.data)
        return np.frombuffer(memory, NUMPY_DTYPES[datatype]).reshape(shape)
    array = np.empty(shape, object)
    flat = array.ravel()
    for i, element in enumerate((abi.Str * array.size).from_address(tensor.data)):
        if element.size and not element.data:
            text = f"element {i} of the tensor has {element.size} bytes, and no data"
            raise BackendError(Code.INVALID_ARGUMENT, text)
        flat[i] = abi.read(element)  # one by one: numpy would cut zeros at the end of texts
    return array
