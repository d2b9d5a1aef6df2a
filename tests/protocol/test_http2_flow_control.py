"""RFC 9113, sections 5.2 and 6.9: the server sends what the windows hold, and not a byte more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from harness.grpc_calls import messages, request
from harness.http2 import (
    INITIAL_WINDOW,
    SERVICE,
    Connection,
    Frame,
    Setting,
    message,
    settings,
    window_update,
)
from harness.serve import Serve

INFER = SERVICE + "ModelInfer"
SIZE = 300_000
TENSOR = np.arange(SIZE, dtype=np.uint8)


@pytest.fixture
def connection(server: Serve) -> Iterator[Connection]:
    """One whose streams may not be sent anything yet."""
    with Connection(server.grpc_port, {Setting.INITIAL_WINDOW_SIZE: 0}) as opened:
        yield opened


def ask(connection: Connection, stream: int) -> None:
    """Sends a request whose answer is larger than all windows; waits for the answer's head."""
    body = message(request("plain_uint8", TENSOR).SerializeToString())
    connection.send(connection.opening(stream, INFER))
    assert connection.upload(stream, body)
    noted = connection.stream(stream)
    assert connection.until(lambda: bool(noted.heads))


def came(connection: Connection, stream: int, least: int) -> int:
    """How many bytes have come, once there are so many and the server has nothing else to say."""
    noted = connection.stream(stream)
    connection.until(lambda: len(noted.data) >= least)
    assert connection.ping()
    return len(noted.data)


def is_answer(body: bytes) -> bool:
    """Whether these are all bytes of the answer."""
    answer = messages.ModelInferResponse.FromString(body[5:])
    return bool(answer.raw_output_contents[0] == TENSOR.tobytes())


def test_a_window_of_nothing_grows_by_steps(connection: Connection) -> None:
    ask(connection, 1)
    assert came(connection, 1, 0) == 0
    sent = 0
    for step in (1, 4, 5, 100, 16_384):
        connection.send(window_update(1, step))
        sent += step
        assert connection.until(lambda sent=sent: len(connection.stream(1).data) == sent)
    assert came(connection, 1, sent) == sent
    connection.send(window_update(1, SIZE), window_update(0, SIZE))
    assert is_answer(bytes(connection.answer(1).data))


def test_settings_change_windows_of_streams_that_are_there(connection: Connection) -> None:
    """Section 6.9.2, also below zero: what was sent already counts."""
    window = Setting.INITIAL_WINDOW_SIZE
    ask(connection, 1)
    connection.send(settings({window: 1000}))
    assert came(connection, 1, 1000) == 1000
    connection.send(settings({window: 200}), window_update(1, 800))
    assert came(connection, 1, 1000) == 1000
    connection.send(window_update(1, 1))
    assert came(connection, 1, 1001) == 1001
    connection.send(settings({window: SIZE + 1000}), window_update(0, SIZE))
    assert is_answer(bytes(connection.answer(1).data))


def test_settings_leave_the_window_of_the_connection_alone(connection: Connection) -> None:
    ask(connection, 1)
    connection.send(settings({Setting.INITIAL_WINDOW_SIZE: 2**31 - 1}))
    assert came(connection, 1, INITIAL_WINDOW) == INITIAL_WINDOW


def test_streams_share_the_window_of_the_connection(connection: Connection) -> None:
    for stream in (1, 3, 5):
        ask(connection, stream)
    for stream in (1, 3, 5):
        connection.send(window_update(stream, SIZE + 1000))

    def total() -> int:
        return sum(len(connection.stream(each).data) for each in (1, 3, 5))

    assert connection.until(lambda: total() == INITIAL_WINDOW)
    assert connection.ping()
    assert total() == INITIAL_WINDOW
    connection.send(window_update(0, 3 * (SIZE + 1000)))
    for stream in (1, 3, 5):
        assert is_answer(bytes(connection.answer(stream).data))


def test_a_stream_that_is_not_read_holds_no_other(connection: Connection) -> None:
    ask(connection, 1)
    ask(connection, 3)
    connection.send(window_update(3, SIZE + 1000), window_update(0, SIZE + 1000))
    assert is_answer(bytes(connection.answer(3).data))
    assert not connection.stream(1).data


@pytest.mark.parametrize("largest", [16_384, 20_000, 2**24 - 1])
def test_no_frame_is_larger_than_the_client_takes(server: Serve, largest: int) -> None:
    limits = {Setting.MAX_FRAME_SIZE: largest, Setting.INITIAL_WINDOW_SIZE: 2 * SIZE}
    with Connection(server.grpc_port, limits) as connection:
        connection.send(window_update(0, 2 * SIZE))
        ask(connection, 1)
        frames: list[Frame] = []
        while not connection.stream(1).ended:
            frame = connection.step()
            assert frame is not None
            frames.append(frame)
        assert max(len(frame.payload) for frame in frames) <= largest
        assert is_answer(bytes(connection.stream(1).data))


def test_the_server_takes_more_than_its_windows_hold(server: Serve) -> None:
    """It says so with WINDOW_UPDATE, for the stream and the connection."""
    with Connection(server.grpc_port, timeout=30) as connection:
        connection.until(lambda: bool(connection.settings))
        connection.send(connection.opening(1, INFER))
        assert connection.ping()
        array = np.zeros(2 * max(connection.room(1), INITIAL_WINDOW), np.uint8)
        assert connection.upload(1, message(request("plain_uint8", array).SerializeToString()))
        assert connection.until(lambda: bool(connection.stream(1).heads))
        assert connection.stream(1).heads[0][":status"] == "200"
        assert connection.windows.keys() >= {0, 1}
