"""A model that does not let go of the GIL stops nobody who only asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from harness.raw_http import Connection
from harness.serve import Serve
from harness.tensors import Array, infer

SECONDS = 10.0
AT_ONCE_SECONDS = 0.5
"""Far above what an answer takes on a busy machine, far below the time that the GIL is held."""

QUESTIONS = [
    ("/v2/health/live", False),
    ("/v2/health/ready", False),
    ("/v2", False),
    ("/v2/models/hold_gil", False),
    ("/v2/models/hold_gil/ready", False),
    ("/v2/models/pair/config", False),
    ("/v2/models/stats", False),
    ("/v2/models/hold_gil/stats", False),
    ("/metrics", True),
]


@pytest.fixture(scope="module")
def held(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with Serve(zoo, tmp_path_factory.mktemp("out")) as running:
        yield running
        assert running.stop() == 0, running.stderr


def test_questions_are_answered_at_once_while_a_model_holds_the_gil(held: Serve) -> None:
    answers: list[Array] = []

    def hold() -> None:
        with Connection(held.port, timeout=30) as connection:
            seconds = np.array([[SECONDS]], np.float32)
            answers.append(infer(connection, "hold_gil", SECONDS=seconds)["HELD"])

    with Connection(held.port) as warm:
        infer(warm, "hold_gil", SECONDS=np.zeros((1, 1), np.float32))
    thread = threading.Thread(target=hold)
    begun = time.monotonic()
    thread.start()
    time.sleep(0.2)
    slowest, rounds = 0.0, 0
    while time.monotonic() < begun + SECONDS / 2:
        for path, metrics in QUESTIONS:
            asked = time.monotonic()
            status, body = held.get(path, metrics=metrics)
            slowest = max(slowest, time.monotonic() - asked)
            assert status == 200, body
            # Who waits for the GIL answers after the model has let go of it.
            assert time.monotonic() < begun + SECONDS, path
        rounds += 1
    thread.join()
    assert answers[0] == np.float32(SECONDS)
    assert time.monotonic() - begun >= SECONDS
    assert rounds > 3
    assert slowest < AT_ONCE_SECONDS


def test_a_request_to_another_python_model_is_answered_after_it(held: Serve) -> None:
    """Nothing that waited for the GIL is lost."""

    def hold() -> None:
        with Connection(held.port, timeout=30) as connection:
            infer(connection, "hold_gil", SECONDS=np.array([[0.5]], np.float32))

    thread = threading.Thread(target=hold)
    thread.start()
    time.sleep(0.1)
    with Connection(held.port) as connection:
        array = np.ones((1, 3), np.float32)
        assert np.array_equal(infer(connection, "identity_fp32", INPUT0=array)["OUTPUT0"], array)
    thread.join()
