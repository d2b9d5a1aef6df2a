"""HTTP/1.1 as bytes on a socket: what the server takes, and how it gets out of what it does not."""

from __future__ import annotations

import io
import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from harness.raw_http import (
    FLOATS,
    Connection,
    binary_infer,
    bytes_tensor,
    good,
    is_good,
    json_infer,
    request,
)
from harness.serve import Serve
from harness.waiting import wait_until
from PIL import Image

PATH = "/v2/models/identity_fp32/infer"


@pytest.fixture
def connection(server: Serve) -> Iterator[Connection]:
    """Whatever a test does with it, the next client is served."""
    with Connection(server.port) as opened:
        yield opened
    with Connection(server.port) as other:
        assert is_good(other.exchange(good()))
    assert server.ready()


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    """About 1.5 MB: noise does not compress."""
    noise = np.random.default_rng(1).integers(0, 256, (1100, 1200, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=92)
    assert 1_200_000 < buffer.tell() < 2_000_000
    return buffer.getvalue()


def image_request(jpeg: bytes, headers: dict[str, object] | None = None) -> bytes:
    """The form in which the first client of the project sends a picture."""
    tensor = {
        "name": "INPUT0",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"binary_data_size": len(jpeg) + 4},
    }
    document = {
        "inputs": [tensor],
        "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}],
    }
    return binary_infer("image_bytes", document, bytes_tensor(jpeg), headers)


def test_a_picture_of_one_and_a_half_megabytes(connection: Connection, jpeg: bytes) -> None:
    answer = connection.exchange(image_request(jpeg))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.binary == bytes_tensor(jpeg)
    (output,) = answer.json["outputs"]
    assert output == {
        "name": "OUTPUT0",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"binary_data_size": len(jpeg) + 4},
    }


def test_a_picture_that_waits_for_100_continue(connection: Connection, jpeg: bytes) -> None:
    head, _, body = image_request(jpeg, {"Expect": "100-continue"}).partition(b"\r\n\r\n")
    connection.send(head + b"\r\n\r\n")
    assert connection.read().status == 100
    answer = connection.exchange(body)
    assert answer.binary == bytes_tensor(jpeg)


def test_100_continue_is_not_said_to_a_body_that_is_refused(connection: Connection) -> None:
    path = "/v2/models/identity_fp32/nothing"
    head = request(path, headers={"Expect": "100-continue", "Content-Length": 10})
    assert connection.exchange(head).status == 404


def test_a_body_that_comes_without_waiting_for_100_continue(connection: Connection) -> None:
    data = good().replace(b"Host:", b"Expect: 100-continue\r\nHost:")
    answer = connection.exchange(data)
    assert is_good(connection.read() if answer.status == 100 else answer)


def test_another_expectation_is_refused(connection: Connection) -> None:
    assert connection.exchange(good().replace(b"Host:", b"Expect: tea\r\nHost:")).status == 417


def chunked(body: bytes, size: int) -> bytes:
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def body_of(data: bytes) -> bytes:
    return data.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_chunked_body(connection: Connection, size: int) -> None:
    head = request(PATH, headers={"Transfer-Encoding": "chunked"})
    assert is_good(connection.exchange(head + chunked(body_of(good()), size)))
    assert is_good(connection.exchange(good()))


def test_three_hundred_thousand_chunks_of_a_byte(connection: Connection) -> None:
    head = request(PATH, headers={"Transfer-Encoding": "chunked"})
    body = b" " * 300_000 + body_of(good())
    assert is_good(connection.exchange(head + chunked(body, 1)))


def test_a_large_chunked_body_with_a_binary_tensor(connection: Connection, jpeg: bytes) -> None:
    whole = image_request(jpeg)
    head, _, body = whole.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    lines.append(b"Transfer-Encoding: chunked")
    answer = connection.exchange(b"\r\n".join(lines) + b"\r\n\r\n" + chunked(body, 40_000))
    assert answer.binary == bytes_tensor(jpeg)


def test_extensions_and_trailers_of_chunks_are_passed_over(connection: Connection) -> None:
    body = body_of(good())
    data = b"%x;name=value\r\n%s\r\n0\r\nTrailer: of no use\r\n\r\n" % (len(body), body)
    head = request(PATH, headers={"Transfer-Encoding": "chunked"})
    assert is_good(connection.exchange(head + data))
    assert is_good(connection.exchange(good()))


@pytest.mark.parametrize(
    "chunk",
    [
        b"-1\r\n",
        b"xyz\r\n",
        b"\r\n\r\n",
        b"fffffffffffffffff\r\n",
        b"5\r\nabcdefgh\r\n",
        b"2\r\nab" + b"x" * 100,
    ],
    ids=["negative", "no number", "empty", "2^68-1", "too long", "no line end"],
)
def test_chunks_that_are_malformed_are_refused(connection: Connection, chunk: bytes) -> None:
    head = request(PATH, headers={"Transfer-Encoding": "chunked"})
    answer = connection.exchange(head + chunk + b"something behind it")
    assert answer.status in (400, 413)
    assert answer.error
    assert connection.closed()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", 400),
        ("Content-Length: 3\r\nContent-Length: 4", 400),
        ("Content-Length: -3", 400),
        ("Content-Length: 3x", 400),
        ("Content-Length: 99999999999999999999999", 400),
        ("Transfer-Encoding: gzip", 501),
        ("Transfer-Encoding: chunked, gzip", 501),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("no colon", 400),
        ("Bad Name: x", 400),
        ("Folded: a\r\n  b: c\r\nContent-Length: x", 400),
    ],
)
def test_headers_that_are_malformed_or_contradict_each_other_are_refused(
    connection: Connection, server: Serve, fields: str, status: int
) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n"
    answer = connection.exchange(head.encode())
    assert answer.status == status
    assert answer.error
    assert answer.headers["connection"] == "close"
    assert connection.closed()
    with Connection(server.port) as again:
        assert is_good(again.exchange(good()))


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 64 + b"\r\n\r\n",
    ],
    ids=["TLS", "no target", "HTTP/9.9", "HTTP/2", "zeros"],
)
def test_what_is_no_http_1_is_refused(connection: Connection, data: bytes) -> None:
    assert connection.exchange(data).status == 400
    assert connection.closed()


def test_a_connection_is_kept_for_many_requests(connection: Connection) -> None:
    for _ in range(50):
        assert is_good(connection.exchange(good()))


def test_a_connection_is_kept_after_an_error_with_a_body(connection: Connection) -> None:
    for data in (
        json_infer("nobody", {"inputs": []}),
        json_infer("identity_fp32", "{"),
        request("/v2/nowhere", b"x" * 1000),
        request(PATH, method="GET"),
    ):
        assert connection.exchange(data).status >= 400
        assert is_good(connection.exchange(good()))


def test_the_client_may_end_the_connection(connection: Connection) -> None:
    answer = connection.exchange(good().replace(b"Host:", b"Connection: close\r\nHost:"))
    assert is_good(answer)
    assert answer.headers["connection"] == "close"
    assert connection.closed()


def test_http_1_0_ends_the_connection_unless_it_is_to_be_kept(server: Serve) -> None:
    old = good().replace(b"HTTP/1.1", b"HTTP/1.0")
    with Connection(server.port) as once:
        assert is_good(once.exchange(old))
        assert once.closed()
    with Connection(server.port) as kept:
        for _ in range(2):
            answer = kept.exchange(old.replace(b"Host:", b"Connection: keep-alive\r\nHost:"))
            assert is_good(answer)
            assert answer.headers["connection"] == "keep-alive"


def test_pipelined_requests_are_answered_in_order(connection: Connection) -> None:
    """Also when the first takes longest, and one of them fails."""

    def echo(model: str, value: float) -> bytes:
        tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [1, 1], "data": [value]}
        return json_infer(model, {"id": str(value), "inputs": [tensor]})

    requests = [echo("slow", 0), json_infer("identity_fp32", "{")]
    requests += [echo("identity_fp32", value) for value in range(2, 40)]
    connection.send(b"".join(requests))
    assert connection.read().json["id"] == "0"
    assert connection.read().status == 400
    for value in range(2, 40):
        assert connection.read().json["id"] == str(value)


def test_the_answer_to_head_has_no_body(connection: Connection) -> None:
    connection.send(request("/v2/health/ready", method="HEAD") + good())
    answer = connection.read(head_only=True)
    assert answer.status == 405
    assert int(answer.headers["content-length"]) > 0
    assert is_good(connection.read())


def test_a_request_that_comes_byte_by_byte(connection: Connection) -> None:
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in good():
        connection.send(bytes([byte]))
    assert is_good(connection.read())


def raw(model: str, body: bytes, size: object = 0) -> bytes:
    headers = {"Inference-Header-Content-Length": size}
    return request(f"/v2/models/{model}/infer", body, headers)


@pytest.mark.parametrize("model", ["plain_fp32", "identity_fp32"])
def test_a_raw_binary_request_is_one_tensor_of_deduced_shape(
    connection: Connection, model: str
) -> None:
    answer = connection.exchange(raw(model, FLOATS.tobytes()))
    shape = [3] if model == "plain_fp32" else [1, 3]
    assert answer.json["outputs"][0]["shape"] == shape
    assert answer.binary == FLOATS.tobytes()


def test_a_raw_binary_request_of_bytes_is_one_element(connection: Connection, jpeg: bytes) -> None:
    assert connection.exchange(raw("image_bytes", jpeg)).binary == bytes_tensor(jpeg)


@pytest.mark.parametrize(
    ("model", "body", "text"),
    [
        ("plain_fp32", b"12345", "multiple"),
        ("plain_bytes", b"x", "must have shape [1]"),
        ("pair", b"1234", "exactly one input"),
        ("fixed", b"1234", "byte size"),
    ],
)
def test_raw_binary_requests_that_cannot_be_one_tensor_are_refused(
    connection: Connection, model: str, body: bytes, text: str
) -> None:
    answer = connection.exchange(raw(model, body))
    assert answer.status == 400
    assert text in answer.error
    assert is_good(connection.exchange(good()))


@pytest.mark.parametrize(
    "size", ["-1", "abc", "", "1e9", "1000000000", str(2**63), str(2**64), "7 "]
)
def test_a_header_length_that_lies_is_refused(connection: Connection, size: str) -> None:
    body = json.dumps({"inputs": []}).encode()
    answer = connection.exchange(raw("identity_fp32", body, size))
    assert answer.status == 400
    assert answer.error


def test_a_header_length_that_is_given_twice_is_refused(
    connection: Connection, server: Serve
) -> None:
    data = raw("identity_fp32", b"{}", 2)
    doubled = data.replace(b"Host:", b"inference-header-content-length: 2\r\nHost:")
    answer = connection.exchange(doubled)
    assert answer.status == 400
    assert "more than once" in answer.error
    with Connection(server.port) as again:
        assert is_good(again.exchange(good()))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/", 404),
        ("GET", "/v2//models", 404),
        ("GET", "/", 404),
        ("GET", "/V2", 404),
        ("GET", "/v2/models/identity_fp32/versions/x/ready", 404),
        ("GET", "/v2/models/identity_fp32/versions/-1/ready", 404),
        ("GET", "/v2/models/identity%5ffp32", 200),
        ("GET", "/v2/models/identity%5ffp3%", 404),
        ("GET", "/v2/models/../../etc/passwd", 404),
        ("GET", "/v2/models/" + "x" * 10_000, 404),
        ("GET", "/v2/models/%00%0a", 404),
        ("GET", PATH, 405),
        ("PUT", PATH, 405),
        ("DELETE", "/v2", 405),
        ("OPTIONS", "/v2", 405),
        ("BREW", "/v2", 405),
        ("POST", "/v2", 405),
        ("GET", "/v2?query=ignored", 200),
        ("GET", "/v2/models/identity_fp32?x", 200),
    ],
    ids=lambda value: str(value)[:40],
)
def test_routes(connection: Connection, method: str, path: str, status: int) -> None:
    assert connection.exchange(request(path, method=method)).status == status
    assert is_good(connection.exchange(good()))


def cut(data: bytes, how: str) -> bytes:
    at = {
        "nothing": 0,
        "in the request line": 10,
        "in the header": data.index(b"\r\n\r\n") - 5,
        "behind the header": data.index(b"\r\n\r\n") + 4,
        "in the body": len(data) - 20,
        "in the answer": len(data),
    }
    return data[: at[how]]


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "where",
    [
        "nothing",
        "in the request line",
        "in the header",
        "behind the header",
        "in the body",
        "in the answer",
    ],
)
def test_a_client_that_vanishes_takes_nothing_with_it(
    server: Serve, jpeg: bytes, where: str, reset: bool
) -> None:
    files = server.open_files()
    for data in (good("slow"), image_request(jpeg)):
        with Connection(server.port) as vanishing:
            vanishing.send(cut(data, where))
            if reset:
                linger = struct.pack("ii", 1, 0)
                vanishing.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    with Connection(server.port) as other:
        assert is_good(other.exchange(good()))
    assert server.ready()
    deadline = time.monotonic() + 5
    while server.open_files() > files:
        assert time.monotonic() < deadline, "the connection is still there"
        time.sleep(0.02)


def test_queued_requests_of_a_client_that_vanished_are_not_run(
    server: Serve, tmp_path: Path
) -> None:
    """They are counted as failed; the one that runs already is finished."""

    def failed() -> int:
        return int(server.statistics("behaviour")["inference_stats"]["fail"]["count"])

    def ask(behaviour: str) -> bytes:
        one = {"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [0]}
        document = {"inputs": [one], "parameters": {"behaviour": behaviour}}
        return json_infer("behaviour", document)

    before, held, run = failed(), tmp_path / "held", tmp_path / "run"
    with Connection(server.port) as stays:
        stays.send(ask(f"hold:{held}"))
        wait_until(held.exists)
        with ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(Connection(server.port)).send(ask(f"hold:{run}"))
            server.wait_pending("behaviour", 5)
        server.wait_idle("behaviour")
        wait_until(lambda: failed() == before + 5)
        held.unlink()
        assert stays.read().status == 200
    assert not run.exists()
