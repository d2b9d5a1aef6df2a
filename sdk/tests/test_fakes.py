"""The fakes refuse what the engine refuses, so that a test without a server means something."""

import numpy as np
import pytest

from despina_sdk import Array, BackendError, Batch, Code, Instance, Signature, TensorSpec
from despina_sdk.testing import FakeBatch, FakeRequest, run_batch

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
        ({"Z": rows(2)}, "the model has no output 'Z'"),
        ({"Y": rows(3)}, "output 'Y' has 3 rows, the batch has 2"),
        ({"Y": np.array(1, np.float32)}, "output 'Y' has no rows, the batch has 2"),
        ({"Y": rows(2).astype(np.float64)}, "output 'Y' is float64, .* says float32"),
        ({"label": rows(2)}, "output 'label' is float32, .* says object"),
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
