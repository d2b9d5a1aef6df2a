"""Changes of models that are served: what is served meanwhile, and after a change that failed."""

from __future__ import annotations

import logging
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from despina import Backend, Code, DespinaError, ModelStatus, Server, TensorSpec
from despina.front_ends import metrics_options
from despina_sdk import Batch, Instance, Model, ModelSpec, Placement, Signature

ONES = np.ones((1, 4), np.float32)
EXPLICIT = {"model_control_mode": "explicit"}


def times(server: Server, model: str, name: str = "X", **options: Any) -> float:
    (output,) = server.infer(model, {name: ONES}, **options).values()
    return float(output[0, 0])


def rows(server: Server) -> dict[str, tuple[str, str]]:
    return {f"{row.name}/{row.version}": (row.state, row.reason) for row in server.models()}


class Gated(Backend):
    """Multiplies by the parameter ``factor``; loads and answers when the test lets it."""

    name = "gated"
    load_gate: threading.Event
    answer_gate: threading.Event
    loading: threading.Semaphore
    answering: threading.Semaphore
    closed: list[str]

    def load(self, spec: ModelSpec) -> Model:
        factor = spec.parameters["factor"]
        if factor != "1":
            self.loading.release()
            assert self.load_gate.wait(30)
        if factor == "bad":
            raise RuntimeError("no such number")
        return GatedModel(factor)


class GatedModel(Model):
    signature = Signature(
        (TensorSpec("X", "FP32", (4,)),), (TensorSpec("Y", "FP32", (4,)),), max_batch_size=8
    )

    def __init__(self, factor: str) -> None:
        self.factor = factor

    def instance(self, placement: Placement) -> Instance:
        return GatedInstance(float(self.factor))

    def close(self) -> None:
        Gated.closed.append(self.factor)


class GatedInstance(Instance):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def execute(self, batch: Batch) -> None:
        Gated.answering.release()
        assert Gated.answer_gate.wait(30)
        batch.scatter({"Y": batch.gather("X") * self.factor})


GATED = """
backend: "gated"
parameters {{ key: "factor" value {{ string_value: "{0}" }} }}
"""

TENSOR = "data_type: TYPE_FP32 dims: [ 4 ]"
MAPS = 'input_map { key: "X" value: "IN" } output_map { key: "Y" value: "OUT" }'


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def reload_failures(server: Server) -> dict[str, float]:
    return metric(server, "despina_model_reload_failures_total")


def metric(server: Server, name: str) -> dict[str, float]:
    """What the metrics page says, by model."""
    settings = replace(server._runtime.settings, grpc_port=0, metrics_port=0)
    metrics = server._runtime.engine.serve_metrics(metrics_options(settings))
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics") as answer:
        page = answer.read().decode()
    metrics.close()
    found = re.findall(rf'^{name}{{.*?model="(.*?)".*}} (.*)$', page, re.M)
    return {model: float(count) for model, count in found}


def ensemble_of(model: str) -> str:
    return f"""
    max_batch_size: 8
    input {{ name: "IN" {TENSOR} }}
    output {{ name: "OUT" {TENSOR} }}
    ensemble_scheduling {{ step {{ model_name: "{model}" {MAPS} }} }}
    """


@pytest.fixture
def gated(install_plugin, write_model, repository: Path) -> Iterator[Server]:
    """``m`` multiplies by 1, and ``e`` is an ensemble of it."""
    Gated.load_gate, Gated.answer_gate = threading.Event(), threading.Event()
    Gated.loading, Gated.answering = threading.Semaphore(0), threading.Semaphore(0)
    Gated.closed = []
    Gated.answer_gate.set()
    install_plugin("plugin-gated", "", backends={"gated": "Gated"})
    import plugin_gated  # type: ignore[import-not-found]

    plugin_gated.Gated = Gated
    write_model("m", GATED.format(1))
    write_model("e", ensemble_of("m"))
    with Server(repository, **EXPLICIT, load_model=("*",)) as server:
        yield server
        Gated.load_gate.set()
        Gated.answer_gate.set()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def test_what_served_serves_while_the_new_one_loads(gated: Server, write_model, pool):
    write_model("m", GATED.format(2))
    loading = pool.submit(gated.load, "m")
    assert Gated.loading.acquire(timeout=10)
    assert rows(gated) == {"m/1": ("READY", ""), "e/1": ("READY", "")}
    assert gated.ready
    assert (times(gated, "m"), times(gated, "e", "IN")) == (1, 1)
    Gated.load_gate.set()
    loading.result(10)
    assert (times(gated, "m"), times(gated, "e", "IN")) == (2, 2)
    assert rows(gated) == {"m/1": ("READY", ""), "e/1": ("READY", "")}


def test_requests_in_flight_finish_on_the_old_one(gated: Server, write_model, pool):
    Gated.answer_gate.clear()
    asked = [pool.submit(times, gated, "m"), pool.submit(times, gated, "e", "IN")]
    assert Gated.answering.acquire(timeout=10)
    wait_for(lambda: metric(gated, "nv_inference_pending_request_count")["m"] == 1)
    write_model("m", GATED.format(2))
    Gated.load_gate.set()
    gated.load("m")  # does not wait for them
    assert Gated.closed == []
    asked.append(pool.submit(times, gated, "m"))
    Gated.answer_gate.set()
    assert [each.result(10) for each in asked] == [1, 1, 2]
    gated.unload("m")
    # The old one is closed by another thread than the new one.
    assert sorted(Gated.closed) == ["1", "2"]


def test_a_change_that_fails_leaves_what_served_and_says_so(
    gated: Server, write_model, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.ERROR)
    Gated.load_gate.set()
    for _ in range(2):
        write_model("m", GATED.format("bad"))
        with pytest.raises(DespinaError, match="version 1: RuntimeError: no such number"):
            gated.load("m")
        assert rows(gated)["m/1"] == ("READY", "RuntimeError: no such number")
        assert (times(gated, "m"), times(gated, "e", "IN")) == (1, 1)
        assert gated.ready
    text = "model 'm' version 1: what served before goes on, the change failed: RuntimeError"
    assert caplog.text.count(text) == 2
    assert reload_failures(gated) == {"m": 2, "e": 0}
    write_model("m", GATED.format(1))
    gated.load("m")
    assert rows(gated)["m/1"] == ("READY", "")
    assert reload_failures(gated) == {"m": 2, "e": 0}


def test_a_change_that_cannot_even_be_read_leaves_what_served(gated: Server, write_model):
    write_model("m", "nonsense")
    with pytest.raises(DespinaError, match=r"config.pbtxt:1:1"):
        gated.load("m")
    state, reason = rows(gated)["m/1"]
    assert state == "READY"
    assert "has no field 'nonsense'" in reason
    assert times(gated, "e", "IN") == 1
    assert reload_failures(gated) == {"m": 1, "e": 0}
    write_model("m", GATED.format(1))
    gated.load("m")
    assert rows(gated)["m/1"] == ("READY", "")
    assert reload_failures(gated) == {"m": 1, "e": 0}


def test_what_fails_while_nothing_serves_is_no_failed_change(gated: Server, write_model):
    Gated.load_gate.set()
    gated.unload("m")
    assert reload_failures(gated) == {"e": 0}
    for config in (GATED.format("bad"), "nonsense"):
        write_model("m", config)
        with pytest.raises(DespinaError):
            gated.load("m")
    write_model("m", GATED.format(1))
    gated.load("m")
    assert reload_failures(gated) == {"m": 0, "e": 0}


def test_a_change_that_comes_while_another_loads_is_what_is_served_in_the_end(
    gated: Server, write_model, pool
):
    futures = []
    for factor in (2, 3):
        write_model("m", GATED.format(factor))
        futures.append(pool.submit(gated.load, "m"))
        if factor == 2:
            assert Gated.loading.acquire(timeout=10)
    Gated.load_gate.set()
    for future in futures:
        future.result(10)
    assert times(gated, "m") == 3


def test_a_model_that_is_unloaded_while_it_loads_never_serves(gated: Server, write_model, pool):
    gated.unload("m")
    write_model("m", GATED.format(2))
    loading = pool.submit(gated.load, "m")
    assert Gated.loading.acquire(timeout=10)
    unloading = pool.submit(gated.unload, "m")
    wait_for(lambda: gated._runtime.manager._models["m"].want is None)
    Gated.load_gate.set()
    unloading.result(10)
    loading.result(10)
    assert rows(gated)["m/1"] == ("UNAVAILABLE", "unloaded")
    assert Gated.closed == ["1", "2"]


def test_loads_and_unloads_of_many_threads_end_as_the_last_one_says(gated: Server, pool):
    Gated.load_gate.set()

    def churn(number: int) -> None:
        for _ in range(10):
            (gated.load if number % 2 else gated.unload)(["m", "e"][number % 3 % 2])

    for future in [pool.submit(churn, number) for number in range(6)]:
        future.result(60)
    gated.load("e")
    assert rows(gated) == {"m/1": ("READY", ""), "e/1": ("READY", "")}
    assert times(gated, "e", "IN") == 1
    gated.unload("m")
    assert len(gated._runtime.engine.statistics()["model_stats"]) == 0


def test_a_version_that_is_added_leaves_the_others_alone(write_scale, repository: Path):
    policy = 'backend: "scale" version_policy { all { } }'
    write_scale("m", 1, policy, "1")
    with Server(repository) as server:
        times(server, "m")
        write_scale("m", 2, policy, "2")
        server.load("m")
        assert (times(server, "m"), times(server, "m", version=1)) == (2, 1)
        assert server.statistics("m", 1)["model_stats"][0]["inference_count"] == 2
        write_scale("m", 2, 'backend: "scale" version_policy { specific { versions: [ 1 ] } }', "2")
        server.load("m")
        assert times(server, "m") == 1
        assert server.statistics("m", 1)["model_stats"][0]["inference_count"] == 3


def test_readiness_stays_while_a_new_version_comes_and_an_old_one_goes(
    gated: Server, write_model, pool
):
    Gated.answer_gate.clear()
    asked = pool.submit(times, gated, "m")
    assert Gated.answering.acquire(timeout=10)
    write_model("m", GATED.format(2), ("2",))
    loading = pool.submit(gated.load, "m")
    assert Gated.loading.acquire(timeout=10)
    wait_for(lambda: rows(gated).get("m/2") == ("LOADING", ""))
    assert rows(gated)["m/1"] == ("READY", "")
    assert gated.ready
    Gated.load_gate.set()
    loading.result(10)
    assert rows(gated)["m/1"] == ("UNLOADING", "")
    assert gated.ready
    Gated.answer_gate.set()
    assert asked.result(10) == 1


def test_readiness_waits_for_a_model_that_is_loaded_for_the_first_time(
    gated: Server, write_model, pool
):
    write_model("new", GATED.format(2))
    loading = pool.submit(gated.load, "new")
    wait_for(lambda: rows(gated).get("new/1") == ("LOADING", ""))
    assert not gated.ready
    Gated.load_gate.set()
    loading.result(10)
    assert gated.ready


def test_a_version_that_fails_makes_the_server_not_ready(write_scale, repository: Path):
    write_scale("m", 1)
    with Server(repository) as server:
        write_scale("m", None, version="2")
        with pytest.raises(DespinaError, match="version 2: there is no factor"):
            server.load("m")
        assert times(server, "m") == 1
        assert not server.ready


@pytest.mark.parametrize("name", ["nope", "..", "", "no/pe"])
def test_a_load_of_what_is_not_there_changes_nothing(pipeline: Path, name: str):
    with Server(pipeline) as server:
        before = server.models()
        with pytest.raises(DespinaError) as raised:
            server.load(name)
        assert raised.value.code is Code.NOT_FOUND
        assert server.models() == before
        assert server.ready


class Unsure(Backend):
    """Fails the first times."""

    name = "unsure"
    failures = 0

    def load(self, spec: ModelSpec) -> Model:
        Unsure.failures -= 1
        if Unsure.failures >= 0:
            raise RuntimeError(f"not yet, {Unsure.failures} to come")
        return GatedModel("1")


@pytest.mark.parametrize(("retries", "served"), [(0, False), (1, False), (2, True), (5, True)])
def test_a_load_that_fails_is_tried_again(retries: int, served: bool):
    Unsure.failures = 2
    options = {"exit_on_error": False, "model_load_retry_count": retries}
    Gated.closed = []
    with Server(models={"m": Unsure}, **options) as server:
        assert server.ready == served
        if not served:
            why = f"RuntimeError: not yet, {1 - retries} to come"
            assert server.models() == [ModelStatus("m", 1, "UNAVAILABLE", why)]


def test_rows_of_old_versions_do_not_pile_up(write_scale, repository: Path):
    with Server(repository, **EXPLICIT) as server:
        for version in range(1, 31):
            write_scale("m", version, version=str(version))
            server.load("m")
        server.unload("m")
        assert len(server.models()) < 20
        assert server.models()[-1].version == 30


def test_a_configuration_of_a_name_comes_first(write_scale, repository: Path):
    folder = write_scale("m", 2)
    write_scale("n", 3)
    (folder / "configs").mkdir()
    (folder / "configs" / "few.pbtxt").write_text('backend: "scale" max_batch_size: 2')
    with Server(repository, model_config_name="few") as server:
        for model, rows_at_most in (("m", 2), ("n", 8)):
            with pytest.raises(DespinaError, match=f"batch-size must be <= {rows_at_most} "):
                server.infer(model, {"X": np.ones((9, 4), np.float32)})
        (folder / "configs" / "few.pbtxt").unlink()
        server.load("m")
        assert server.infer("m", {"X": np.ones((8, 4), np.float32)})["Y"][0, 0] == 2
