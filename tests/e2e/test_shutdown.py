"""SIGINT and SIGTERM: what was accepted is finished, up to a time, and a second signal is final."""

from __future__ import annotations

import re
import signal
import threading
import time
import urllib.error
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from harness.raw_http import Answer, Connection, good, is_good, json_infer
from harness.repository import add_model, ensemble, fixture, identity, step, tensor
from harness.serve import Serve
from harness.tensors import infer_request
from harness.waiting import wait_until

ENDING = re.compile("Ending: ")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    add_model(folder, "identity_fp32", identity())
    add_model(folder, "behaviour", fixture("behaviour"))
    one = step("behaviour", {"X": "X"}, {"Y": "t"})
    two = step("behaviour", {"X": "t"}, {"Y": "Y"})
    x, y = tensor("X", "FP32", [-1]), tensor("Y", "FP32", [-1])
    add_model(folder, "twice", ensemble([x], [y], [one, two]))
    return folder


@pytest.fixture
def start(repository: Path, tmp_path: Path) -> Callable[..., Serve]:
    """Starts a server with flags."""
    return lambda *flags, **options: Serve(repository, tmp_path / "out", *flags, **options)


def full(behaviour: str = "double", model: str = "behaviour") -> bytes:
    """A request that fills a batch."""
    one = {"name": "X", "datatype": "FP32", "shape": [8, 1], "data": [1] * 8}
    return json_infer(model, {"inputs": [one], "parameters": {"behaviour": behaviour}})


def is_ready(server: Serve) -> bool:
    try:
        return server.ready()
    except (urllib.error.URLError, ConnectionError):
        return False


def accepts(server: Serve) -> bool:
    try:
        with Connection(server.port):
            return True
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_running_and_queued_requests_are_finished(
    start: Callable[..., Serve], number: signal.Signals, tmp_path: Path
) -> None:
    with start() as server:
        connections = [Connection(server.port, timeout=30) for _ in range(5)]
        held = tmp_path / "held"
        connections[0].send(full(f"hold:{held}"))
        wait_until(held.exists)
        for connection in connections[1:4]:
            connection.send(full())
        connections[4].send(full(model="twice"))
        server.wait_pending("behaviour", 4)
        assert server.ready()
        server.process.send_signal(number)
        server.wait_for(ENDING)
        wait_until(lambda: not is_ready(server))
        held.unlink()
        for connection in connections[:4]:
            answer = connection.read()
            assert answer.json["outputs"][0]["data"] == [2] * 8
        assert connections[4].read().json["outputs"][0]["data"] == [4] * 8
        assert server.wait() == 0, server.stderr
        for connection in connections:
            assert connection.closed()
            connection.socket.close()


def test_new_connections_are_refused_while_old_requests_are_finished(
    start: Callable[..., Serve], tmp_path: Path
) -> None:
    with start() as server, Connection(server.port, timeout=30) as connection:
        held = tmp_path / "held"
        connection.send(full(f"hold:{held}"))
        wait_until(held.exists)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for(ENDING)
        wait_until(lambda: not accepts(server))
        held.unlink()
        answer = connection.read()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert connection.closed()
        assert server.wait() == 0


def test_a_large_answer_is_sent_whole(start: Callable[..., Serve]) -> None:
    array = np.ones((8, 500_000), np.float32)
    answers: list[Answer] = []
    with start() as server:

        def ask() -> None:
            data = infer_request("identity_fp32", {"INPUT0": array})
            # One that has not arrived in whole when the signal comes is not taken.
            with suppress(OSError), Connection(server.port, timeout=30) as connection:
                answers.append(connection.exchange(data))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        while server.statistics("identity_fp32")["execution_count"] == 0:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert server.wait() == 0
    whole = [answer for answer in answers if answer.status == 200]
    assert whole
    for answer in whole:
        assert answer.binary == array.tobytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(
    start: Callable[..., Serve], number: signal.Signals, tmp_path: Path
) -> None:
    with start() as server, Connection(server.port) as connection:
        connection.send(full(f"hold:{tmp_path / 'held'}"))
        wait_until((tmp_path / "held").exists)
        server.process.send_signal(number)
        server.wait_for(ENDING)
        begun = time.monotonic()
        server.process.send_signal(number)
        assert server.wait(5) == 128 + number
        assert time.monotonic() - begun < 2
        assert connection.closed()


def test_what_takes_longer_than_the_exit_timeout_is_cut_off(
    start: Callable[..., Serve], tmp_path: Path
) -> None:
    with start("--exit-timeout-secs=0.5") as server, Connection(server.port) as connection:
        connection.send(full(f"hold:{tmp_path / 'held'}"))
        wait_until((tmp_path / "held").exists)
        begun = time.monotonic()
        assert server.stop(timeout=10) == 1
        assert 0.4 < time.monotonic() - begun < 4
        assert "--exit-timeout-secs=0.5" in server.stderr
        assert connection.closed()


def test_an_idle_server_ends_at_once_though_clients_stay_connected(
    start: Callable[..., Serve],
) -> None:
    with start() as server, Connection(server.port) as idle, Connection(server.port) as used:
        assert is_good(used.exchange(good()))
        used.send(b"POST /v2/models/iden")  # and says no more
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert idle.closed()
        assert used.closed()
        assert server.wait() == 0
        assert time.monotonic() - begun < 3


def test_a_body_that_is_on_its_way_is_refused_and_not_waited_for(
    start: Callable[..., Serve],
) -> None:
    """A client that hangs does not hold up the end, nor make it a failure."""
    with start() as server:
        with Connection(server.port) as connection:
            head, body = good().split(b"\r\n\r\n", 1)
            connection.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
            assert connection.read().status == 100
            connection.send(body[:-5])
            server.process.send_signal(signal.SIGTERM)
            answer = connection.read()
            assert answer.status == 503
            assert "shutting down" in answer.error
            assert connection.closed()
        assert server.wait() == 0


def test_a_signal_while_models_load_ends_the_server(
    repository: Path, start: Callable[..., Serve], tmp_path: Path
) -> None:
    held = tmp_path / "held"
    add_model(repository, "late", fixture("load", behaviour=f"hold:{held}"))
    with start(wait=False) as server:
        wait_until(held.exists)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for(ENDING)
        held.unlink()
        assert server.wait() == 0, server.stderr
        assert "Server is ready" not in server.stdout


def test_ten_servers_end_cleanly_under_load(start: Callable[..., Serve]) -> None:
    for _ in range(10):
        with start() as server:
            stop = threading.Event()

            def ask(server: Serve = server, stop: threading.Event = stop) -> None:
                while not stop.is_set():
                    try:
                        with Connection(server.port) as connection:
                            while True:
                                assert connection.exchange(good()).status in (200, 503)
                    except (AssertionError, OSError, IndexError):
                        pass

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.1)
            try:
                assert server.stop() == 0, server.stderr
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            assert "rror" not in server.stderr
