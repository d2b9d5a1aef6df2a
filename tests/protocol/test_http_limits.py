"""What one client, or all together, may take of the server: 408, 413, 431 and 503."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from harness.raw_http import Connection, binary_infer, good, is_good, request
from harness.serve import Serve

PATH = "/v2/models/identity_fp32/infer"
BODY, HEADER, CONNECTIONS, IN_FLIGHT = 1_000_000, 4096, 12, 2_500_000
HEADER_SECONDS, BODY_SECONDS, IDLE_SECONDS = 0.6, 0.8, 1.5


@pytest.fixture(scope="module")
def limited(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    flags = {
        "http-max-input-size": BODY,
        "http-max-header-size": HEADER,
        "http-max-connections": CONNECTIONS,
        "http-max-bytes-in-flight": IN_FLIGHT,
        "http-header-timeout-secs": HEADER_SECONDS,
        "http-body-timeout-secs": BODY_SECONDS,
        "http-idle-timeout-secs": IDLE_SECONDS,
    }
    folder = tmp_path_factory.mktemp("limited")
    with Serve(zoo, folder, *(f"--{name}={value}" for name, value in flags.items())) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture(autouse=True)
def _serves_the_next_client(limited: Serve) -> Iterator[None]:
    yield
    deadline = time.monotonic() + 5
    while True:
        with Connection(limited.port) as other:
            answer = other.exchange(good())
        if is_good(answer):
            break
        assert answer.status == 503  # connections of the test that are not closed yet
        assert time.monotonic() < deadline
    assert limited.ready()


def sized(size: int) -> bytes:
    """An infer request whose whole body has so many bytes."""
    document = {
        "inputs": [
            {
                "name": "INPUT0",
                "datatype": "FP32",
                "shape": [1, 0],
                "parameters": {"binary_data_size": 0},
            }
        ]
    }
    (tensor,) = document["inputs"]
    for _ in range(3):  # the JSON's own length depends on the numbers in it
        count = (size - len(json.dumps(document).encode())) // 4
        tensor.update(shape=[1, count], parameters={"binary_data_size": 4 * count})
    return binary_infer("identity_fp32", document, np.ones(count, np.float32).tobytes())


def test_a_body_up_to_the_limit_is_taken_and_one_beyond_is_not(limited: Serve) -> None:
    with Connection(limited.port) as connection:
        assert connection.exchange(sized(BODY)).status == 200
        answer = connection.exchange(sized(BODY + 100))
        assert answer.status == 413
        assert str(BODY) in answer.error


def test_a_body_too_large_is_refused_before_it_is_sent(limited: Serve) -> None:
    head = request(PATH, headers={"Content-Length": 10**18, "Expect": "100-continue"})
    with Connection(limited.port) as connection:
        assert connection.exchange(head).status == 413


def test_a_chunked_body_too_large_is_refused_when_it_becomes_so(limited: Serve) -> None:
    head = request(PATH, headers={"Transfer-Encoding": "chunked"})
    with Connection(limited.port) as connection:
        connection.send(head)
        for _ in range(BODY // 100_000 + 1):
            connection.send(b"%x\r\n%s\r\n" % (100_000, b"x" * 100_000))
        assert connection.read().status == 413


def test_a_chunk_that_promises_too_much_takes_no_memory(limited: Serve) -> None:
    before = limited.resident_bytes()
    head = request(PATH, headers={"Transfer-Encoding": "chunked"})
    with Connection(limited.port) as connection:
        answer = connection.exchange(head + b"ffffffffffffffff\r\n" + b"x" * 1000)
        assert answer.status in (408, 413)
    assert limited.resident_bytes() - before < 10_000_000


@pytest.mark.parametrize("where", ["target", "name", "value", "many fields", "no end"])
def test_a_header_too_large_is_refused(limited: Serve, where: str) -> None:
    large = "x" * HEADER
    head = {
        "target": f"GET /v2/{large} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "name": f"GET /v2 HTTP/1.1\r\n{large}: 1\r\n\r\n",
        "value": f"GET /v2 HTTP/1.1\r\nName: {large}\r\n\r\n",
        "many fields": "GET /v2 HTTP/1.1\r\n" + "a: b\r\n" * 1000 + "\r\n",
        "no end": f"GET /v2 HTTP/1.1\r\nName: {large}",
    }[where]
    with Connection(limited.port) as connection:
        answer = connection.exchange(head.encode())
        assert answer.status == 431
        assert str(HEADER) in answer.error
        assert connection.closed()


def test_a_header_up_to_the_limit_is_taken(limited: Serve) -> None:
    data = request("/v2", headers={"Name": "x" * (HEADER - 200)}, method="GET")
    with Connection(limited.port) as connection:
        assert connection.exchange(data).status == 200


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        (b"POST /v2/mod", HEADER_SECONDS),
        (b"POST /v2 HTTP/1.1\r\nHost: x\r\n", HEADER_SECONDS),
        (good()[:-5], BODY_SECONDS),
        (request(PATH, headers={"Transfer-Encoding": "chunked"}) + b"5\r\nab", BODY_SECONDS),
    ],
    ids=["request line", "header", "body", "chunk"],
)
def test_what_does_not_arrive_in_time_is_given_up(
    limited: Serve, sent: bytes, seconds: float
) -> None:
    with Connection(limited.port) as connection:
        begun = time.monotonic()
        answer = connection.exchange(sent)
        assert answer.status == 408
        assert 0.9 * seconds < time.monotonic() - begun < seconds + 1
        assert connection.closed()


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_trickle_of_bytes_does_not_hold_a_connection(limited: Serve, part: str) -> None:
    """The time is for the whole header, and for so much of a body that it gets on."""
    at = 0 if part == "header" else good().index(b"\r\n\r\n") + 4
    with Connection(limited.port) as connection:
        connection.send(good()[:at])
        begun = time.monotonic()
        for byte in good()[at:]:
            try:
                connection.send(bytes([byte]))
            except OSError:
                break
            time.sleep(0.05)
            if time.monotonic() - begun > BODY_SECONDS + 1:
                break
        assert connection.read().status == 408


def test_an_idle_connection_is_closed_without_a_word(limited: Serve) -> None:
    with Connection(limited.port) as connection:
        begun = time.monotonic()
        assert is_good(connection.exchange(good()))
        assert connection.closed()
        assert 0.9 * IDLE_SECONDS < time.monotonic() - begun < IDLE_SECONDS + 1


def test_a_client_that_does_not_read_its_answer_is_let_go(limited: Serve) -> None:
    """Megabytes that nobody reads fill the buffers of both sides, and then wait for a while."""
    files = limited.open_files()
    with Connection(limited.port) as connection:
        connection.socket.setblocking(False)
        data = sized(BODY) * 30
        begun = time.monotonic()
        while limited.open_files() <= files or data:
            try:
                data = data[connection.socket.send(data) :]
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:
                break
            if time.monotonic() - begun > 8:
                break
        deadline = time.monotonic() + 5
        while limited.open_files() > files:
            assert time.monotonic() < deadline, "the connection is still open"
            time.sleep(0.05)


def test_connections_beyond_the_limit_are_told_so(limited: Serve) -> None:
    time.sleep(0.2)  # the connections of the test before are closed by then
    with ExitStack() as stack:
        opened = [stack.enter_context(Connection(limited.port)) for _ in range(CONNECTIONS)]
        for each in opened:
            assert is_good(each.exchange(good()))
        with Connection(limited.port) as beyond:
            answer = beyond.read()
            assert answer.status == 503
            assert str(CONNECTIONS) in answer.error
            assert beyond.closed()
        assert is_good(opened[0].exchange(good()))


def test_bodies_beyond_what_may_be_in_flight_are_refused(zoo: Path, tmp_path: Path) -> None:
    """Memory is counted as it is taken, not as it is promised."""
    flag = f"--http-max-bytes-in-flight={IN_FLIGHT}"
    with Serve(zoo, tmp_path, flag) as server:
        with ExitStack() as stack:
            halves = [stack.enter_context(Connection(server.port)) for _ in range(3)]
            for each in halves[:2]:
                each.send(sized(BODY)[: BODY - 10_000])
            time.sleep(0.5)  # nothing tells that they have been read
            assert halves[2].exchange(sized(BODY)).status == 503
            assert halves[2].closed()
            for each in halves[:2]:
                assert each.exchange(sized(BODY)[BODY - 10_000 :]).status == 200
        with Connection(server.port) as after:
            assert after.exchange(sized(BODY)).status == 200
        assert server.stop() == 0
