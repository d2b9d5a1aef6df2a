"""The dynamic batcher and the instances behind it, as requests of many clients see them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despina_fixtures.behaviour import BehaviourBackend
from despina_fixtures.tensors import DescribeBackend
from harness.pending import wait_pending
from harness.waiting import wait_until

import despina

DYNAMIC: dict[str, Any] = {"max_batch_size": 8, "dynamic_batching": {}}


def at_once(calls: Sequence[Callable[[], object]]) -> list[Any]:
    """What each call returned or raised."""
    outcomes: list[Any] = [None] * len(calls)

    def run(index: int) -> None:
        try:
            outcomes[index] = calls[index]()
        except despina.DespinaError as error:
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
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


def behave(server: despina.Server, behaviour: str, **options: Any) -> None:
    one = {"X": np.zeros((1, 1), np.float32)}
    server.infer("m", one, parameters={"behaviour": behaviour}, **options)


def test_requests_that_come_within_the_delay_are_one_batch() -> None:
    batching = {"max_queue_delay_microseconds": 20_000_000, "preferred_batch_size": [4]}
    with serve(DescribeBackend, dynamic_batching=batching) as server:
        begun = time.monotonic()
        abouts = at_once([lambda: describe(server, 1, 3)] * 4)
        assert time.monotonic() - begun < 10, "a preferred size does not wait"
        assert [about["batch_rows"] for about in abouts] == [4] * 4


def test_a_request_that_stays_alone_runs_after_the_delay() -> None:
    batching = {"max_queue_delay_microseconds": 500_000}
    with serve(DescribeBackend, dynamic_batching=batching) as server:
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


def test_instances_run_side_by_side(tmp_path: Path) -> None:
    with (
        ThreadPoolExecutor() as pool,
        serve(BehaviourBackend, instance_group=[{"count": 4}], max_batch_size=1) as server,
    ):
        held = [tmp_path / str(number) for number in range(4)]
        asked = [pool.submit(behave, server, f"hold:{file}") for file in held]
        for file in held:
            wait_until(file.exists)
        for file in held:
            file.unlink()
        for each in asked:
            each.result(20)


def test_a_full_queue_refuses_and_serves_what_it_has(tmp_path: Path) -> None:
    policy = {"default_queue_policy": {"max_queue_size": 2}}
    with (
        ThreadPoolExecutor() as pool,
        serve(BehaviourBackend, dynamic_batching=policy, max_batch_size=1) as server,
    ):
        held = tmp_path / "held"
        asked = [pool.submit(behave, server, f"hold:{held}")]
        wait_until(held.exists)
        asked += [pool.submit(behave, server, "double") for _ in range(2)]
        wait_pending(server, "m", 2)
        for _ in range(3):
            with pytest.raises(despina.DespinaError, match="Exceeds maximum queue size") as caught:
                behave(server, "double")
            assert caught.value.code is despina.Code.UNAVAILABLE
        held.unlink()
        for each in asked:
            each.result(20)
        (row,) = server.statistics("m")["model_stats"]
        assert row["inference_stats"]["success"]["count"] == 3
        assert row["inference_stats"]["fail"]["count"] == 3


def test_a_request_that_is_not_answered_in_time_is_given_up(tmp_path: Path) -> None:
    with serve(BehaviourBackend) as server:
        held = tmp_path / "held"
        with pytest.raises(despina.DespinaError) as caught:
            behave(server, f"hold:{held}", timeout=2)
        assert caught.value.code is despina.Code.DEADLINE_EXCEEDED
        wait_until(held.exists)  # what runs already is not interrupted
        held.unlink()


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
