"""What the conformance tests vary in their inputs, and what they look at in the process."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from despina_sdk.tensors import Array

Tensors = Mapping[str, Array]
T = TypeVar("T")

M_ARENA_MAX = -8
"""A parameter of ``mallopt``, in ``malloc.h`` of glibc."""
SETTLE_SECONDS = 1.0
"""For threads that have been told to end, and for memory that is let go with them."""


def repeat(inputs: Tensors, count: int) -> dict[str, Array]:
    """The rows of all inputs so many times."""
    return {name: np.concatenate([array] * count) for name, array in inputs.items()}


def turned(inputs: Tensors) -> dict[str, Array]:
    """Numbers in reverse order along the last axis: other values, as valid as they were."""
    return {n: a if a.dtype.kind == "O" or not a.ndim else a[..., ::-1] for n, a in inputs.items()}


def rows_of(inputs: Tensors) -> int:
    """Rows of a request for a model with a batch axis."""
    return len(next(iter(inputs.values())))


def fitting(samples: Sequence[Tensors], limit: int) -> list[Tensors]:
    """What goes into one batch of the samples, and of the last one with its rows twice.

    Skips the test if that is not even two requests.
    """
    if not limit:
        pytest.skip("the model has no batch axis")
    chosen: list[Tensors] = []
    for each in [*samples, repeat(samples[-1], 2)]:
        if rows_of(each) <= limit:
            chosen.append(each)
            limit -= rows_of(each)
    if len(chosen) < 2:
        pytest.skip("the largest batch has no room for two requests")
    return chosen


def filled(shape: tuple[int, ...], text: bytes) -> Array:
    """A BYTES tensor of one text."""
    array = np.empty(shape, object)
    array.fill(text)  # numpy.full would lose zeros at its end
    return array


def scattered(array: Array) -> Array:
    """The same values, not contiguous in memory (where there is more than one)."""
    if not array.ndim:
        return array
    spread = np.empty((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    spread[..., ::2] = spread[..., 1::2] = array
    return spread[..., ::2]


def noted(function: Callable[..., T], notes: list[str], what: str) -> Callable[..., T]:
    """A function that writes down each of its calls."""

    def call(*arguments: Any) -> T:
        notes.append(what)
        return function(*arguments)

    return call


def settled(look: Callable[[], list[str]]) -> list[str]:
    """What is still to be seen after a while; nothing as soon as there is nothing."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (found := _after_collection(look)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def _after_collection(look: Callable[[], list[str]]) -> list[str]:
    gc.collect()
    return look()


def _proc(name: str) -> Path:
    path = Path("/proc/self") / name
    if not path.exists():
        pytest.skip(f"this system has no {path}")
    return path


def threads() -> dict[str, str]:
    """All threads of the process, also those that Python does not know: a name for each number."""
    python = {str(each.native_id): f"thread '{each.name}'" for each in threading.enumerate()}
    numbers = os.listdir(_proc("task"))
    return {number: python.get(number, f"native thread {number}") for number in numbers}


def descriptors() -> dict[str, str]:
    """All open descriptors of the process: what each number is open for."""
    found = {}
    folder = _proc("fd")
    for number in os.listdir(folder):
        try:
            found[number] = f"{number} ({os.readlink(folder / number)})"
        except FileNotFoundError:
            continue  # the one that listed the folder
    return found


@cache
def use_one_heap() -> None:
    """Keeps glibc from giving new threads heaps of their own, which fragment one by one."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_ARENA_MAX, 1)


def resident_bytes() -> int:
    """Memory of the process (RSS), without what is free but kept for later (where it is glibc)."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    return int(_proc("statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class _MallocInfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks")),
        ("keepcost", ctypes.c_size_t),
    ]


def allocated_bytes() -> int:
    """Memory that ``malloc`` has given and not got back, to the byte.

    Skips the test where the C library does not tell.
    """
    gc.collect()
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo is None:
        pytest.skip("this system's C library does not tell how much memory is in use (mallinfo2)")
    mallinfo.restype = _MallocInfo
    info = mallinfo()
    return int(info.uordblks + info.hblkhd)
