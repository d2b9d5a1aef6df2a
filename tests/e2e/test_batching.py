"""The dynamic batcher and the instances behind it, as requests of many clients see them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from despina_fixtures.behaviour import BehaviourBackend
from despina_fixtures.tensors import DescribeBackend

import despina

DYNAMIC: dict[str, Any] = {"max_batch_size": 8, "dynamic_batching": {}}


def at_once(calls: Sequence[Callable[[], object]], pause: float = 0.0) -> list[Any]:
    """What each call returned or raised; they begin ``pause`` seconds apart."""
    outcomes: list[Any] = [None] * len(calls)

    def run(index: int) -> None:
        try:
            outcomes[index] = calls[index]()
        except despina.DespinaError as error:
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
        time.sleep(pause)
    for thread in threads:
        thread.join()
    return outcomes


def serve(backend: type[despina.Backend], **config: Any) -> despina.Server:
    return despina.Server(models={"m": (backend, {**DYNAMIC, **config})})


def describe(server: despina.Server, *shape: int) -> dict[str, Any]:
    answer = server.infer("m", {"X": np.zeros(shape, np.float32)})
    about = json.loads(answer["ABOUT"][0, 0])
    assert isinstance(about, dict)
    return about


def sleep(server: despina.Server, seconds: float) -> float:
    """Takes the time that a request takes."""
    begun = time.monotonic()
    one = {"X": np.zeros((1, 1), np.float32)}
    server.infer("m", one, parameters={"behaviour": f"sleep:{seconds}"})
    return time.monotonic() - begun


def test_requests_that_come_within_the_delay_are_one_batch() -> None:
    batching = {"max_queue_delay_microseconds": 500_000, "preferred_batch_size": [4]}
    with serve(DescribeBackend, dynamic_batching=batching) as server:
        begun = time.monotonic()
        abouts = at_once([lambda: describe(server, 1, 3)] * 4)
        assert time.monotonic() - begun < 0.5, "a preferred size does not wait"
        assert [about["batch_rows"] for about in abouts] == [4] * 4
        begun = time.monotonic()
        assert describe(server, 1, 3)["batch_rows"] == 1
        assert time.monotonic() - begun >= 0.5


def test_different_shapes_are_not_mixed() -> None:
    batching = {"max_queue_delay_microseconds": 200_000}
    with serve(DescribeBackend, dynamic_batching=batching) as server:
        calls = [lambda n=n: describe(server, 1, 2 + n % 2) for n in range(8)]
        abouts = at_once(calls)
        assert all(about["batch_rows"] <= 4 for about in abouts)
        batches = server.statistics("m")["model_stats"][0]["batch_stats"]
        assert sum(b["batch_size"] * b["compute_infer"]["count"] for b in batches) == 8


def test_without_dynamic_batching_each_request_runs_alone() -> None:
    config = {"max_batch_size": 8}
    with despina.Server(models={"m": (DescribeBackend, config)}) as server:
        abouts = at_once([lambda: describe(server, 2, 3)] * 8)
        assert {about["batch_rows"] for about in abouts} == {2}


def test_instances_run_side_by_side() -> None:
    with serve(BehaviourBackend, instance_group=[{"count": 4}], dynamic_batching={}) as server:
        begun = time.monotonic()
        at_once([lambda: sleep(server, 0.5)] * 4, pause=0.05)
        assert time.monotonic() - begun < 1.5


def test_a_full_queue_refuses_and_serves_what_it_has() -> None:
    policy = {"default_queue_policy": {"max_queue_size": 2}}
    with serve(BehaviourBackend, dynamic_batching=policy, max_batch_size=1) as server:
        outcomes = at_once([lambda: sleep(server, 0.3)] * 6, pause=0.02)
        refused = [each for each in outcomes if isinstance(each, despina.DespinaError)]
        assert len(refused) == 3
        for error in refused:
            assert error.code is despina.Code.UNAVAILABLE
            assert "Exceeds maximum queue size" in error.message
        assert all(isinstance(each, float) for each in outcomes[:3])
        (row,) = server.statistics("m")["model_stats"]
        assert row["inference_stats"]["success"]["count"] == 3
        assert row["inference_stats"]["fail"]["count"] == 3


def test_a_request_that_is_not_answered_in_time_is_given_up() -> None:
    with serve(BehaviourBackend) as server:
        one = {"X": np.zeros((1, 1), np.float32)}
        begun = time.monotonic()
        with pytest.raises(despina.DespinaError) as caught:
            server.infer("m", one, parameters={"behaviour": "sleep:1"}, timeout=0.1)
        assert caught.value.code is despina.Code.DEADLINE_EXCEEDED
        assert time.monotonic() - begun < 0.9


def test_models_come_and_go_under_traffic() -> None:
    """Every request is answered: by the model, or by the news that it is not there."""
    with serve(BehaviourBackend, instance_group=[{"count": 2}]) as server:
        stop = threading.Event()
        codes: set[despina.Code] = set()
        answered = 0

        def ask() -> int:
            count = 0
            one = {"X": np.ones((1, 10), np.float32)}
            while not stop.is_set():
                try:
                    assert np.all(server.infer("m", one)["Y"] == 2)
                    count += 1
                except despina.DespinaError as error:
                    codes.add(error.code)
            return count

        def change() -> None:
            for _ in range(20):
                server.unload("m")
                server.load("m")
            stop.set()

        answered = sum(filter(None, at_once([ask, ask, ask, change])))
        assert answered > 0
        assert codes <= {despina.Code.NOT_FOUND, despina.Code.UNAVAILABLE}
        assert server.ready
        (row,) = server.statistics("m")["model_stats"]
        assert row["inference_stats"]["fail"]["count"] == 0
