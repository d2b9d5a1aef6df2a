"""Calls by grpcio's own stubs: deadlines, cancellation, compression, metadata, sizes and crowds."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from harness.grpc_calls import (
    ONE,
    SERVICE,
    UNLIMITED,
    behave,
    floats,
    messages,
    opened,
    request,
    stub,
)
from harness.http2 import Connection, data, message
from harness.serve import Serve
from harness.waiting import wait_until

Code = grpc.StatusCode
INFER = SERVICE + "ModelInfer"
SECONDS = 20.0
MIB = 1 << 20
LIVE = messages.ServerLiveRequest()


@pytest.fixture(scope="module")
def channel(server: Serve) -> Iterator[grpc.Channel]:
    with opened(server.grpc_port) as made:
        yield made


@pytest.fixture(scope="module")
def service(channel: grpc.Channel) -> Any:
    return stub(channel)


@pytest.fixture
def connection(server: Serve) -> Iterator[Connection]:
    with Connection(server.grpc_port) as made:
        yield made


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    """Code and text of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


def cancelled(server: Serve, model: str = "behaviour") -> float:
    """Requests of a model that were given up, as the metrics count them."""
    text = server.get("/metrics", metrics=True)[1].decode()
    found = re.findall(rf'^nv_inference_request_failure{{(.*"{model}".*)}} (\S+)$', text, re.M)
    return sum(float(value) for labels, value in found if 'reason="CANCELED"' in labels)


def test_a_call_is_answered(service: Any) -> None:
    answer = service.ModelInfer(request("identity_fp32", ONE, id="mine"))
    assert (answer.model_name, answer.model_version, answer.id) == ("identity_fp32", "1", "mine")
    assert floats(answer) == [1.0]


# Deadlines.


def test_a_deadline_that_passes(service: Any) -> None:
    call = refused(lambda: service.ModelInfer(request("slow", ONE), timeout=0.05))
    assert call == (Code.DEADLINE_EXCEEDED, "Deadline Exceeded")


@pytest.mark.parametrize("timeout", ["0n", "1u", "1n", "20000u", "50m"])
def test_the_server_watches_deadlines_by_itself(connection: Connection, timeout: str) -> None:
    head = connection.opening(1, INFER, ("grpc-timeout", timeout))
    body = message(request("slow", ONE).SerializeToString())
    connection.send(head + data(1, body, end=True))
    assert connection.answer(1).status == Code.DEADLINE_EXCEEDED.value[0]


@pytest.mark.parametrize("timeout", ["5S", "99999999H", "1M", "00000060S", "90000m"])
def test_a_deadline_that_is_far(connection: Connection, timeout: str) -> None:
    head = connection.opening(1, INFER, ("grpc-timeout", timeout))
    body = message(request("identity_fp32", ONE).SerializeToString())
    connection.send(head + data(1, body, end=True))
    assert connection.answer(1).status == 0


@pytest.mark.parametrize(
    "timeout", ["1", "S", "x", "-1S", "+1S", "1s", "123456789S", "1.5S", "1 S"]
)
def test_a_timeout_that_is_none(connection: Connection, timeout: str) -> None:
    head = connection.opening(1, INFER, ("grpc-timeout", timeout))
    body = message(request("identity_fp32", ONE).SerializeToString())
    connection.send(head + data(1, body, end=True))
    assert connection.answer(1).status == Code.INTERNAL.value[0]


def test_the_backend_sees_that_a_deadline_has_passed(
    server: Serve, service: Any, tmp_path: Path
) -> None:
    before, begun = cancelled(server), tmp_path / "begun"
    call = refused(lambda: service.ModelInfer(behave(f"until_cancelled:{begun}"), timeout=5))
    assert call[0] == Code.DEADLINE_EXCEEDED
    wait_until(lambda: cancelled(server) == before + 1)
    assert begun.exists()


# Cancellation.


def test_the_backend_sees_that_a_call_is_cancelled(
    server: Serve, service: Any, tmp_path: Path
) -> None:
    before, begun = cancelled(server), tmp_path / "begun"
    call = service.ModelInfer.future(behave(f"until_cancelled:{begun}"))
    wait_until(begun.exists)
    call.cancel()
    wait_until(lambda: cancelled(server) == before + 1)


def test_a_call_that_waits_leaves_the_queue(server: Serve, service: Any, tmp_path: Path) -> None:
    before, begun = cancelled(server), tmp_path / "begun"
    running = service.ModelInfer.future(behave(f"until_cancelled:{begun}"))
    wait_until(begun.exists)
    waiting = service.ModelInfer.future(behave("double"))
    server.wait_pending("behaviour", 1)
    waiting.cancel()
    wait_until(lambda: cancelled(server) == before + 1)
    assert not running.done()
    running.cancel()
    wait_until(lambda: cancelled(server) == before + 2)


def test_a_channel_that_goes_cancels_its_calls(server: Serve, tmp_path: Path) -> None:
    before, begun = cancelled(server), tmp_path / "begun"
    with opened(server.grpc_port) as channel:
        call = stub(channel).ModelInfer.future(behave(f"until_cancelled:{begun}"))
        wait_until(begun.exists)
    assert call.code() == Code.CANCELLED
    wait_until(lambda: cancelled(server) == before + 1)


def test_thousands_of_cancelled_calls_leave_the_channel_alone(service: Any) -> None:
    """Clients with short deadlines do this; it is no flood yet."""
    for _ in range(2_000):
        service.ModelInfer.future(request("identity_fp32", ONE)).cancel()
    assert floats(service.ModelInfer(request("identity_fp32", ONE))) == [1.0]


# Compression.


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_compressed_requests(service: Any, algorithm: grpc.Compression, size: int) -> None:
    array = np.zeros(size, np.uint8)
    answer = service.ModelInfer(request("plain_uint8", array), compression=algorithm)
    assert answer.raw_output_contents[0] == array.tobytes()


GOOD = request("identity_fp32", ONE).SerializeToString()
INTERNAL, UNIMPLEMENTED = Code.INTERNAL.value[0], Code.UNIMPLEMENTED.value[0]
CODED = {
    "identity": ("identity", message(GOOD), 0),
    "gzip, and not compressed": ("gzip", message(GOOD), 0),
    "gzip": ("gzip", message(gzip.compress(GOOD), compressed=True), 0),
    "deflate": ("deflate", message(zlib.compress(GOOD), compressed=True), 0),
    "cut off": ("gzip", message(gzip.compress(GOOD)[:-9], compressed=True), INTERNAL),
    "not compressed at all": ("gzip", message(GOOD, compressed=True), INTERNAL),
    "empty": ("gzip", message(b"", compressed=True), INTERNAL),
    "compressed, and not said how": ("identity", message(GOOD, compressed=True), INTERNAL),
    "a flag that is none": ("gzip", b"\x02" + message(GOOD)[1:], INTERNAL),
    "an unknown coding": ("br", message(GOOD, compressed=True), UNIMPLEMENTED),
}


@pytest.mark.parametrize("what", CODED)
def test_compression_by_hand(connection: Connection, what: str) -> None:
    coding, body, status = CODED[what]
    connection.send(connection.opening(1, INFER, ("grpc-encoding", coding)))
    connection.send(data(1, body, end=True))
    assert connection.answer(1).status == status


# Metadata and texts.


def test_metadata_that_nobody_asks_for_changes_nothing(service: Any) -> None:
    metadata = [
        ("x-any", "1"),
        ("x-any", "2"),
        ("x-bin", bytes(range(256))),
        ("x-long", "y" * 20_000),
    ]
    answer = service.ModelInfer(request("identity_fp32", ONE), metadata=metadata)
    assert floats(answer) == [1.0]


def test_metadata_beyond_the_limit(service: Any) -> None:
    metadata = [(f"x-{i}", "y" * 30_000) for i in range(4)]
    code, _ = refused(lambda: service.ServerLive(LIVE, metadata=metadata))
    assert code == Code.RESOURCE_EXHAUSTED


def test_a_field_far_beyond_the_limit(service: Any) -> None:
    """It may cost the connection; grpcio makes another one."""
    code, _ = refused(lambda: service.ServerLive(LIVE, metadata=[("x-long", "y" * 200_000)]))
    assert code in (Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE)
    assert service.ServerLive(LIVE, wait_for_ready=True).live


@pytest.mark.parametrize(
    "name", ['"quoted"', "žluťoučký", "100%", "a\nb", "%41", "\U0001f980", "a+b"]
)
def test_the_text_of_an_error_comes_as_it_is(service: Any, name: str) -> None:
    call = refused(lambda: service.ModelInfer(request(name, ONE)))
    assert call[0] == Code.NOT_FOUND
    if name.isprintable():
        assert call[1] == f"Request for unknown model: '{name}' is not found"
    assert "\n" not in call[1] or name == "a\nb"


def test_the_text_of_a_backend_comes_as_it_is(service: Any) -> None:
    text = 'raise:"ž" 100% \N{SNOWMAN}'
    code, details = refused(lambda: service.ModelInfer(behave(text)))
    assert code == Code.INTERNAL
    assert text.partition(":")[2] in details


@pytest.mark.parametrize(
    "code",
    [
        "UNKNOWN",
        "INTERNAL",
        "NOT_FOUND",
        "INVALID_ARGUMENT",
        "UNAVAILABLE",
        "UNIMPLEMENTED",
        "ALREADY_EXISTS",
        "CANCELLED",
        "FAILED_PRECONDITION",
        "RESOURCE_EXHAUSTED",
        "DEADLINE_EXCEEDED",
    ],
)
def test_the_code_of_a_backend_is_that_of_the_call(service: Any, code: str) -> None:
    found, text = refused(lambda: service.ModelInfer(behave(f"fail_code:{code}")))
    assert found == Code[code]
    assert f"{code} on purpose" in text


def test_an_error_is_trailers_alone(connection: Connection) -> None:
    connection.send(connection.calling(1, INFER, request("nobody", ONE).SerializeToString()))
    noted = connection.answer(1)
    (head,) = noted.heads
    assert head[":status"] == "200"
    assert head["content-type"] == "application/grpc"
    assert head["grpc-status"] == "5"


def test_an_answer_is_head_message_trailers(connection: Connection) -> None:
    connection.send(connection.calling(1, INFER, GOOD))
    noted = connection.answer(1)
    head, trailers = noted.heads
    assert head[":status"] == "200"
    assert head["content-type"] == "application/grpc"
    assert trailers["grpc-status"] == "0"
    assert len(noted.data) == 5 + int.from_bytes(noted.data[1:5], "big")


# What is no call.


@pytest.mark.parametrize("path", [SERVICE + "Nothing", "/other.Service/Method", SERVICE, "/"])
def test_unknown_methods(channel: grpc.Channel, path: str) -> None:
    call = channel.unary_unary(path)
    assert refused(lambda: call(b"", timeout=SECONDS))[0] == Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/grpc", "200"),
        ("application/grpc+proto", "200"),
        ("application/grpc;x=y", "200"),
        ("application/grpc+json", "415"),
        ("application/grpcx", "415"),
        ("application/json", "415"),
        ("", "415"),
    ],
)
def test_content_types(connection: Connection, kind: str, status: str) -> None:
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", INFER),
        (":authority", "localhost"),
        ("content-type", kind),
    ]
    connection.send(connection.headers(1, fields), data(1, message(GOOD), end=True))
    assert connection.answer(1).heads[0][":status"] == status


def test_a_method_of_http_that_is_not_post(connection: Connection) -> None:
    fields = [(":method", "GET"), (":scheme", "http"), (":path", INFER), (":authority", "x")]
    connection.send(connection.headers(1, fields, end=True))
    assert connection.answer(1).heads[0][":status"] in ("405", "415")


BODIES = {
    "garbage": message(b"\xff" * 20),
    "a field that is cut off": message(GOOD[:-1]),
    "no message": b"",
    "two messages": message(GOOD) * 2,
    "a message that is cut off": message(GOOD)[:-3],
    "half a prefix": b"\0\0",
    "text in a name that is not UTF-8": message(b"\x0a\x02\xff\xfe"),
}


@pytest.mark.parametrize("what", BODIES)
def test_bodies_that_are_no_request(connection: Connection, what: str) -> None:
    connection.send(connection.opening(1, INFER), data(1, BODIES[what], end=True))
    assert connection.answer(1).status not in (None, 0)
    assert connection.serves(3)


def test_an_empty_request_names_no_model(channel: grpc.Channel) -> None:
    code, _ = refused(lambda: channel.unary_unary(INFER)(b""))
    assert code in (Code.INVALID_ARGUMENT, Code.NOT_FOUND)


def test_a_request_is_not_answered_before_it_has_ended(connection: Connection) -> None:
    connection.send(connection.opening(1, INFER), data(1, message(GOOD)))
    assert connection.ping()
    assert connection.serves(3)
    assert not connection.stream(1).heads
    connection.send(data(1, end=True))
    assert connection.answer(1).status == 0


# Sizes and crowds.


def test_a_tensor_of_64_megabytes(service: Any) -> None:
    array = np.frombuffer(np.random.default_rng(7).bytes(64 * MIB), np.uint8)
    answer = service.ModelInfer(request("plain_uint8", array))
    assert answer.raw_output_contents[0] == array.tobytes()


def test_fifty_requests_in_flight_on_a_channel(service: Any) -> None:
    arrays = [np.full((1, 50_000), i, np.float32) for i in range(50)]
    calls = [service.ModelInfer.future(request("identity_fp32", array)) for array in arrays]
    for array, call in zip(arrays, calls, strict=True):
        assert call.result().raw_output_contents[0] == array.tobytes()


def test_a_thousand_streams_at_once_on_a_channel(server: Serve) -> None:
    """All are there when the first one ends."""

    async def run() -> None:
        address = f"127.0.0.1:{server.grpc_port}"
        async with grpc.aio.insecure_channel(address, UNLIMITED) as channel:
            streams = [stub(channel).ModelStreamInfer() for _ in range(1000)]
            for number, stream in enumerate(streams):
                await stream.write(request("identity_fp32", ONE * number))
            for number, stream in enumerate(streams):
                answer = await stream.read()
                assert floats(answer.infer_response) == [number]
            for stream in streams:
                await stream.done_writing()
                assert await stream.read() is grpc.aio.EOF

    asyncio.run(run())


def test_a_thousand_calls_at_once_on_a_channel(server: Serve) -> None:
    async def run() -> None:
        address = f"127.0.0.1:{server.grpc_port}"
        async with grpc.aio.insecure_channel(address, UNLIMITED) as channel:
            service = stub(channel)
            calls = [service.ModelInfer(request("identity_fp32", ONE * i)) for i in range(1000)]
            answers = await asyncio.gather(*calls)
            assert [floats(each) for each in answers] == [[i] for i in range(1000)]

    asyncio.run(run())
