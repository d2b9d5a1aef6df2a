"""RFC 9113 by hand: every error that a server must answer, and flow control at its edges."""

from __future__ import annotations

import pytest
from harness.http2 import (
    PREFACE,
    Code,
    Connection,
    Kind,
    Setting,
    frame,
    settings,
)
from harness.http2_faults import FAULTS, SERVED, Fault, GoAway, Outcome, Reset
from harness.serve import Serve


def outcome(connection: Connection) -> Outcome:
    """What has come of the frames that were sent."""
    if not connection.serves(101):
        assert connection.until_closed()
        assert connection.goaway is not None
        return GoAway(Code(connection.goaway))
    assert connection.goaway is None
    reset = connection.stream(1).reset
    # Having answered early a server may ask for no more of the request.
    return SERVED if reset in (None, Code.NO_ERROR) else Reset(Code(reset))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: f"{each.section} {each.what}")
def test_a_fault_is_answered_as_the_rfc_says(server: Serve, fault: Fault) -> None:
    with Connection(server.grpc_port) as connection:
        connection.send(fault.send(connection))
        assert outcome(connection) in fault.outcomes


@pytest.mark.parametrize(
    "first_words",
    [
        PREFACE[:-1] + b"x",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(30),
        PREFACE + frame(Kind.PING, bytes(8)),
        PREFACE + frame(Kind.SETTINGS, flags=1),
    ],
    ids=["one wrong letter", "HTTP/1.1", "TLS", "no SETTINGS", "SETTINGS that are acknowledged"],
)
def test_a_preface_that_is_none_ends_the_connection(server: Serve, first_words: bytes) -> None:
    """Section 3.4; GOAWAY may be left out."""
    with Connection(server.grpc_port, greets=False) as connection:
        connection.send(first_words)
        answer = connection.socket.recv(1 << 16)
        while connection.socket.recv(1 << 16):
            pass
    assert not answer.startswith(b"HTTP/1.1 2")


def test_a_preface_in_pieces(server: Serve) -> None:
    with Connection(server.grpc_port, greets=False) as connection:
        for byte in PREFACE + settings():
            connection.send(bytes([byte]))
        connection.acknowledges = False
        assert connection.serves(1)
        assert connection.settings_acknowledged == 1


def test_frames_in_pieces(server: Serve) -> None:
    with Connection(server.grpc_port) as connection:
        for byte in connection.calling(1):
            connection.send(bytes([byte]))
        assert connection.answer(1).ended


def test_settings_are_acknowledged_in_their_order(server: Serve) -> None:
    with Connection(server.grpc_port) as connection:
        connection.send(settings({Setting.INITIAL_WINDOW_SIZE: 5}), settings(), settings())
        assert connection.ping()
        assert connection.settings_acknowledged == 4


def test_a_stream_that_was_skipped_is_closed(server: Serve) -> None:
    """Section 5.1.1: streams below one that was opened cannot be opened any more."""
    with Connection(server.grpc_port) as connection:
        assert connection.serves(5)
        connection.send(connection.calling(3))
        connection.ping()
        assert not connection.stream(3).heads


def test_more_streams_than_the_server_takes_are_refused(server: Serve) -> None:
    """Section 5.1.2: those beyond, and no others, while the client may not know the setting."""
    with Connection(server.grpc_port, timeout=30) as connection:
        connection.acknowledges = False
        connection.until(lambda: bool(connection.settings))
        most = connection.settings[Setting.MAX_CONCURRENT_STREAMS]
        numbers = range(1, 2 * most + 1, 2)
        connection.send(*(connection.opening(each) for each in numbers))
        beyond = 2 * most + 1
        connection.send(connection.calling(beyond))
        assert connection.answer(beyond).reset == Code.REFUSED_STREAM
        assert not any(connection.stream(each).over for each in numbers)
        connection.send(*(connection.headers(n, [("x", "1")], end=True) for n in numbers))
        assert all(connection.answer(each).over for each in numbers)
        assert connection.serves(beyond + 2)


def test_goaway_of_the_client_leaves_its_calls_alone(server: Serve) -> None:
    """Section 6.8."""
    with Connection(server.grpc_port) as connection:
        connection.send(connection.opening(1), frame(Kind.GOAWAY, bytes(8)))
        connection.ping()
        connection.send(frame(Kind.DATA, bytes(5), stream=1, flags=1))
        assert connection.answer(1).ended
