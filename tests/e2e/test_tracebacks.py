"""A mistake of a backend's: the log has the traceback and where it was, the client the message."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from harness.answering import backend
from harness.pending import wait_pending

from despina import DespinaError, Server, TensorSpec, batch_function
from despina_sdk import Array, BackendError, Batch, Code, DetachedRequest

X = np.ones((1, 1), np.float32)
DECOUPLED = {"model_transaction_policy": {"decoupled": True}}
WHERE = "model 'm' version 1 instance 'm_0', request 'cup-7'"


def spill() -> None:
    raise ValueError("the cup is empty")


def texts(error: str) -> list[str]:
    """What the lines of the log say, without what is around it."""
    parts = (line.partition("] ")[2] for line in error.splitlines())
    return [json.JSONDecoder().raw_decode(part)[0] for part in parts if part.startswith('"')]


def asked(
    capfd: pytest.CaptureFixture[str], model: Any, config: dict[str, Any] | None = None
) -> tuple[list[Array], DespinaError, list[str]]:
    """What came of a request before it failed, its error, and what was logged."""
    came: list[Array] = []
    with Server(models={"m": (model, config or {})}) as server:
        capfd.readouterr()
        parts = server.stream("m", {"X": X}, request_id="cup-7", timeout=20)
        with pytest.raises(DespinaError) as caught:
            came.extend(part["Y"] for part in parts)
        logged = texts(capfd.readouterr().err)
    return came, caught.value, logged


def expect_traceback(logged: list[str], step: str, error: str, function: str) -> None:
    """The log names the place; the traceback below it goes down to the function."""
    at = logged.index(f"{WHERE}: {step}: {error}")
    assert logged[at + 1].strip() == "Traceback (most recent call last):"
    below = logged[at + 1 :]
    assert any(line.strip().endswith(f", in {function}") for line in below)
    assert any(line.strip() == error for line in below)


def expect_message_alone(error: DespinaError, message: str) -> None:
    assert error.code is Code.INTERNAL
    assert error.message.endswith(message)
    for word in ("Traceback", "File", __file__, "\n"):
        assert word not in error.message


EMPTY = "ValueError: the cup is empty"


def test_out_of_execute(capfd: pytest.CaptureFixture[str]) -> None:
    _, error, logged = asked(capfd, backend(lambda batch: spill()))
    expect_message_alone(error, f"model 'm': {EMPTY}")
    expect_traceback(logged, "execute", EMPTY, "spill")


def test_out_of_a_generator_half_way(capfd: pytest.CaptureFixture[str]) -> None:
    @batch_function(inputs=[TensorSpec("X", "FP32", (1,))], outputs=[TensorSpec("Y", "FP32", (1,))])
    def pour(X: Array) -> Iterator[dict[str, Array]]:  # noqa: N803 - the name of the tensor
        yield {"Y": X}
        yield {"Y": X + 1}
        spill()

    came, error, logged = asked(capfd, pour, DECOUPLED)
    assert [float(each[0, 0]) for each in came] == [1, 2]
    expect_message_alone(error, f"model 'm': {EMPTY}")
    expect_traceback(logged, "execute", EMPTY, "spill")


def later(answer: Callable[[DetachedRequest], None]) -> type:
    """A backend that answers on a thread of its own."""

    def execute(batch: Batch) -> None:
        request = batch.requests[0].detach()
        threading.Thread(target=answer, args=(request,)).start()

    return backend(execute)


def test_on_a_thread_of_the_backend_that_fails_its_request(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def answer(request: DetachedRequest) -> None:
        try:
            spill()
        except ValueError as error:
            request.fail(error)

    _, error, logged = asked(capfd, later(answer))
    expect_message_alone(error, f"model 'm': {EMPTY}")
    expect_traceback(logged, "fail", EMPTY, "spill")


def test_on_a_thread_of_the_backend_that_ends_with_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python prints the traceback; the engine says which request was dropped with the thread."""
    # That of pytest keeps the exception, and with it what the thread had.
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    _, error, logged = asked(capfd, later(lambda request: spill()))
    text = "the backend dropped the request without answering it"
    expect_message_alone(error, text)
    assert f"{WHERE}: {text}" in logged


@pytest.mark.parametrize("detached", [False, True], ids=["in the batch", "detached"])
def test_of_an_error_that_a_request_is_failed_with(
    capfd: pytest.CaptureFixture[str], detached: bool
) -> None:
    def execute(batch: Batch) -> None:
        request: Any = batch.requests[0].detach() if detached else batch.requests[0]
        try:
            spill()
        except ValueError as error:
            request.fail(error)

    _, error, logged = asked(capfd, backend(execute))
    expect_message_alone(error, f"model 'm': {EMPTY}")
    expect_traceback(logged, "fail", EMPTY, "spill")


def test_an_error_that_was_never_raised_is_logged_by_its_text(
    capfd: pytest.CaptureFixture[str],
) -> None:
    _, error, logged = asked(
        capfd, backend(lambda batch: batch.requests[0].fail(KeyError("sugar")))
    )
    expect_message_alone(error, "model 'm': KeyError: 'sugar'")
    assert f"{WHERE}: fail: KeyError: 'sugar'" in logged


@pytest.mark.parametrize("how", ["raised", "failed", "detached"])
def test_what_is_said_on_purpose_is_not_logged(capfd: pytest.CaptureFixture[str], how: str) -> None:
    def execute(batch: Batch) -> None:
        error = BackendError(Code.INTERNAL, "no more cups")
        if how == "raised":
            raise error
        request: Any = batch.requests[0]
        (request.detach() if how == "detached" else request).fail(error)

    _, error, logged = asked(capfd, backend(execute))
    assert error.message.endswith("no more cups")
    assert not any("cups" in line or "Traceback" in line for line in logged)


def test_all_requests_that_fail_with_a_batch_are_named(capfd: pytest.CaptureFixture[str]) -> None:
    """The first is answered before; while it runs, the others queue for one batch."""
    begun, go_on = threading.Event(), threading.Event()

    def execute(batch: Batch) -> None:
        begun.set()
        assert go_on.wait(20)
        for request in batch.requests:
            if request.id in ("a", "b"):
                request.complete({"Y": request.inputs["X"]})
        if len(batch.requests) > 1:
            spill()

    def ask(name: str) -> None:
        with pytest.raises(DespinaError) if name in "cd" else nullcontext():
            server.infer("m", {"X": X}, request_id=name, timeout=20)

    with Server(models={"m": (backend(execute), {"dynamic_batching": {}})}) as server:
        threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
        threads[0].start()
        assert begun.wait(20)
        for thread in threads[1:]:
            thread.start()
        wait_pending(server, "m", 3)
        capfd.readouterr()
        go_on.set()
        for thread in threads:
            thread.join()
    (line,) = [each for each in texts(capfd.readouterr().err) if "execute: " in each]
    assert "instance 'm_0', requests '" in line
    assert ("'c'" in line, "'d'" in line) == (True, True)
    assert ("'a'" in line, "'b'" in line) == (False, False)


def test_a_name_from_a_client_cannot_forge_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    with Server(models={"m": backend(lambda batch: spill())}) as server:
        capfd.readouterr()
        with pytest.raises(DespinaError):
            server.infer("m", {"X": X}, request_id="x\nE1123 forged] y")
        lines = capfd.readouterr().err.splitlines()
    assert not any(line.startswith("E1123 forged") for line in lines)
