"""The fakes refuse what the engine refuses, so that a test without a server means something."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from despina_sdk import (
    Array,
    BackendError,
    Batch,
    Capability,
    Code,
    Instance,
    Signature,
    TensorSpec,
)
from despina_sdk.testing import FakeBatch, FakeRequest, Reason, RefusedError, run_batch

SIGNATURE = Signature(
    (TensorSpec("X", "FP32", (2,)),),
    (TensorSpec("Y", "FP32", (2,)), TensorSpec("label", "BYTES", (1,))),
)


def rows(count: int, value: float = 0) -> Array:
    return np.full((count, 2), value, np.float32)


def request(count: int = 1, value: float = 0) -> FakeRequest:
    return FakeRequest({"X": rows(count, value)}, signature=SIGNATURE)


# ---- a request


def test_inputs_are_read_only_views() -> None:
    sent = rows(1)
    view = FakeRequest({"X": sent}).inputs["X"]
    assert np.shares_memory(view, sent)
    with pytest.raises(ValueError, match="read-only"):
        view[:] = 1
    assert sent.flags.writeable


def test_rows_are_those_of_its_inputs() -> None:
    assert request(3).rows == 3
    assert FakeRequest({"X": np.array(5)}, batching=False).rows == 1
    assert FakeRequest({}).rows == 1


@pytest.mark.parametrize("answer_first", ["complete", "fail"])
@pytest.mark.parametrize("answer_again", ["complete", "fail"])
def test_a_request_is_answered_once(answer_first: str, answer_again: str) -> None:
    def answer(how: str) -> None:
        if how == "complete":
            asked.complete({"Y": rows(1)})
        else:
            asked.fail(ValueError("no"))

    asked = request()
    answer(answer_first)
    assert asked.answered
    with pytest.raises(BackendError, match="request 'request' has been answered before") as caught:
        answer(answer_again)
    assert caught.value.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"Z": rows(2)}, "model 'model' has no output 'Z'"),
        (
            {"Y": rows(3)},
            r"output 'Y' of model 'model' has shape \[3,2\], but the batch has 2 rows",
        ),
        ({"Y": np.array(1, np.float32)}, r"has shape \[\], but the batch has 2 rows"),
        ({"Y": rows(2).astype(np.float64)}, "output 'Y' of model 'model' is FP64, .* says FP32"),
        ({"label": rows(2)}, "output 'label' of model 'model' is FP32, .* says BYTES"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_the_request_stays_unanswered(
    outputs: dict[str, Array], text: str
) -> None:
    asked = request(2)
    for answer in (asked.complete, FakeBatch([asked]).scatter):
        with pytest.raises(BackendError, match=text) as caught:
            answer(outputs)
        assert caught.value.code is Code.INTERNAL
        assert not asked.answered


@pytest.mark.parametrize("dtype", ["S3", "U3", "O"])
def test_strings_of_numpy_will_do_for_bytes(dtype: str) -> None:
    asked = request()
    asked.complete({"label": np.array([["mug"]], dtype)})
    assert asked.outputs is not None


def test_without_a_batch_axis_rows_are_not_checked() -> None:
    asked = FakeRequest({"X": rows(2)}, batching=False, signature=SIGNATURE)
    FakeBatch([asked]).scatter({"Y": rows(5)})
    assert asked.outputs is not None
    assert asked.outputs["Y"].shape == (5, 2)


def test_the_parameters_of_an_answer_are_kept() -> None:
    asked = streaming()
    asked.send({"Y": rows(1)}, {"part": 1})
    asked.send({"Y": rows(1)})
    asked.complete({}, parameters={"done": True})
    assert asked.part_parameters == [{"part": 1}, {}]
    assert asked.answer_parameters == {"done": True}


def test_a_detached_request_keeps_its_parameters() -> None:
    asked = asynchronous()
    asked.detach().complete({"Y": rows(2)}, {"score": 0.5})
    assert asked.answer_parameters == {"score": 0.5}


@pytest.mark.parametrize("parameters", [{"bad": [1]}, {"bad": 2**63}, {7: 1}])
def test_a_refused_parameter_leaves_the_request_unanswered(parameters: Any) -> None:
    asked = streaming()
    for answer in (asked.complete, asked.send):
        with pytest.raises(RefusedError, match="an answer of model 'model': ") as caught:
            answer({"Y": rows(1)}, {"good": 1, **parameters})
        assert caught.value.reason is Reason.PARAMETER
    assert (asked.answered, asked.parts, asked.part_parameters) == (False, [], [])
    assert (asked.outputs, asked.answer_parameters) == (None, {})


class _Lending:
    """Lends an array by DLPack."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)


@pytest.mark.parametrize("lend", [_Lending, memoryview], ids=["DLPack", "buffer protocol"])
def test_memory_that_is_lent_is_answered_with_and_not_copied(lend: Callable[[Array], Any]) -> None:
    own = rows(2, 3)
    requests = [request(1), request(1)]
    FakeBatch(requests).scatter({"Y": lend(own)})
    for asked in requests:
        assert asked.outputs is not None
        assert np.shares_memory(asked.outputs["Y"], own)
        assert asked.outputs["Y"].tolist() == [[3, 3]]


def test_lists_become_arrays() -> None:
    asked = request()
    asked.complete({"label": [[b"mug\0"]]})
    assert asked.outputs is not None
    assert asked.outputs["label"].tolist() == [[b"mug\0"]]


# ---- a batch


def test_a_batch_gathers_rows_in_the_order_of_its_requests() -> None:
    batch = FakeBatch([request(1, 1), request(2, 2)])
    gathered = batch.gather("X")
    assert batch.rows == 3
    assert gathered is not None
    assert gathered[:, 0].tolist() == [1, 2, 2]
    assert not gathered.flags.writeable


def test_one_request_is_gathered_without_a_copy() -> None:
    asked = request(2)
    gathered = FakeBatch([asked]).gather("X")
    assert gathered is not None
    assert np.shares_memory(gathered, asked.inputs["X"])


def test_an_input_left_out_gathers_to_none() -> None:
    assert FakeBatch([FakeRequest({"X": rows(1)})]).gather("bias") is None


def test_a_batch_scatters_to_the_requests_that_are_unanswered() -> None:
    requests = [request(1), request(2), request(1)]
    requests[1].fail(BackendError(Code.CANCELLED, "gone"))
    FakeBatch(requests).scatter({"Y": np.arange(8, dtype=np.float32).reshape(4, 2)})
    got = [asked.outputs and asked.outputs["Y"].tolist() for asked in requests]
    assert got == [[[0, 1]], None, [[6, 7]]]


def test_a_batch_has_at_least_one_request() -> None:
    with pytest.raises(ValueError, match="at least one request"):
        FakeBatch([])


# ---- answers in parts


def streaming(count: int = 1, **settings: Any) -> FakeRequest:
    kinds = {"capabilities": Capability.STREAMING, "decoupled": True, **settings}
    return FakeRequest({"X": rows(count)}, signature=SIGNATURE, **kinds)


def test_parts_are_kept_in_order_until_the_answer_is_complete() -> None:
    asked = streaming()
    asked.send({"Y": rows(1, 1)})
    asked.send({"Y": rows(1, 2)})
    assert not asked.answered
    asked.complete({})
    assert [part["Y"][0, 0] for part in asked.parts] == [1, 2]
    assert asked.outputs == {}


def test_a_batch_sends_each_unanswered_request_its_rows() -> None:
    requests = [streaming(1), streaming(1), streaming(2)]
    requests[1].complete({})
    FakeBatch(requests).send({"Y": np.arange(8, dtype=np.float32).reshape(4, 2)})
    got = [[part["Y"].tolist() for part in asked.parts] for asked in requests]
    assert got == [[[[0, 1]]], [], [[[4, 5], [6, 7]]]]


@pytest.mark.parametrize(
    ("settings", "code", "text"),
    [
        ({"capabilities": Capability.ASYNC}, Code.UNIMPLEMENTED, "Capability.STREAMING"),
        ({"decoupled": False}, Code.FAILED_PRECONDITION, "model 'model' is not decoupled"),
    ],
)
def test_parts_are_refused_where_they_are_not_declared(
    settings: dict[str, Any], code: Code, text: str
) -> None:
    asked = streaming(**settings)
    for send in (asked.send, FakeBatch([asked]).send):
        with pytest.raises(BackendError, match=text) as caught:
            send({"Y": rows(1)})
        assert caught.value.code is code
    assert (asked.parts, asked.answered) == ([], False)


def test_a_part_that_does_not_fit_is_refused() -> None:
    asked = streaming(2)
    for send in (asked.send, FakeBatch([asked]).send):
        with pytest.raises(BackendError, match="but the batch has 2 rows"):
            send({"Y": rows(3)})
    assert asked.parts == []


def test_nothing_is_sent_after_the_answer() -> None:
    asked = streaming()
    asked.complete({})
    with pytest.raises(RefusedError, match="has been answered before") as caught:
        asked.send({"Y": rows(1)})
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert asked.refusals == [caught.value]


# ---- answers after execute


def asynchronous() -> FakeRequest:
    inputs, parameters = {"X": rows(2, 3)}, {"top": 1}
    return FakeRequest(inputs, "a", parameters, signature=SIGNATURE, capabilities=Capability.ASYNC)


def test_a_detached_request_is_answered_on_any_thread_after_the_batch_has_ended() -> None:
    asked = asynchronous()
    batch = FakeBatch([asked])
    detached = asked.detach()
    batch.end()
    asked.cancelled = True
    assert (detached.id, detached.rows, detached.parameters) == ("a", 2, {"top": 1})
    assert detached.cancelled
    thread = threading.Thread(target=detached.complete, args=({"Y": detached.inputs["X"]},))
    thread.start()
    assert asked.wait(10)
    thread.join()
    assert asked.outputs is not None
    assert asked.outputs["Y"].tolist() == rows(2, 3).tolist()


def test_a_request_hands_its_trace_on_until_it_is_answered() -> None:
    headers = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}
    assert FakeRequest({"X": rows(1)}).trace_context == {}
    asked = FakeRequest({"X": rows(1)}, trace_context=headers)
    assert asked.trace_context == headers
    asked.complete({"Y": rows(1)})
    with pytest.raises(RefusedError, match="has been answered before"):
        asked.trace_context  # noqa: B018 - reading it is what is tried


def test_one_of_many_threads_answers_a_detached_request() -> None:
    asked = asynchronous()
    detached = asked.detach()
    refused = []

    def answer(start: threading.Barrier) -> None:
        start.wait()
        try:
            detached.complete({"Y": rows(2)})
        except BackendError as error:
            refused.append(error.code)

    start = threading.Barrier(8)
    threads = [threading.Thread(target=answer, args=(start,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == [Code.FAILED_PRECONDITION] * 7


def test_a_detached_request_that_is_dropped_fails() -> None:
    asked = asynchronous()
    detached = asked.detach()
    assert not asked.answered
    del detached
    assert asked.error is not None
    assert str(asked.error) == "the backend dropped the request without answering it"


def test_a_detached_request_fails_with_what_it_is_given() -> None:
    asked, error = asynchronous(), ValueError("no")
    asked.detach().fail(error)
    assert asked.error is error


def test_a_batch_leaves_a_detached_request_alone() -> None:
    asked, other = asynchronous(), asynchronous()
    detached = asked.detach()
    FakeBatch([asked, other]).scatter({"Y": rows(4)})
    assert (asked.answered, other.answered) == (False, True)
    for use in (asked.detach, lambda: asked.complete({}), lambda: asked.fail(ValueError())):
        with pytest.raises(BackendError, match="request 'a' has been detached") as caught:
            use()
        assert caught.value.code is Code.FAILED_PRECONDITION
    detached.complete({"Y": rows(2)})


def test_detaching_is_refused_where_it_is_not_declared() -> None:
    with pytest.raises(BackendError, match=r"does not declare Capability\.ASYNC") as caught:
        streaming().detach()
    assert caught.value.code is Code.UNIMPLEMENTED


def test_an_answered_request_is_not_detached() -> None:
    asked = asynchronous()
    asked.complete({"Y": rows(2)})
    with pytest.raises(BackendError, match="request 'a' has been answered before") as caught:
        asked.detach()
    assert caught.value.code is Code.FAILED_PRECONDITION


# ---- after execute


@pytest.mark.parametrize(
    "use",
    [
        lambda batch, asked: batch.requests,
        lambda batch, asked: batch.rows,
        lambda batch, asked: batch.gather("X"),
        lambda batch, asked: batch.scatter({}),
        lambda batch, asked: batch.send({}),
        lambda batch, asked: asked.inputs,
        lambda batch, asked: asked.parameters,
        lambda batch, asked: asked.trace_context,
        lambda batch, asked: asked.cancelled,
        lambda batch, asked: asked.complete({}),
        lambda batch, asked: asked.send({}),
        lambda batch, asked: asked.fail(ValueError()),
        lambda batch, asked: asked.detach(),
    ],
)
def test_a_batch_that_has_ended_says_so(use: Callable[[FakeBatch, FakeRequest], Any]) -> None:
    asked = streaming()
    batch = FakeBatch([asked])
    batch.end()
    text = "neither it nor its requests may be kept after execute"
    with pytest.raises(RefusedError, match=text) as caught:
        use(batch, asked)
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert caught.value.reason is Reason.ENDED
    assert batch.refusals + asked.refusals == [caught.value]


# ---- run_batch


class _Lazy(Instance):
    def execute(self, batch: Batch) -> None:
        batch.requests[0].complete({})


class _Picky(Instance):
    def execute(self, batch: Batch) -> None:
        for asked in batch.requests:
            if (asked.inputs["X"] < 0).any():
                asked.fail(BackendError(Code.INVALID_ARGUMENT, "negative"))
            else:
                asked.complete({"Y": np.sqrt(asked.inputs["X"])})


def test_run_batch_returns_what_each_request_was_answered() -> None:
    answers = run_batch(_Picky(), {"X": rows(1, 4)}, {"X": rows(2, 9)})
    assert [answer["Y"].tolist() for answer in answers] == [[[2, 2]], [[3, 3], [3, 3]]]


def test_run_batch_raises_what_a_request_was_failed_with() -> None:
    with pytest.raises(BackendError, match="negative"):
        run_batch(_Picky(), {"X": rows(1, 4)}, {"X": rows(1, -1)})


def test_run_batch_notices_a_request_left_unanswered() -> None:
    with pytest.raises(AssertionError, match="left unanswered"):
        run_batch(_Lazy(), {"X": rows(1)}, {"X": rows(1)})


class _Keeping(Instance):
    def execute(self, batch: Batch) -> None:
        self.kept = batch
        batch.scatter({})


def test_run_batch_ends_the_batch() -> None:
    instance = _Keeping()
    run_batch(instance, {"X": rows(1)})
    with pytest.raises(BackendError, match="the batch has ended"):
        instance.kept.gather("X")
