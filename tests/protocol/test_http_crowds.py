"""Many clients that do nothing, or nothing of use, beside one that wants to be served."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness.raw_http import Connection, good, is_good
from harness.serve import Serve

CROWD = 1000
MIB = 1 << 20
PATH = "/v2/models/identity_fp32/infer"
PROMISE = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {64 * MIB}\r\n\r\n".encode()
SLOW = b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Le"


@pytest.fixture(scope="module")
def crowded(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    needed = 2 * CROWD + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"a process may open {hard} files here, and {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    flags = ("--http-header-timeout-secs=600", "--http-body-timeout-secs=600")
    with Serve(zoo, tmp_path_factory.mktemp("crowded"), *flags) as running:
        yield running
        assert running.stop() == 0, running.stderr
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def crowd(server: Serve, stack: ExitStack, first_words: bytes) -> list[socket.socket]:
    """So many connections, on which this was sent and no more."""
    connections = []
    for _ in range(CROWD):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        stack.enter_context(connection)
        if first_words:
            connection.sendall(first_words)
        connections.append(connection)
    return connections


def served(server: Serve, times: int = 50) -> None:
    """Somebody else is answered."""
    with Connection(server.port) as other:
        for _ in range(times):
            assert is_good(other.exchange(good()))


@pytest.mark.parametrize(
    ("first_words", "mib"),
    [
        pytest.param(b"", 32, id="idle"),
        pytest.param(SLOW, 32, id="in the middle of a header"),
        pytest.param(PROMISE, 32, id="promise 64 MiB and send nothing"),
        pytest.param(PROMISE + b"x", 64, id="promise 64 MiB and send a byte"),
    ],
)
def test_a_thousand_clients_hold_little(crowded: Serve, first_words: bytes, mib: int) -> None:
    served(crowded)
    before = crowded.resident_bytes()
    with ExitStack() as stack:
        crowd(crowded, stack, first_words)
        served(crowded)
        grown = crowded.resident_bytes() - before
        assert grown < mib * MIB, f"{grown >> 10} KiB more"
        assert crowded.ready()
    _emptied(crowded)
    served(crowded)


def test_a_thousand_clients_that_go_half_way_are_let_go(crowded: Serve) -> None:
    """They end their side, and do not read what they are told."""
    with ExitStack() as stack:
        for connection in crowd(crowded, stack, SLOW):
            connection.shutdown(socket.SHUT_WR)
        _emptied(crowded)
        served(crowded)


def _emptied(server: Serve) -> None:
    """Waits until the connections of the crowd are closed on the other side too."""
    deadline = time.monotonic() + 30
    while server.open_files() > CROWD // 2:
        assert time.monotonic() < deadline, f"{server.open_files()} files are open"
        time.sleep(0.05)
