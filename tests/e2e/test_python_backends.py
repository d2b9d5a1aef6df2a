"""What a backend in Python may do with what it is given, and what becomes of its mistakes."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from despina_fixtures.behaviour import BehaviourBackend, BehaviourInstance
from harness.pending import wait_pending
from harness.waiting import wait_until

import despina
from despina_sdk import Backend, Batch, Code, Instance, Model, ModelSpec, Placement

X = np.array([[1.0, 2.0, 3.0]], np.float32)


@pytest.fixture(scope="module")
def server() -> Iterator[despina.Server]:
    config = {"max_batch_size": 8, "dynamic_batching": {}}
    with despina.Server(models={"behaviour": (BehaviourBackend, config)}) as running:
        yield running


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    BehaviourInstance.kept.clear()
    yield
    BehaviourInstance.kept.clear()


def ask(server: despina.Server, behaviour: str, x: np.ndarray = X) -> np.ndarray:
    return server.infer("behaviour", {"X": x}, parameters={"behaviour": behaviour})["Y"]


MISTAKES = {
    "raise:my own words": (Code.INTERNAL, ["RuntimeError", "my own words"]),
    "raise_code:UNAVAILABLE": (Code.UNAVAILABLE, ["UNAVAILABLE on purpose"]),
    "fail_code:NOT_FOUND": (Code.NOT_FOUND, ["NOT_FOUND on purpose"]),
    "wrong_dtype": (Code.INTERNAL, ["'Y'", "FP64", "FP32"]),
    "wrong_rows": (Code.INTERNAL, ["'Y'", "[2,3]", "1 rows"]),
    "unknown_output": (Code.INTERNAL, ["no output 'Z'"]),
    "no_array": (Code.INTERNAL, ["'Y'"]),
    "unanswered": (Code.INTERNAL, ["answer"]),
    "exit": (Code.INTERNAL, ["SystemExit"]),
    "write_view": (Code.INTERNAL, ["read-only"]),
    "large:-1": (Code.INTERNAL, ["negative"]),
}


@pytest.mark.parametrize("behaviour", MISTAKES)
def test_a_mistake_fails_its_request_with_a_reason_and_no_other(
    server: despina.Server, behaviour: str
) -> None:
    code, texts = MISTAKES[behaviour]
    with pytest.raises(despina.DespinaError) as caught:
        ask(server, behaviour)
    assert caught.value.code is code
    for text in texts:
        assert text in caught.value.message
    assert np.array_equal(ask(server, "double"), X * 2)


def test_an_exception_fails_only_what_is_unanswered_of_its_batch(
    server: despina.Server, tmp_path: Path
) -> None:
    """While one request runs, the others queue, and run as one batch."""
    outcomes: dict[str, object] = {}

    def send(name: str, behaviour: str) -> None:
        try:
            outcomes[name] = ask(server, behaviour)
        except despina.DespinaError as error:
            outcomes[name] = error.message

    held = tmp_path / "held"
    threads = [threading.Thread(target=send, args=("runs", f"hold:{held}"))]
    threads[0].start()
    wait_until(held.exists)
    queued = (("before", "double"), ("raises", "raise"), ("after", "double"))
    for count, (name, behaviour) in enumerate(queued, 1):
        threads.append(threading.Thread(target=send, args=(name, behaviour)))
        threads[-1].start()
        wait_pending(server, "behaviour", count)
    held.unlink()
    for thread in threads:
        thread.join()
    for name in ("runs", "before"):
        assert np.array_equal(outcomes[name], X * 2)
    for name in ("raises", "after"):
        assert "raised on purpose" in str(outcomes[name])


def test_an_output_that_is_left_out_is_not_in_the_answer(server: despina.Server) -> None:
    answer = server.infer("behaviour", {"X": X}, parameters={"behaviour": "missing_output"})
    assert answer == {}


def test_a_request_is_answered_once(server: despina.Server) -> None:
    assert np.array_equal(ask(server, "answer_twice"), X * 2)
    (error,) = BehaviourInstance.kept
    assert error.code is Code.FAILED_PRECONDITION
    assert "answered before" in error.message


def test_a_view_that_is_kept_stays_what_it_was(server: despina.Server) -> None:
    """Also while the memory of thousands of later requests comes and goes."""
    rows = [np.full((1, 1000), i, np.float32) for i in range(20)]
    for row in rows:
        ask(server, "keep_view", row)
    for _ in range(500):
        ask(server, "double", np.full((1, 1000), -1, np.float32))
    kept = list(BehaviourInstance.kept)
    assert len(kept) == 20
    for row, view in zip(rows, kept, strict=True):
        assert np.array_equal(view, row)
        assert not view.flags.writeable
        assert not view.flags.owndata


def test_a_batch_that_is_kept_says_that_it_has_ended(server: despina.Server) -> None:
    ask(server, "keep_batch")
    ((batch, request),) = BehaviourInstance.kept
    for use in (
        lambda: batch.gather("X"),
        lambda: batch.scatter({}),
        lambda: request.complete({}),
        lambda: request.fail(RuntimeError()),
    ):
        with pytest.raises(despina.BackendError, match="may be kept") as caught:
            use()
        assert caught.value.code is Code.FAILED_PRECONDITION


def test_a_kept_batch_does_not_keep_the_process_from_ending(server: despina.Server) -> None:
    ask(server, "keep_batch")
    kept = BehaviourInstance.kept.pop()
    del kept
    gc.collect()
    assert np.array_equal(ask(server, "double"), X * 2)


def test_results_that_a_caller_holds_stay_what_they_were(server: despina.Server) -> None:
    held = [ask(server, "double", np.full((1, 1000), i, np.float32)) for i in range(50)]
    for i, result in enumerate(held):
        assert np.all(result == 2 * i)
        assert not result.flags.writeable


def test_results_outlive_the_server() -> None:
    config = {"max_batch_size": 8}
    with despina.Server(models={"behaviour": (BehaviourBackend, config)}) as server:
        results = [ask(server, "large:100000"), ask(server, "double")]
    gc.collect()
    assert np.all(results[0] == 1)
    assert np.array_equal(results[1], X * 2)


FIVE = np.arange(1, 6, dtype=np.float32)[np.newaxis]
ODDLY_MADE = {
    "every other column": np.repeat(FIVE, 2, axis=1)[:, ::2],
    "backwards": FIVE[:, ::-1],
    "big-endian": FIVE.astype(">f4"),
    "broadcast": np.broadcast_to(np.float32(1), (1, 5)),
    "not aligned": np.frombuffer(b"x" + FIVE.tobytes(), np.uint8)[1:].view(np.float32)[np.newaxis],
    "masked": np.ma.masked_array(FIVE, mask=False),
    "read-only": np.frombuffer(FIVE.tobytes(), np.float32)[np.newaxis],
    "empty": np.ones((1, 0), np.float32),
}


@pytest.mark.parametrize("how", ODDLY_MADE)
def test_arrays_may_lie_in_memory_as_they_like(how: str) -> None:
    with answering(ODDLY_MADE[how], "FP32") as server:
        answer = server.infer("m", {"X": X})["Y"]
        assert answer.dtype == np.float32
        assert np.array_equal(answer, ODDLY_MADE[how])


STRINGS = {
    "bytes and text": (np.array([[b"a\0", "ž"]], object), [b"a\0", "ž".encode()]),
    "fixed width": (np.array([[b"a", b"bcd"]]), [b"a", b"bcd"]),
    "text of fixed width": (np.array([["a", "žž"]]), [b"a", "žž".encode()]),
    "every other one": (np.array([[b"a", b"x", b"b", b"x"]], object)[:, ::2], [b"a", b"b"]),
    "none": (np.zeros((1, 0), object), []),
}


@pytest.mark.parametrize("what", STRINGS)
def test_strings_may_be_bytes_or_text(what: str) -> None:
    array, expected = STRINGS[what]
    with answering(array, "BYTES") as server:
        assert server.infer("m", {"X": X})["Y"].ravel().tolist() == expected


@pytest.mark.parametrize("element", [1, None, bytearray(b"a"), [b"a"], "\ud800"], ids=repr)
def test_other_elements_than_strings_are_refused(element: object) -> None:
    array = np.empty((1, 1), object)
    array[0, 0] = element
    with answering(array, "BYTES") as server:
        with pytest.raises(despina.DespinaError, match="output 'Y'") as caught:
            server.infer("m", {"X": X})
        assert caught.value.code is Code.INTERNAL


def answering(array: np.ndarray, datatype: str) -> despina.Server:
    """A server with a model that answers everything with one array."""

    @despina.batch_function(
        inputs=[despina.TensorSpec("X", "FP32", (-1,))],
        outputs=[despina.TensorSpec("Y", datatype, (-1,))],
    )
    def always(X: object) -> dict[str, np.ndarray]:  # noqa: N803
        return {"Y": array}

    return despina.Server(models={"m": (always, {"max_batch_size": 1})})


class OneArray(Backend):
    """Answers every request with the same array."""

    name = "one_array"

    def load(self, spec: ModelSpec) -> Model:
        return OneArrayModel()


class OneArrayModel(Model):
    signature = BehaviourBackend({}).load(ModelSpec("m", "1", Path("."))).signature

    def instance(self, placement: Placement) -> Instance:
        return OneArrayInstance()


class OneArrayInstance(Instance):
    array = np.ones((1, 250_000), np.float32)

    def execute(self, batch: Batch) -> None:
        for request in batch.requests:
            request.complete({"Y": self.array})


def test_an_array_is_held_only_as_long_as_its_answers() -> None:
    with despina.Server(models={"one": (OneArray, {"max_batch_size": 8})}) as server:
        before = sys.getrefcount(OneArrayInstance.array)
        for _ in range(200):
            assert server.infer("one", {"X": X})["Y"].shape == (1, 250_000)
        server._runtime.engine.collect()
    gc.collect()
    after = sys.getrefcount(OneArrayInstance.array)  # an assert would hold it once more
    assert after == before


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_nothing_is_left_of_two_thousand_answers_of_a_megabyte(server: despina.Server) -> None:
    engine = server._runtime.engine
    one_megabyte = np.ones((1, 250_000), np.float32)

    def run(count: int) -> None:
        for i in range(count):
            if i % 2:
                assert ask(server, "large:250000").nbytes == 1_000_000
            else:
                assert np.all(ask(server, "double", one_megabyte) == 2)

    run(200)
    engine.collect()
    gc.collect()
    resident, in_use = resident_bytes(), engine.memory()["bytes_in_use"]
    run(2000)
    engine.collect()
    gc.collect()
    assert resident_bytes() - resident < 20_000_000
    assert engine.memory()["bytes_in_use"] <= in_use
    assert engine.inflight() == 0
