"""Answers in parts, and answers after ``execute`` has returned. The real engine throughout."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np
import pytest

from despina import Backend, Code, DespinaError, Server, TensorSpec, batch_function
from despina_sdk import (
    BackendError,
    Batch,
    Capability,
    DetachedRequest,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Signature,
)

DECOUPLED = {"model_transaction_policy": {"decoupled": True}}
COUNT = {"N": np.array([[3]], np.int32)}


def backend(
    execute: Callable[[Batch], None],
    capabilities: Capability = Capability.STREAMING | Capability.ASYNC,
) -> type[Backend]:
    """A backend whose instances run ``execute``: N counts, I is one number per row."""

    class FunctionInstance(Instance):
        def execute(self, batch: Batch) -> None:
            execute(batch)

    class FunctionModel(Model):
        signature = Signature(
            (TensorSpec("N", "INT32", (1,)),), (TensorSpec("I", "INT32", (1,)),), 4
        )

        def instance(self, placement: Placement) -> Instance:
            return FunctionInstance()

    class FunctionBackend(Backend):
        name = "function"

        def load(self, spec: ModelSpec) -> Model:
            return FunctionModel()

    FunctionBackend.capabilities = capabilities
    return FunctionBackend


def count(batch: Batch) -> None:
    for i in range(int(batch.gather("N")[0, 0])):
        batch.send({"I": np.array([[i]], np.int32)})
    batch.scatter({})


def numbers(parts) -> list[int]:
    return [int(part["I"][0, 0]) for part in parts]


def test_the_parts_of_an_answer_come_in_order():
    with Server(models={"m": (backend(count), DECOUPLED)}) as server:
        assert numbers(server.stream("m", COUNT)) == [0, 1, 2]
        assert numbers(server.stream("m", {"N": np.array([[0]], np.int32)})) == []


def test_a_generator_is_a_backend_that_streams():
    @batch_function(
        inputs=[TensorSpec("N", "INT32", (1,))], outputs=[TensorSpec("I", "INT32", (1,))]
    )
    def countdown(N):  # noqa: N803 - the name of the tensor
        for i in range(int(N[0, 0]), 0, -1):
            yield {"I": np.full_like(N, i)}

    with Server(models={"m": (countdown, DECOUPLED)}) as server:
        assert numbers(server.stream("m", COUNT)) == [3, 2, 1]


def test_parts_can_be_taken_while_the_backend_still_works():
    allowed: SimpleQueue[int] = SimpleQueue()

    def execute(batch: Batch) -> None:
        for _ in range(2):
            batch.requests[0].send({"I": np.array([[allowed.get()]], np.int32)})
        batch.requests[0].complete({})

    with Server(models={"m": (backend(execute), DECOUPLED)}) as server:
        parts = server.stream("m", COUNT, timeout=20)
        for number in (7, 8):
            allowed.put(number)
            assert int(next(parts)["I"][0, 0]) == number
        assert list(parts) == []


def test_an_error_ends_the_parts():
    def execute(batch: Batch) -> None:
        batch.send({"I": np.array([[1]], np.int32)})
        raise BackendError(Code.UNAVAILABLE, "the tape has ended")

    with Server(models={"m": (backend(execute), DECOUPLED)}) as server:
        parts = server.stream("m", COUNT)
        assert int(next(parts)["I"][0, 0]) == 1
        with pytest.raises(DespinaError, match="the tape has ended") as caught:
            next(parts)
        assert caught.value.code is Code.UNAVAILABLE


def test_who_stops_listening_cancels_the_request():
    ended = threading.Event()

    def execute(batch: Batch) -> None:
        request = batch.requests[0]
        while not request.cancelled:
            request.send({"I": np.array([[1]], np.int32)})
            time.sleep(0.001)
        ended.set()
        request.complete({})

    with Server(models={"m": (backend(execute), DECOUPLED)}) as server:
        parts = server.stream("m", COUNT)
        next(parts)
        parts.close()
        assert ended.wait(20)


def test_a_model_that_sends_no_parts_streams_its_one_answer():
    def execute(batch: Batch) -> None:
        batch.scatter({"I": batch.gather("N")})

    with Server(models={"m": backend(execute)}) as server:
        assert numbers(server.stream("m", COUNT)) == [3]


def test_a_decoupled_model_is_not_for_infer():
    with Server(models={"m": (backend(count), DECOUPLED)}) as server:
        with pytest.raises(DespinaError, match="'m' is decoupled: .* stream") as caught:
            server.infer("m", COUNT)
        assert caught.value.code is Code.UNIMPLEMENTED


def test_parts_of_a_model_that_is_not_decoupled_are_refused():
    with Server(models={"m": backend(count)}) as server:
        with pytest.raises(DespinaError, match="model 'm' is not decoupled") as caught:
            server.infer("m", COUNT)
        assert caught.value.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize(
    ("execute", "capability"),
    [
        (count, "STREAMING"),
        (lambda batch: batch.requests[0].send({}), "STREAMING"),
        (lambda batch: batch.requests[0].detach(), "ASYNC"),
    ],
)
def test_what_a_backend_does_not_declare_is_refused(execute, capability: str):
    with Server(models={"m": (backend(execute, Capability.NONE), DECOUPLED)}) as server:
        with pytest.raises(
            DespinaError, match=f"does not declare Capability.{capability}"
        ) as error:
            list(server.stream("m", COUNT))
        assert error.value.code is Code.UNIMPLEMENTED


def test_a_detached_request_is_answered_later_on_another_thread():
    detached: SimpleQueue[DetachedRequest] = SimpleQueue()

    def answer() -> None:
        request = detached.get()
        assert request.rows == 1
        assert request.id == "late"
        assert request.parameters == {"key": 1}
        assert not request.cancelled
        request.complete({"I": request.inputs["N"] + 1})
        with pytest.raises(BackendError, match="request 'late' has been answered before"):
            request.complete({})
        with pytest.raises(BackendError, match="request 'late' has been answered before"):
            request.fail(ValueError())

    def execute(batch: Batch) -> None:
        request = batch.requests[0]
        detached.put(request.detach())
        with pytest.raises(BackendError, match="request 'late' has been detached"):
            request.complete({})

    thread = threading.Thread(target=answer)
    thread.start()
    with Server(models={"m": backend(execute)}) as server:
        outputs = server.infer("m", COUNT, request_id="late", parameters={"key": 1})
        assert int(outputs["I"][0, 0]) == 4
    thread.join()


def test_a_detached_request_streams():
    def execute(batch: Batch) -> None:
        request = batch.requests[0].detach()

        def later() -> None:
            for i in range(3):
                request.send({"I": np.array([[i]], np.int32)})
            request.complete({})

        threading.Thread(target=later).start()

    with Server(models={"m": (backend(execute), DECOUPLED)}) as server:
        assert numbers(server.stream("m", COUNT)) == [0, 1, 2]


def test_a_detached_request_that_is_dropped_fails():
    def execute(batch: Batch) -> None:
        batch.requests[0].detach()
        gc.collect()

    dropped = pytest.raises(DespinaError, match="dropped the request without answering")
    with Server(models={"m": backend(execute)}) as server, dropped:
        server.infer("m", COUNT)


def test_a_detached_request_keeps_its_error():
    def execute(batch: Batch) -> None:
        batch.requests[0].detach().fail(BackendError(Code.NOT_FOUND, "no such page"))

    with Server(models={"m": backend(execute)}) as server:
        with pytest.raises(DespinaError, match="no such page") as caught:
            server.infer("m", COUNT)
        assert caught.value.code is Code.NOT_FOUND


def test_an_ensemble_takes_no_decoupled_member(write_model, repository):
    write_model(
        "ensemble",
        """
        platform: "ensemble"
        max_batch_size: 4
        input [ { name: "N" data_type: TYPE_INT32 dims: [ 1 ] } ]
        output [ { name: "I" data_type: TYPE_INT32 dims: [ 1 ] } ]
        ensemble_scheduling { step [ {
          model_name: "m" model_version: -1
          input_map { key: "N" value: "N" } output_map { key: "I" value: "I" } } ] }
    """,
    )
    with (
        pytest.raises(DespinaError, match="'m'.* is decoupled, and an ensemble takes one answer"),
        Server(repository, models={"m": (backend(count), DECOUPLED)}),
    ):
        pass


# -- on an event loop


def test_an_event_loop_takes_parts_and_whole_answers_side_by_side():
    def execute(batch: Batch) -> None:
        batch.scatter({"I": batch.gather("N")})

    async def run(server: Server) -> None:
        async def streamed() -> list[int]:
            return [int(part["I"][0, 0]) async for part in server.stream_async("m", COUNT)]

        async def whole() -> int:
            return int((await server.infer_async("echo", COUNT))["I"][0, 0])

        answers = await asyncio.gather(*(streamed() for _ in range(20)), *(whole() for _ in "ab"))
        assert answers == [[0, 1, 2]] * 20 + [3, 3]

    echo = backend(execute)
    echo.name = "echo"
    models = {"m": (backend(count), {**DECOUPLED, "max_batch_size": 1}), "echo": echo}
    with Server(models=models) as server:
        asyncio.run(run(server))


def test_a_task_that_is_cancelled_cancels_its_request():
    begun, ended = threading.Event(), threading.Event()

    def execute(batch: Batch) -> None:
        begun.set()
        while not batch.requests[0].cancelled:
            time.sleep(0.001)
        ended.set()

    async def run(server: Server) -> None:
        task = asyncio.ensure_future(server.infer_async("m", COUNT))
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Server(models={"m": backend(execute)}) as server:
        asyncio.run(run(server))
        assert ended.wait(20)


def test_on_an_event_loop_errors_and_timeouts_are_the_same():
    release = threading.Event()

    def execute(batch: Batch) -> None:
        release.wait(20)
        raise BackendError(Code.UNAVAILABLE, "not now")

    async def run(server: Server) -> None:
        with pytest.raises(DespinaError, match="no answer within the timeout") as caught:
            await server.infer_async("m", COUNT, timeout=0.01)
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        release.set()
        with pytest.raises(DespinaError, match="not now"):
            await server.infer_async("m", COUNT)
        with pytest.raises(DespinaError, match="unknown model"):
            await server.infer_async("x", COUNT)

    with Server(models={"m": backend(execute)}) as server:
        asyncio.run(run(server))


def test_a_decoupled_model_is_not_for_infer_async():
    async def run(server: Server) -> None:
        with pytest.raises(DespinaError, match="'m' is decoupled"):
            await server.infer_async("m", COUNT)

    with Server(models={"m": (backend(count), DECOUPLED)}) as server:
        asyncio.run(run(server))
