"""What a backend keeps beyond its life says so when it is touched; what it may keep stays good."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness.answering import backend

from despina import DespinaError, Server
from despina_sdk import BackendError, Batch, Code, DetachedRequest

ROW = np.arange(5000, dtype=np.float32)[np.newaxis]
MAY_BE_KEPT = "the batch has ended: neither it nor its requests may be kept after execute"


def served(execute: Callable[[Batch], None], decoupled: bool = False) -> Any:
    """Runs one request to its end, and lets the memory of others come and go behind it."""
    config = {"model_transaction_policy": {"decoupled": decoupled}}
    with Server(models={"m": (backend(execute), config)}) as server:
        answer = list(server.stream("m", {"X": ROW}, request_id="a", parameters={"p": 1}))
        for _ in range(20):
            list(server.stream("m", {"X": np.full_like(ROW, -1)}))
    gc.collect()
    return answer


def first(keep: Callable[[Batch], Any]) -> tuple[list[Any], Callable[[Batch], None]]:
    """What the first execution keeps, and what all do."""
    kept: list[Any] = []

    def execute(batch: Batch) -> None:
        if not kept:
            kept.append(keep(batch))
        batch.scatter({"Y": ROW})

    return kept, execute


USES: dict[str, Callable[[Any, Any], Any]] = {
    "requests": lambda batch, request: batch.requests,
    "rows of the batch": lambda batch, request: batch.rows,
    "gather": lambda batch, request: batch.gather("X"),
    "gather of what is not there": lambda batch, request: batch.gather("W"),
    "scatter": lambda batch, request: batch.scatter({"Y": ROW}),
    "send of the batch": lambda batch, request: batch.send({"Y": ROW}),
    "inputs": lambda batch, request: request.inputs,
    "parameters": lambda batch, request: request.parameters,
    "cancelled": lambda batch, request: request.cancelled,
    "complete": lambda batch, request: request.complete({"Y": ROW}),
    "complete with parameters": lambda batch, request: request.complete({}, {"p": 1}),
    "send": lambda batch, request: request.send({"Y": ROW}),
    "fail": lambda batch, request: request.fail(ValueError()),
    "detach": lambda batch, request: request.detach(),
}


@pytest.mark.parametrize("look", [False, True], ids=["untouched", "looked at"])
@pytest.mark.parametrize("use", USES)
def test_a_batch_and_its_requests_end_with_the_execution(use: str, look: bool) -> None:
    def keep(batch: Batch) -> Any:
        request = batch.requests[0]
        if look:
            assert (request.inputs, request.parameters, batch.gather("X")) is not None
        return batch, request

    kept, execute = first(keep)
    served(execute)
    with pytest.raises(BackendError, match=MAY_BE_KEPT) as caught:
        USES[use](*kept[0])
    assert caught.value.code is Code.FAILED_PRECONDITION


def test_the_name_and_rows_of_a_kept_request_stay_readable() -> None:
    kept, execute = first(lambda batch: batch.requests[0])
    served(execute)
    assert (kept[0].id, kept[0].rows) == ("a", 1)


def test_requests_that_are_kept_in_their_sequence_say_so() -> None:
    kept, execute = first(lambda batch: batch.requests)
    served(execute)
    (request,) = kept[0]
    with pytest.raises(BackendError, match=MAY_BE_KEPT):
        request.complete({})


def detached_input(batch: Batch) -> Any:
    request = batch.requests[0].detach()
    array = request.inputs["X"]
    request.complete({"Y": array})
    return array


ARRAYS: dict[str, Callable[[Batch], Any]] = {
    "gathered": lambda batch: batch.gather("X"),
    "an input": lambda batch: batch.requests[0].inputs["X"],
    "a part of an input": lambda batch: batch.requests[0].inputs["X"][:, :],
    "the mapping of inputs": lambda batch: batch.requests[0].inputs,
    "a buffer": lambda batch: memoryview(batch.gather("X")),
    "the detached request's": lambda batch: detached_input(batch),
}


@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_that_are_kept_stay_as_they_were(what: str) -> None:
    kept, execute = first(ARRAYS[what])
    served(execute)
    array = kept[0]["X"] if isinstance(kept[0], dict) else np.asarray(kept[0])
    assert np.array_equal(array, ROW)
    assert not array.flags.writeable


def test_parameters_that_are_kept_stay_as_they_were() -> None:
    kept, execute = first(lambda batch: batch.requests[0].parameters)
    served(execute)
    assert kept == [{"p": 1}]


def test_what_was_sent_stays_as_it_was_when_the_backend_lets_go_of_it() -> None:
    def execute(batch: Batch) -> None:
        for i in range(3):
            batch.send({"Y": np.full((1, 5000), i, np.float32)})
        batch.scatter({"Y": np.full((1, 5000), 3, np.float32)})

    answer = served(execute, decoupled=True)
    assert [np.unique(part["Y"]).tolist() for part in answer] == [[0], [1], [2], [3]]


def test_a_batch_that_ends_while_another_thread_uses_it_says_so() -> None:
    """The other thread gets what it asks for, or is told that it comes too late."""
    texts: set[str] = set()
    threads: list[threading.Thread] = []

    def use(batch: Batch) -> None:
        try:
            while True:
                assert np.array_equal(batch.gather("X"), batch.requests[0].inputs["X"])
        except BackendError as error:
            texts.add(error.message)

    def execute(batch: Batch) -> None:
        threads.append(threading.Thread(target=use, args=(batch,)))
        threads[-1].start()
        batch.requests[0].complete({"Y": ROW})

    served(execute)
    for thread in threads:
        thread.join()
    assert len(threads) == 21
    expected = ("answered before", "before requests are delivered", "may be kept")
    assert texts
    assert all(any(each in text for each in expected) for text in texts)


# ---- detached requests


def later(use: Callable[[DetachedRequest], Any]) -> Any:
    """What comes of a use of a detached request after its answer and after its server."""
    kept: list[DetachedRequest] = []

    def execute(batch: Batch) -> None:
        request = batch.requests[0].detach()
        if not kept:
            kept.append(request)
        request.complete({"Y": request.inputs["X"]})

    served(execute)
    return use(kept[0])


@pytest.mark.parametrize(
    "use",
    [
        lambda request: request.parameters,
        lambda request: request.complete({}),
        lambda request: request.complete({}, {"p": 1}),
        lambda request: request.send({}),
        lambda request: request.fail(ValueError()),
    ],
    ids=["parameters", "complete", "complete with parameters", "send", "fail"],
)
def test_a_detached_request_ends_with_its_answer(use: Callable[[DetachedRequest], Any]) -> None:
    with pytest.raises(BackendError, match="request 'a' has been answered before") as caught:
        later(use)
    assert caught.value.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize("second", [ROW, "no array"], ids=["right", "wrong"])
def test_a_model_that_goes_while_its_answer_is_made_is_left_alone(second: Any) -> None:
    """As where a watchdog gives a request up that its author's code still works on."""
    detached: list[DetachedRequest] = []
    errors: list[BackendError] = []
    inside, unloaded = threading.Event(), threading.Event()

    class Slow:
        def __array__(self, *arguments: Any, **options: Any) -> np.ndarray:
            inside.set()
            assert unloaded.wait(20)
            return ROW

    def answer(request: DetachedRequest) -> None:
        try:
            request.complete({"Y": Slow(), "Z": second})
        except BackendError as error:
            errors.append(error)

    def execute(batch: Batch) -> None:
        detached.append(batch.requests[0].detach())

    with Server(models={"m": backend(execute)}) as server:
        parts = server.stream("m", {"X": ROW}, request_id="a")
        asking = threading.Thread(target=lambda: pytest.raises(DespinaError, list, parts))
        asking.start()
        while not detached:
            time.sleep(0.001)
        answering = threading.Thread(target=answer, args=detached)
        answering.start()
        assert inside.wait(20)
        detached[0].fail(BackendError(Code.DEADLINE_EXCEEDED, "too late"))
        asking.join(20)
        server.unload("m")
        gc.collect()
    unloaded.set()
    answering.join(20)
    assert [error.message for error in errors] == ["request 'a' has been answered before"]


def test_what_a_detached_request_has_shown_stays() -> None:
    assert np.array_equal(later(lambda request: request.inputs["X"]), ROW)
    assert later(lambda request: (request.id, request.rows, request.cancelled)) == ("a", 1, False)
