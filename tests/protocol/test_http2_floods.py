"""Clients of HTTP/2 that want to keep the server busy (RFC 9113, section 10.5)."""

from __future__ import annotations

import contextlib
import itertools
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import pytest
from harness.grpc_calls import request
from harness.http2 import (
    LIVE,
    PREFACE,
    SERVICE,
    Code,
    Connection,
    Flag,
    Kind,
    Setting,
    data,
    frame,
    literal,
    message,
    request_fields,
    reset,
    settings,
    window_update,
)
from harness.serve import Serve

MIB = 1 << 20
GROWTH = 32 * MIB
"""Bytes that a server may hold of what one client does."""


@pytest.fixture(autouse=True)
def _unharmed(server: Serve) -> Iterator[None]:
    """The next client is served, and little is kept of the one before."""
    with Connection(server.grpc_port) as connection:
        assert connection.serves(1)
    before = server.resident_bytes()
    yield
    with Connection(server.grpc_port) as connection:
        assert connection.serves(1)
    assert server.resident_bytes() - before < GROWTH


def head(connection: Connection) -> bytes:
    """The header block of a call, which no table has to remember."""
    return b"".join(literal(*(text.encode() for text in each)) for each in request_fields())


def rapid_resets(connection: Connection) -> Iterator[bytes]:
    """Calls that are begun and given up."""
    block = head(connection)
    for stream in itertools.count(1, 2):
        yield connection.headers(stream, block) + reset(stream)


def malformed_calls(connection: Connection) -> Iterator[bytes]:
    """Calls that the server itself has to give up."""
    block = head(connection) + literal(b"connection", b"close")
    for stream in itertools.count(1, 2):
        yield connection.headers(stream, block)


def windows_of_nothing(connection: Connection) -> Iterator[bytes]:
    """Calls that the server has to give up because of what follows."""
    block = head(connection)
    for stream in itertools.count(1, 2):
        yield connection.headers(stream, block) + window_update(stream, 0)


def again(piece: bytes) -> Callable[[Connection], Iterator[bytes]]:
    """The same frame for ever."""
    return lambda connection: itertools.repeat(piece)


def after(
    first: Callable[[Connection], bytes], piece: bytes
) -> Callable[[Connection], Iterator[bytes]]:
    """The same frame for ever, behind another one."""
    return lambda connection: itertools.chain([first(connection)], itertools.repeat(piece))


class Flood(NamedTuple):
    """Frames without end, and how many of them have to be enough for the server."""

    frames: Callable[[Connection], Iterable[bytes]]
    enough: int


FLOODS = {
    "rapid reset": Flood(rapid_resets, 60_000),
    "calls that are malformed": Flood(malformed_calls, 60_000),
    "windows of nothing": Flood(windows_of_nothing, 60_000),
    "SETTINGS": Flood(again(settings({Setting.INITIAL_WINDOW_SIZE: 9})), 60_000),
    "empty SETTINGS": Flood(again(settings()), 60_000),
    "PING": Flood(again(frame(Kind.PING, bytes(8))), 60_000),
    "empty DATA": Flood(after(lambda c: c.opening(1), data(1)), 60_000),
    "DATA of padding": Flood(
        after(lambda c: c.opening(1), frame(Kind.DATA, b"\0", stream=1, flags=Flag.PADDED)), 60_000
    ),
    "PRIORITY": Flood(again(frame(Kind.PRIORITY, bytes([0, 0, 0, 0, 7]), stream=3)), 60_000),
    "GOAWAY": Flood(again(frame(Kind.GOAWAY, bytes(8))), 60_000),
    "CONTINUATION": Flood(
        after(
            lambda c: frame(Kind.HEADERS, stream=1),
            frame(Kind.CONTINUATION, literal(b"x", b"y" * 16_000), stream=1),
        ),
        2_000,
    ),
    "CONTINUATION of short fields": Flood(
        after(
            lambda c: frame(Kind.HEADERS, stream=1),
            frame(Kind.CONTINUATION, literal(b"x", b"y") * 3_000, stream=1),
        ),
        2_000,
    ),
    "empty CONTINUATION": Flood(
        after(
            lambda c: frame(Kind.HEADERS, stream=1),
            frame(Kind.CONTINUATION, stream=1),
        ),
        60_000,
    ),
}


@pytest.mark.parametrize("reads", [True, False], ids=["read", "not read"])
@pytest.mark.parametrize("what", FLOODS)
def test_a_flood_is_cut_off(server: Serve, what: str, reads: bool) -> None:
    flood = FLOODS[what]
    with Connection(server.grpc_port, timeout=5) as connection:
        frames = iter(flood.frames(connection))
        # One who does not read is held up in the end, and is cut off when he reads on.
        with contextlib.suppress(TimeoutError):
            for _ in range(0, flood.enough, 1_000):
                if not connection.send(*itertools.islice(frames, 1_000)):
                    break
                if reads:
                    connection.drain()
        assert connection.until_closed()
        if connection.goaway is not None:
            assert connection.goaway != Code.NO_ERROR


HARMLESS = {
    "WINDOW_UPDATE": window_update(0, 1),
    "unknown frames": frame(77, b"x" * 20),
    "answers to no SETTINGS": frame(Kind.SETTINGS, flags=Flag.ACK),
    "answers to no PING": frame(Kind.PING, bytes(8), flags=Flag.ACK),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_frames_that_nobody_has_to_answer_hold_nothing(server: Serve, what: str) -> None:
    """The connection may be cut off, or go on: both cost the client more than the server."""
    with Connection(server.grpc_port, timeout=30) as connection:
        before = server.resident_bytes()
        connection.send(HARMLESS[what] * 100_000)
        assert connection.serves(1) or connection.until_closed()
        assert server.resident_bytes() - before < GROWTH


def bomb(connection: Connection, count: int) -> bytes:
    """A header block of a field of 4000 bytes, and of an index of it so many times."""
    name, value = b"x", b"y" * 3_900
    first = literal(name, value)
    return head(connection) + b"\x40" + first[1:] + b"\xbe" * count


@pytest.mark.parametrize("frames", [1, 8])
def test_a_head_that_unfolds_into_megabytes(server: Serve, frames: int) -> None:
    """The server refuses the call, or ends the connection; it does not hold the fields."""
    with Connection(server.grpc_port, timeout=30) as connection:
        before = server.resident_bytes()
        block = bomb(connection, 10_000)
        connection.send(frame(Kind.HEADERS, block, stream=1))
        for _ in range(frames):
            connection.send(frame(Kind.CONTINUATION, b"\xbe" * 16_000, stream=1))
        connection.send(frame(Kind.CONTINUATION, stream=1, flags=Flag.END_HEADERS))
        if not connection.closed and connection.ping():
            noted = connection.answer(1)
            assert noted.reset is not None or noted.heads[0][":status"] == "431" or noted.status
        assert server.resident_bytes() - before < GROWTH


def test_a_table_that_is_larger_than_allowed_is_not_made(server: Serve) -> None:
    """The client's own SETTINGS_HEADER_TABLE_SIZE is of no account for what the server keeps."""
    with Connection(server.grpc_port, {Setting.HEADER_TABLE_SIZE: 2**32 - 1}) as connection:
        before = server.resident_bytes()
        for stream in range(1, 2001, 2):
            connection.send(connection.calling(stream))
            if not connection.answer(stream).heads:
                break
        assert server.resident_bytes() - before < GROWTH


def test_answers_that_nobody_reads_are_given_back(server: Serve) -> None:
    """Windows of nothing: the answers wait while the client is there, and no longer."""
    body = message(request("plain_uint8", np.zeros(MIB, np.uint8)).SerializeToString())
    for _ in range(4):
        with Connection(
            server.grpc_port, {Setting.INITIAL_WINDOW_SIZE: 0}, timeout=30
        ) as connection:
            for stream in range(1, 41, 2):
                connection.send(connection.opening(stream, SERVICE + "ModelInfer"))
                assert connection.upload(stream, body)
                noted = connection.stream(stream)
                assert connection.until(lambda noted=noted: bool(noted.heads))
            with Connection(server.grpc_port) as other:
                assert other.serves(1)


PARTS = {
    "nothing": b"",
    "half a preface": PREFACE[:10],
    "a preface": PREFACE + settings(),
    "half a frame": PREFACE + settings() + frame(Kind.DATA, bytes(16_384))[:9],
    "half a head": PREFACE + settings() + frame(Kind.HEADERS, literal(b"x", b"y"), stream=1),
}


@pytest.mark.parametrize("what", PARTS)
def test_hundreds_that_never_go_on_hold_little(server: Serve, what: str) -> None:
    before = server.resident_bytes()
    with ExitStack() as stack:
        for _ in range(300):
            each = stack.enter_context(Connection(server.grpc_port, greets=False))
            each.send(PARTS[what])
        with Connection(server.grpc_port) as other:
            assert other.serves(1)
        assert server.resident_bytes() - before < GROWTH


@pytest.mark.parametrize("cut", range(1, 75, 3))
def test_a_connection_that_breaks_off_at_any_byte(server: Serve, cut: int) -> None:
    with Connection(server.grpc_port, greets=False) as connection:
        connection.send((PREFACE + settings() + connection.calling(1))[:cut])
        linger = struct.pack("ii", 1, 0)
        with contextlib.suppress(OSError):
            connection.socket.setsockopt(1, 13, linger)


def test_a_message_that_is_promised_and_does_not_come_takes_no_memory(server: Serve) -> None:
    before = server.resident_bytes()
    with Connection(server.grpc_port) as connection:
        promise = struct.pack("!BI", 0, 2**31 - 1)
        for stream in range(1, 101, 2):
            connection.send(connection.opening(stream, LIVE), data(stream, promise + b"x"))
        assert connection.ping()
        assert server.resident_bytes() - before < GROWTH
