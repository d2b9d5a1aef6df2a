"""ModelStreamInfer by grpcio's own stubs: order, errors, decoupled models, slow readers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from harness.grpc_calls import ONE, Feed, behave, floats, messages, opened, request, stub
from harness.http2 import LARGEST, SERVICE, Connection, Setting, data, message, window_update
from harness.http2 import Code as Http2Code
from harness.repository import REPEAT, add_model
from harness.serve import Serve
from harness.waiting import wait_until

Code = grpc.StatusCode
MIB = 1 << 20


@pytest.fixture(scope="module")
def streaming(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("streaming")
    add_model(folder / "more", "repeat", REPEAT)
    with Serve([zoo, folder / "more"], folder) as running:
        yield running
        assert running.ready()
        assert running.stop() == 0, running.stderr


@pytest.fixture(scope="module")
def service(streaming: Serve) -> Iterator[Any]:
    with opened(streaming.grpc_port) as channel:
        yield stub(channel)


def repeat(count: int, **fields: Any) -> Any:
    """A request for so many responses, of the numbers from 0."""
    return request(
        "repeat",
        np.arange(count, dtype=np.int32),
        np.zeros(count, np.uint32),
        np.zeros(1, np.uint32),
        names=("IN", "DELAY", "WAIT"),
        **fields,
    )


def number(answer: Any) -> int:
    """What a response of ``repeat`` holds."""
    return int(np.frombuffer(answer.infer_response.raw_output_contents[0], np.int32)[0])


def final(answer: Any) -> bool:
    """Whether a response says that it is the last of its request."""
    return bool(answer.infer_response.parameters["triton_final_response"].bool_param)


def test_a_stream_without_requests(service: Any) -> None:
    assert list(service.ModelStreamInfer(iter(()))) == []


def test_a_thousand_requests_come_back_in_their_order(service: Any) -> None:
    requests = (request("identity_fp32", ONE * i, id=str(i)) for i in range(1000))
    answers = list(service.ModelStreamInfer(requests))
    assert [each.infer_response.id for each in answers] == [str(i) for i in range(1000)]
    assert [floats(each.infer_response) for each in answers] == [[i] for i in range(1000)]
    assert all(final(each) for each in answers)


def test_models_of_one_stream_keep_the_order_of_requests(service: Any) -> None:
    """The slow model's answer is waited for by those of the quick ones behind it."""
    models = ["slow", "identity_fp32", "identity_fp32", "slow", "identity_fp32"]
    answers = service.ModelStreamInfer(request(model, ONE, id=model) for model in models)
    assert [each.infer_response.model_name for each in answers] == models


def test_answers_come_while_the_client_still_sends(service: Any) -> None:
    feed = Feed()
    answers = service.ModelStreamInfer(iter(feed))
    for value in range(5):
        feed.send(request("identity_fp32", ONE * value))
        assert floats(next(answers).infer_response) == [value]
    feed.end()
    assert list(answers) == []


def test_a_client_that_has_ended_gets_its_answers(service: Any) -> None:
    """Half-closed: no more requests come, and those that came are answered."""
    answers = list(service.ModelStreamInfer(iter([request("slow", ONE), request("slow", ONE)])))
    assert len(answers) == 2


ERRORS = {
    "unknown model": (request("nobody", ONE, id="7"), "unknown model: 'nobody' is not found"),
    "wrong input": (request("identity_fp32", ONE, names=("X",), id="7"), "'X'"),
    "of the backend": (behave("raise:on purpose", id="7"), "on purpose"),
}


@pytest.mark.parametrize("what", ERRORS)
def test_an_error_is_an_answer_and_the_stream_goes_on(service: Any, what: str) -> None:
    wrong, text = ERRORS[what]
    good = request("identity_fp32", ONE)
    first, second, third = service.ModelStreamInfer(iter([good, wrong, good]))
    assert (first.error_message, third.error_message) == ("", "")
    assert text in second.error_message
    assert second.infer_response.id == "7"
    assert floats(third.infer_response) == [1.0]


def test_an_error_can_be_asked_to_end_the_stream(service: Any) -> None:
    """``triton_grpc_error`` is for those who want a status; of responses, not of requests."""
    feed = Feed(request("nobody", ONE), behave("fail_code:UNAVAILABLE"))
    answers = service.ModelStreamInfer(iter(feed), metadata=[("triton_grpc_error", "true")])
    assert "nobody" in next(answers).error_message
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    feed.end()
    assert caught.value.code() == Code.UNAVAILABLE
    assert "UNAVAILABLE on purpose" in caught.value.details()


@pytest.mark.parametrize("value", ["false", "True", "1", ""])
def test_other_values_ask_for_nothing(service: Any, value: str) -> None:
    metadata = [("triton_grpc_error", value)]
    wrong = behave("fail_code:UNAVAILABLE")
    first, second = service.ModelStreamInfer(iter([wrong, wrong]), metadata=metadata)
    assert first.error_message
    assert second.error_message


# Decoupled models.


def test_a_decoupled_model_answers_several_times(service: Any) -> None:
    answers = list(service.ModelStreamInfer(iter([repeat(5, id="r")])))
    assert [number(each) for each in answers] == [0, 1, 2, 3, 4]
    assert not any(final(each) for each in answers)
    assert {each.infer_response.id for each in answers} == {"r"}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_end_of_a_decoupled_answer_comes_for_those_who_ask(service: Any, count: int) -> None:
    asked = repeat(count, id="r", parameters={"triton_enable_empty_final_response": True})
    *parts, last = service.ModelStreamInfer(iter([asked]))
    assert [number(each) for each in parts] == list(range(count))
    assert final(last)
    assert not last.infer_response.outputs
    named = last.infer_response
    assert (named.id, named.model_name, named.model_version) == ("r", "repeat", "1")


def test_a_decoupled_model_may_not_answer_at_all(service: Any) -> None:
    answers = list(service.ModelStreamInfer(iter([repeat(0), request("identity_fp32", ONE)])))
    assert [each.infer_response.model_name for each in answers] == ["identity_fp32"]


def test_several_decoupled_requests_on_a_stream(service: Any) -> None:
    """Each keeps its own order."""
    answers = list(service.ModelStreamInfer(repeat(20, id=str(i)) for i in range(10)))
    for i in range(10):
        own = [number(each) for each in answers if each.infer_response.id == str(i)]
        assert own == list(range(20))


def test_a_decoupled_model_has_no_place_in_a_single_call(service: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        service.ModelInfer(repeat(1))
    assert caught.value.code() == Code.UNIMPLEMENTED
    assert "decoupled" in caught.value.details()


def test_the_empty_final_response_is_asked_for_by_a_truth(service: Any) -> None:
    asked = repeat(1, parameters={"triton_enable_empty_final_response": 1})
    (answer,) = service.ModelStreamInfer(iter([asked]))
    assert "triton_enable_empty_final_response" in answer.error_message


# Ends.


def cancelled(server: Serve) -> float:
    text = server.get("/metrics", metrics=True)[1].decode()
    found = re.findall(r'^nv_inference_request_failure{(.*"behaviour".*)} (\S+)$', text, re.M)
    return sum(float(value) for labels, value in found if 'reason="CANCELED"' in labels)


def test_a_stream_that_is_cancelled_cancels_all_its_requests(
    streaming: Serve, service: Any, tmp_path: Path
) -> None:
    before, begun = cancelled(streaming), tmp_path / "begun"
    sent = behave(f"until_cancelled:{begun}")
    feed = Feed(sent)
    answers = service.ModelStreamInfer(iter(feed))
    wait_until(begun.exists)
    # Not before: they would be of one batch.
    feed.send(sent, sent)
    streaming.wait_pending("behaviour", 2)
    answers.cancel()
    feed.end()
    # More, where a call of another test had not ended yet.
    wait_until(lambda: cancelled(streaming) >= before + 3)
    streaming.wait_pending("behaviour", 0)


def test_a_stream_whose_time_is_over(streaming: Serve, service: Any, tmp_path: Path) -> None:
    before, begun = cancelled(streaming), tmp_path / "begun"
    feed = Feed(behave(f"until_cancelled:{begun}"))
    answers = service.ModelStreamInfer(iter(feed), timeout=5)
    wait_until(begun.exists)
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    feed.end()
    assert caught.value.code() == Code.DEADLINE_EXCEEDED
    wait_until(lambda: cancelled(streaming) >= before + 1)


def test_a_stream_that_rests_does_not_hold_the_end_of_the_server(tmp_path: Path) -> None:
    add_model(tmp_path / "models", "repeat", REPEAT)
    with Serve(tmp_path / "models", tmp_path) as server, opened(server.grpc_port) as channel:
        feed = Feed(repeat(1))
        answers = stub(channel).ModelStreamInfer(iter(feed))
        assert number(next(answers)) == 0
        assert server.stop() == 0, server.stderr
        with pytest.raises(grpc.RpcError) as caught:
            next(answers)
        feed.end()
        assert caught.value.code() == Code.UNAVAILABLE


# Readers that are slow.


def test_a_reader_that_waits_between_messages_misses_none(service: Any) -> None:
    array = np.ones((1, 100_000), np.float32)
    answers = service.ModelStreamInfer(request("identity_fp32", array) for _ in range(40))
    # Another call passes while the stream is full.
    for _ in range(40):
        assert next(answers).infer_response.raw_output_contents[0] == array.tobytes()
        assert service.ServerLive(messages.ServerLiveRequest()).live
    assert list(answers) == []


def test_a_client_that_does_not_read_may_not_send_for_ever(streaming: Serve) -> None:
    """The server takes so much, and no more, until its answers are taken; more is an error."""
    body = message(request("plain_uint8", np.zeros(MIB, np.uint8)).SerializeToString())
    with Connection(streaming.grpc_port, {Setting.INITIAL_WINDOW_SIZE: 0}) as connection:
        before = streaming.resident_bytes()
        connection.send(connection.opening(1, SERVICE + "ModelStreamInfer"))
        patience = connection.socket.gettimeout()
        connection.socket.settimeout(3)
        with pytest.raises(TimeoutError):
            connection.upload(1, body * 64, end=False)
        connection.socket.settimeout(patience)
        assert streaming.resident_bytes() - before < 64 * MIB
        connection.send(data(1, bytes(LARGEST)))
        assert connection.answer(1).reset == Http2Code.FLOW_CONTROL_ERROR
    with Connection(streaming.grpc_port) as other:
        assert other.serves(1)


def test_a_decoupled_model_does_not_fill_memory_for_one_who_does_not_read(streaming: Serve) -> None:
    body = message(repeat(200_000).SerializeToString())
    with Connection(
        streaming.grpc_port, {Setting.INITIAL_WINDOW_SIZE: 0}, timeout=30
    ) as connection:
        before = streaming.resident_bytes()
        connection.send(connection.opening(1, SERVICE + "ModelStreamInfer"))
        assert connection.upload(1, 4 * body, end=False)
        noted = connection.stream(1)
        connection.until(lambda: bool(noted.heads))
        assert streaming.resident_bytes() - before < 256 * MIB
        with Connection(streaming.grpc_port) as other:
            assert other.serves(1)
        # It goes on where it was, or has been told that it is too slow.
        connection.send(window_update(1, MIB))
        assert connection.until(lambda: len(noted.data) > 1000 or noted.over)
