"""Tensors that are lent, by DLPack and the buffer protocol, in and out of a backend: no copies."""

from __future__ import annotations

import array
import gc
import sys
import threading
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness.answering import LARGE, SIZE, backend, give, run, seen
from harness.dlpack import BFLOAT, Lender, Passing

from despina import DespinaError, Server
from despina.engine import HttpOptions
from despina_sdk import Batch

HOW = pytest.mark.parametrize("how", ["gather", "inputs"])
DECOUPLED = {"model_transaction_policy": {"decoupled": True}}


# ---- out of a backend

LENDERS: dict[str, Callable[[], Any]] = {
    "an array": lambda: LARGE,
    "an array that is read-only": lambda: np.frombuffer(LARGE.tobytes(), np.float32)[None],
    "memoryview": lambda: memoryview(LARGE),
    "numpy's DLPack": lambda: Passing(LARGE),
    "DLPack": lambda: Lender(LARGE),
    "DLPack with strides": lambda: Lender(LARGE, strides=(SIZE, 1)),
    "DLPack with an offset": lambda: Lender(
        np.concatenate([LARGE, LARGE], axis=1), shape=(1, SIZE), byte_offset=SIZE * 4
    ),
    "DLPack without a version": lambda: Lender(LARGE, versioned=False),
    "DLPack of page-locked memory": lambda: Lender(LARGE, device=(3, 0), device_type=3),
}


@pytest.mark.parametrize("lender", LENDERS)
def test_what_is_lent_is_answered_with_and_not_copied(lender: str) -> None:
    answer, copies = give(LENDERS[lender]())
    np.testing.assert_array_equal(answer, LARGE)
    assert copies == 0


def test_an_array_of_the_standard_library_is_not_copied() -> None:
    def execute(batch: Batch) -> None:
        batch.scatter({"Y": array.array("f", LARGE[0].tobytes())})

    with Server(models={"m": (backend(execute, rows=0), {})}) as server:
        before = server._runtime.engine.memory()["tensor_copies"]
        answer = server.infer("m", {"X": np.zeros(1, np.float32)})["Y"]
        assert server._runtime.engine.memory()["tensor_copies"] == before + 1  # of X
    np.testing.assert_array_equal(answer, LARGE[0])


@pytest.mark.parametrize("how", ["complete", "scatter", "detached", "send", "batch send"])
def test_every_way_to_answer_takes_lent_memory(how: str) -> None:
    tensor = Passing(LARGE)

    def execute(batch: Batch) -> None:
        request = batch.requests[0]
        if how == "complete":
            request.complete({"Y": tensor})
        elif how == "scatter":
            batch.scatter({"Y": tensor})
        elif how == "detached":
            request.detach().complete({"Y": tensor})
        elif how == "send":
            request.send({"Y": tensor})
        else:
            batch.send({"Y": tensor})
        if how.endswith("send"):
            request.complete({})

    config = DECOUPLED if how.endswith("send") else {}
    with Server(models={"m": (backend(execute), config)}) as server:
        before = server._runtime.engine.memory()["tensor_copies"]
        (part,) = server.stream("m", {"X": np.zeros((1, 1), np.float32)})
        assert server._runtime.engine.memory()["tensor_copies"] == before + 1  # of X
    np.testing.assert_array_equal(part["Y"], LARGE)


SCATTERED = np.repeat(LARGE, 2, axis=1)[:, ::2]
UNEVEN: dict[str, Callable[[], Any]] = {
    "an array": lambda: SCATTERED,
    "an array backwards": lambda: LARGE[:, ::-1][:, ::-1].copy()[:, ::-1],
    "big-endian": lambda: LARGE.astype(">f4"),
    "memoryview": lambda: memoryview(SCATTERED),
    "numpy's DLPack": lambda: Passing(SCATTERED),
    "DLPack": lambda: Lender(np.repeat(LARGE, 2, axis=1), shape=(1, SIZE), strides=(1, 2)),
    "DLPack backwards": lambda: Lender(LARGE, strides=(1, -1), byte_offset=(SIZE - 1) * 4),
    "DLPack that repeats one": lambda: Lender(LARGE, strides=(0, 0)),
    "few elements": lambda: np.repeat(LARGE[:, :8], 2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("lender", UNEVEN)
def test_what_does_not_lie_row_by_row_is_copied_once(lender: str) -> None:
    expected = {
        "an array backwards": LARGE[:, ::-1],
        "DLPack backwards": LARGE[:, ::-1],
        "DLPack that repeats one": np.zeros_like(LARGE),
        "few elements": LARGE[:, :8],
    }.get(lender, LARGE)
    answer, copies = give(UNEVEN[lender]())
    np.testing.assert_array_equal(answer, expected)
    assert copies == 1


def test_small_tensors_are_copied_and_given_back_at_once() -> None:
    small = Lender(LARGE[:, :4].copy())
    _, copies = give(small)
    assert copies == 1
    assert len(small.released) == 1


def test_bfloat16_is_lent_as_what_it_is() -> None:
    bits = np.arange(SIZE, dtype=np.uint16).reshape(1, -1)
    answer, copies = give(Lender(bits, BFLOAT), "BF16")
    np.testing.assert_array_equal(answer, bits)
    assert copies == 0
    with pytest.raises(DespinaError, match="output 'Y' of model 'm' is BF16, .* says UINT16"):
        give(Lender(bits, BFLOAT), "UINT16")


@pytest.mark.parametrize("shape", [(1, 0), (0, 1 << 62, 1 << 62)])
def test_a_tensor_without_elements_needs_no_memory(shape: tuple[int, ...]) -> None:
    empty = Lender(LARGE, shape=shape, ndim=len(shape), data=None, strides=(7,) * len(shape))
    if len(shape) == 2:
        assert give(empty)[0].shape == shape
    else:
        with pytest.raises(DespinaError, match="output 'Y' of model 'm'"):
            give(empty)
    gc.collect()
    assert len(empty.released) == 1


# ---- how long memory is kept, and who lets go of it


def test_lent_memory_is_kept_as_long_as_the_answer() -> None:
    lender = Lender(LARGE)
    answer, _ = give(lender)
    assert lender.released == []
    np.testing.assert_array_equal(answer, LARGE)
    del answer
    give(Passing(LARGE))  # whoever is next lets go of it
    assert len(lender.released) == 1


def test_lent_memory_is_let_go_of_once_and_by_threads_of_the_interpreter() -> None:
    """Also when the last to use it is a thread that sends answers."""
    lenders: list[Lender] = []
    threads = {threading.get_native_id()}

    def execute(batch: Batch) -> None:
        threads.add(threading.get_native_id())
        lenders.append(Lender(LARGE))
        batch.scatter({"Y": lenders[-1]})

    with Server(models={"m": backend(execute)}) as server:
        engine = server._runtime.engine
        front = engine.serve_http(http_options())
        url = f"http://127.0.0.1:{front.port}/v2/models/m/infer"
        body = b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,1],"data":[1]}]}'
        for _ in range(20):
            with urllib.request.urlopen(url, body, timeout=20) as answer:
                assert len(answer.read()) > SIZE
        front.close(10)
        engine.collect()
    gc.collect()
    assert [len(each.released) for each in lenders] == [1] * 20
    assert {thread for each in lenders for thread in each.released} <= threads


def http_options() -> HttpOptions:
    return HttpOptions(
        address="127.0.0.1",
        port=0,
        threads=1,
        server_name="test",
        server_version="0",
        max_body_bytes=1 << 20,
        max_header_bytes=1 << 16,
        max_connections=8,
        max_bytes_in_flight=1 << 30,
        header_timeout=10.0,
        body_timeout=10.0,
        idle_timeout=10.0,
    )


def test_nothing_is_left_of_arrays_that_were_lent() -> None:
    before = sys.getrefcount(LARGE)
    for make in LENDERS.values():
        give(make())
    gc.collect()
    give(np.zeros((1, 1), np.float32))
    assert sys.getrefcount(LARGE) == before  # an assert would hold it once more


# ---- into a backend


@HOW
def test_inputs_are_lent_by_the_buffer_protocol(how: str) -> None:
    def look(given: np.ndarray) -> bool:
        view = memoryview(given)
        other = np.frombuffer(view, np.float32)
        return view.readonly and other.ctypes.data == given.ctypes.data

    assert seen(look, how)


@HOW
def test_inputs_are_lent_by_dlpack(how: str) -> None:
    if np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("numpy lends read-only arrays by DLPack from 2.1 on")

    def look(given: np.ndarray) -> bool:
        other = np.from_dlpack(given)
        return other.ctypes.data == given.ctypes.data and not other.flags.writeable

    assert seen(look, how)


@HOW
def test_what_is_made_over_an_input_keeps_its_memory(how: str) -> None:
    kept: list[Any] = []

    def look(given: np.ndarray) -> bool:
        kept.append(memoryview(given))
        return True

    with_others = np.full_like(LARGE, -1)
    assert seen(look, how)
    for _ in range(20):
        give(with_others)
    assert np.array_equal(np.asarray(kept[0]), LARGE)


@pytest.mark.parametrize("lender", ["numpy's DLPack", "DLPack", "memoryview"])
def test_a_caller_in_process_may_send_what_is_lent(lender: str) -> None:
    """The memory stays the caller's: one copy, as of an array."""

    def execute(batch: Batch) -> None:
        batch.scatter({"Y": batch.gather("X")})

    answer, copies = run(execute, LENDERS[lender]())
    np.testing.assert_array_equal(answer, LARGE)
    assert copies == 0
