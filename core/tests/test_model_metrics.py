"""What backends written in Python count, on the metrics page."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from despina import Backend, BackendError, Code, DespinaError, Server, TensorSpec
from despina.front_ends import metrics_options
from despina_sdk import Batch, Instance, LocalMetrics, Model, ModelSpec, Placement, Signature

X, Y = TensorSpec("X", "FP32", (1,)), TensorSpec("Y", "FP32", (1,))
SENT: list[Any] = []
"""What the models have made, for the tests to look at."""


class CountingInstance(Instance):
    def __init__(self, spec: ModelSpec) -> None:
        made = spec.metrics
        # Each instance asks for them, and all get the same.
        self.cups = made.counter("cups_total", "Cups that were filled", {"of": "tea"})
        self.heat = made.gauge("heat_celsius", "Of the last cup")
        self.sizes = made.histogram("cup_litres", "How large they were", [0.1, 0.5])
        SENT.append((spec, self.cups))

    def execute(self, batch: Batch) -> None:
        for request in batch.requests:
            self.cups.add()
            self.heat.set(80)
            self.heat.add(-15)
            self.sizes.observe(float(request.inputs["X"][0, 0]))
            request.complete({"Y": request.inputs["X"]})


class CountingModel(Model):
    signature = Signature((X,), (Y,), 8)

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    def instance(self, placement: Placement) -> Instance:
        return CountingInstance(self.spec)


class Counting(Backend):
    name = "counting"

    def load(self, spec: ModelSpec) -> Model:
        if "metric" in spec.parameters:
            spec.metrics.gauge(spec.parameters["metric"], "Not possible")
        return CountingModel(spec)


Page = Callable[[], list[str]]


@pytest.fixture
def server() -> Iterator[Server]:
    SENT.clear()
    groups = [{"count": 2, "kind": "KIND_CPU"}]
    with Server(models={"tea": (Counting, {"instance_group": groups})}) as server:
        yield server


@pytest.fixture
def page(server: Server) -> Page:
    """Gives the lines of the page that are about models' own metrics."""
    settings = replace(server._runtime.settings, grpc_port=0, metrics_port=0)
    metrics = server._runtime.engine.serve_metrics(metrics_options(settings))

    def read() -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return [line for line in lines if "nv_" not in line and "despina_" not in line]

    return read


def fill(server: Server, litres: float) -> None:
    server.infer("tea", {"X": np.full((1, 1), litres, np.float32)})


def test_the_page_shows_what_a_model_counts(server: Server, page: Page):
    for litres in (0.0625, 0.25, 2):
        fill(server, litres)
    assert page() == [
        "# HELP cup_litres How large they were",
        "# TYPE cup_litres histogram",
        'cup_litres_bucket{model="tea",version="1",le="0.1"} 1',
        'cup_litres_bucket{model="tea",version="1",le="0.5"} 2',
        'cup_litres_bucket{model="tea",version="1",le="+Inf"} 3',
        'cup_litres_count{model="tea",version="1"} 3',
        'cup_litres_sum{model="tea",version="1"} 2.3125',
        "# HELP cups_total Cups that were filled",
        "# TYPE cups_total counter",
        'cups_total{model="tea",of="tea",version="1"} 3',
        "# HELP heat_celsius Of the last cup",
        "# TYPE heat_celsius gauge",
        'heat_celsius{model="tea",version="1"} 65',
    ]


def test_metrics_leave_the_page_with_their_model(server: Server, page: Page):
    fill(server, 1)
    server.unload("tea")
    assert page() == []
    spec, cups = SENT[0]
    with pytest.raises(BackendError, match="the model of this metric has been unloaded"):
        cups.add()
    with pytest.raises(BackendError, match="its model has been unloaded"):
        spec.metrics.gauge("late", "Too late")


def test_a_metric_that_cannot_be_fails_the_load_and_leaves_nothing(server: Server, page: Page):
    before = page()
    config = {"parameters": {"metric": {"string_value": "nv_mine"}}}
    with pytest.raises(DespinaError, match="names with 'nv_' are the server's own"):
        Server(models={"bad": (Counting, config)})
    assert page() == before


def test_numbers_that_a_metric_does_not_take_are_refused(server: Server):
    spec, cups = SENT[0]
    with pytest.raises(ValueError, match="the metric cannot grow by -1"):
        cups.add(-1)
    with pytest.raises(ValueError, match="the metric cannot count nan"):
        spec.metrics.histogram("cup_litres", "How large they were", [0.1, 0.5]).observe(np.nan)


@pytest.mark.parametrize(
    ("name", "labels", "bounds"),
    [
        ("", {}, []),
        ("9lives", {}, []),
        ("a b", {}, []),
        ("nv_mine", {}, []),
        ("despina_mine", {}, []),
        ("sizes", {"le": "1"}, []),
        ("sizes", {"model": "m"}, []),
        ("sizes", {"__a": "b"}, []),
        ("sizes", {"a:b": "c"}, []),
        ("sizes", {}, [2, 1]),
        ("sizes", {}, [1, 1]),
        ("sizes", {}, [np.inf]),
        ("sizes", {}, [np.nan]),
        ("a:b_9", {"any": "\n"}, [-1, 0.5]),
    ],
)
def test_a_test_without_a_server_refuses_what_the_server_refuses(
    server: Server, name: str, labels: dict[str, str], bounds: list[float]
):
    outcomes: list[Code | None] = []
    for metrics in (SENT[0][0].metrics, LocalMetrics()):
        try:
            metrics.histogram(name, "Sizes", bounds, labels)
        except BackendError as error:
            outcomes.append(error.code)
        else:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]


def test_a_name_has_one_kind_help_and_bounds(server: Server):
    spec, _ = SENT[0]
    with pytest.raises(BackendError) as raised:
        spec.metrics.gauge("cups_total", "Cups that were filled")
    assert raised.value.code is Code.ALREADY_EXISTS
    with pytest.raises(BackendError) as raised:
        spec.metrics.histogram("cup_litres", "How large they were", [0.5, 0.1])
    assert raised.value.code is Code.INVALID_ARGUMENT
