"""Tensors that are lent and cannot be taken: each is refused with the reason, and given back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness.answering import LARGE, SIZE, give, run
from harness.dlpack import COMPLEX, UNSIGNED, Lender, Passing

from despina import Code, DespinaError
from despina_sdk import Batch

BITS = np.zeros((1, SIZE), np.uint16)
HOSTILE: dict[str, tuple[Callable[[], Lender], str]] = {
    "more axes than fit": (lambda: Lender(LARGE, ndim=1 << 30), "1073741824 axes, at most 16 fit"),
    "fewer axes than none": (lambda: Lender(LARGE, ndim=-1), "-1 axes, at most 16 fit"),
    "no shape": (lambda: Lender(LARGE, shape=None), "has axes, but no shape"),
    "a negative axis": (lambda: Lender(LARGE, shape=(1, -5)), r"no tensor has the shape \[1,-5\]"),
    "more than memory": (lambda: Lender(LARGE, shape=(1 << 40, 1 << 40)), "no tensor has"),
    "no data": (lambda: Lender(LARGE, data=None), "the tensor has no memory"),
    "no data and an offset": (lambda: Lender(LARGE, data=None, byte_offset=16), "has no memory"),
    "twice the address space": (lambda: Lender(LARGE, shape=(3, 1 << 60)), "no tensor has"),
    "an offset around": (lambda: Lender(LARGE, byte_offset=2**64 - 8), "lead out of the memory"),
    "far strides": (lambda: Lender(LARGE, strides=(1, 1 << 61)), "lead out of the memory"),
    "far back": (lambda: Lender(LARGE, strides=(1, -(1 << 61))), "lead out of the memory"),
    "complex": (lambda: Lender(LARGE, COMPLEX), "1 x 32 bits of DLPack's type 5"),
    "vectors": (lambda: Lender(LARGE, lanes=4), "4 x 32 bits of DLPack's type 2"),
    "bytes of floats": (lambda: Lender(LARGE, bits=8), "1 x 8 bits of DLPack's type 2"),
    "another datatype": (lambda: Lender(BITS, UNSIGNED), "is UINT16, the configuration says FP32"),
    "a later version": (lambda: Lender(LARGE, major=2), "version 2 of DLPack, known is version 1"),
    "a lie of the device": (lambda: Lender(LARGE, device_type=2), "lies on cuda:0"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_tensor_that_makes_no_sense_is_refused_and_released(what: str) -> None:
    make, text = HOSTILE[what]
    lender = make()
    with pytest.raises(DespinaError, match=rf"output 'Y' of model 'm'.*{text}") as caught:
        give(lender)
    assert caught.value.code is Code.INTERNAL
    gc.collect()
    assert len(lender.released) == 1


@pytest.mark.parametrize(
    ("device", "text"),
    [
        ((2, 1), "the tensor lies on cuda:1, but only memory of the host is taken"),
        ((10, 0), "lies on rocm:0"),
        ((8, 0), "lies on metal:0"),
        ((14, 3), "lies on the device 3 of DLPack's type 14"),
        ((2,), "does not give two numbers"),
        ("cpu", "does not give two numbers"),
        (("cpu", 0), "does not give two numbers"),
    ],
)
def test_a_tensor_on_a_device_is_refused_before_it_is_asked_for(device: Any, text: str) -> None:
    lender = Lender(LARGE, device=device)
    with pytest.raises(DespinaError, match=f"output 'Y' of model 'm': .*{text}"):
        give(lender)
    assert lender.released == []


@pytest.mark.parametrize("gives", [None, 7, "text"])
def test_what_is_no_capsule_is_refused(gives: Any) -> None:
    class Strange(Passing):
        def __dlpack__(self, **options: Any) -> Any:
            return gives

    with pytest.raises(DespinaError, match="does not give the capsule of a tensor"):
        give(Strange(LARGE))


def test_a_capsule_is_taken_once() -> None:
    capsule = LARGE.__dlpack__(max_version=(1, 0))

    class Again(Passing):
        def __dlpack__(self, **options: Any) -> Any:
            return capsule

    np.testing.assert_array_equal(give(Again(LARGE))[0], LARGE)
    with pytest.raises(DespinaError, match="does not give the capsule of a tensor"):
        give(Again(LARGE))


def test_what_the_lender_raises_is_the_reason() -> None:
    class Refusing(Passing):
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("it is still on the way")

    text = "output 'Y' of model 'm': BufferError: it is still on the way"
    with pytest.raises(DespinaError, match=text):
        give(Refusing(LARGE))


def test_a_caller_in_process_is_told_of_a_tensor_on_a_device() -> None:
    def execute(batch: Batch) -> None:
        batch.scatter({})

    with pytest.raises(DespinaError, match="input 'X' for model 'm': .* lies on cuda:0") as caught:
        run(execute, Lender(LARGE, device=(2, 0)))
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_an_array_of_cupy_lies_on_a_device_and_says_so() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    with pytest.raises(DespinaError, match="lies on cuda:0"):
        give(cupy.zeros((1, SIZE), cupy.float32))
