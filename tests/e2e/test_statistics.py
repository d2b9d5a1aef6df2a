"""What adds up in statistics and metrics, whatever the traffic was."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.raw_http import Connection, json_infer
from harness.repository import add_model, ensemble, fixture, step, tensor
from harness.serve import Serve

SEED = 20
REQUESTS, CLIENTS = 400, 6
MODELS = ("one", "many", "around")
FLAGS = (
    "--metrics-config=summary_latencies=true",
    "--metrics-config=histogram_latencies=true",
    "--metrics-config=summary_quantiles=0.5:0.05,0.999",
)
TAG = 'metric_tags { key: "team" value: "vision" }\n'


def repository(folder: Path) -> Path:
    """A model without batches, one with several instances, and an ensemble of it."""
    add_model(folder, "one", fixture("behaviour", max_batch_size=0, extra=TAG))
    group = "instance_group [ { count: 2 kind: KIND_CPU } ]\n"
    queue = "dynamic_batching { default_queue_policy { max_queue_size: 3 } }\n"
    config = fixture("behaviour", extra=group).replace("dynamic_batching { }\n", queue)
    add_model(folder, "many", config)
    tensors = [tensor("X", "FP32", [-1])], [tensor("Y", "FP32", [-1])]
    add_model(folder, "around", ensemble(*tensors, [step("many", {"X": "X"}, {"Y": "Y"})]))
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("statistics")
    with Serve(repository(folder / "models"), folder, *FLAGS) as running:
        yield running
        assert running.stop() == 0, running.stderr


class Traffic:
    """Random requests of several clients, and what became of them."""

    def __init__(self, server: Serve) -> None:
        self.server, self.sent, self.rows = server, Counter[str](), Counter[str]()
        self._lock = threading.Lock()

    def run(self) -> None:
        clients = [
            threading.Thread(target=self._client, args=(random.Random(SEED + n),))
            for n in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

    def _client(self, chance: random.Random) -> None:
        for _ in range(REQUESTS // CLIENTS):
            model = chance.choice(MODELS)
            rows = 1 if model == "one" else chance.randint(1, 8)
            # All requests of a batch fail with the one that raises.
            behaviour = chance.choice(["double", "double", "sleep:0.002", "raise", "refused"])
            with Connection(self.server.port) as connection:
                connection.send(_request(model, rows, behaviour))
                gone = chance.random() < 0.2
                status = 0 if gone else connection.read().status
            if behaviour == "refused":  # and so never submitted
                assert status in (0, 400)
                continue
            with self._lock:
                self.sent[model] += 1
                self.rows[model] += rows if status == 200 else 0


def _request(model: str, rows: int, behaviour: str) -> bytes:
    name = "Z" if behaviour == "refused" else "X"
    x = {"name": name, "datatype": "FP32", "shape": [rows, 1], "data": [1] * rows}
    if model == "one":
        x["shape"] = [1]
    return json_infer(model, {"inputs": [x], "parameters": {"behaviour": behaviour}})


def settled(server: Serve) -> dict[str, dict[str, Any]]:
    """The statistics once every request that arrived is answered and counted."""
    deadline, before = time.monotonic() + 30, None
    while True:
        rows = {row["name"]: row for row in server.json("/v2/models/stats")["model_stats"]}
        if rows == before:
            return rows
        before = rows
        assert time.monotonic() < deadline, rows
        time.sleep(0.3)


def value(page: str, name: str, model: str, **labels: str) -> float:
    found = []
    for text, number in re.findall(rf"^{name}{{(.*)}} (\S+)$", page, re.MULTILINE):
        wanted = {"model": model, **labels}
        if all(f'{key}="{each}"' in text for key, each in wanted.items()):
            found.append(float(number))
    return sum(found)


def test_each_request_and_each_row_is_counted_once(server: Serve) -> None:
    traffic = Traffic(server)
    traffic.run()
    rows = settled(server)
    page = server.get("/metrics", metrics=True)[1].decode()
    for model in MODELS:
        row = rows[model]
        stats = row["inference_stats"]
        success = value(page, "nv_inference_request_success", model)
        failures = value(page, "nv_inference_request_failure", model)
        cancelled = value(page, "nv_inference_request_failure", model, reason="CANCELED")
        assert success == stats["success"]["count"] == stats["queue"]["count"]
        assert failures == stats["fail"]["count"]
        assert cancelled <= failures
        # Also of those whose clients went away: they had sent all of it.
        submitted = success + failures
        if model == "many":  # the ensemble has sent some to it as well
            assert traffic.sent["many"] <= submitted
            assert submitted <= traffic.sent["many"] + traffic.sent["around"]
        else:
            assert submitted == traffic.sent[model]
        assert row["inference_count"] >= traffic.rows[model]
        batches = {
            each["batch_size"]: each["compute_infer"]["count"] for each in row["batch_stats"]
        }
        ran = sum(size * count for size, count in batches.items())
        # A batch is answered as a whole here, except for those of it that were cancelled.
        assert ran >= row["inference_count"]
        assert sum(batches.values()) <= row["execution_count"]
        if model == "one":
            assert ran == row["inference_count"] == success
        for part in ("request", "queue", "compute_input", "compute_infer", "compute_output"):
            assert value(page, f"nv_inference_{part}_summary_us_count", model) == success
            duration = value(page, f"nv_inference_{part}_duration_us", model)
            assert value(page, f"nv_inference_{part}_summary_us_sum", model) == duration
    assert sum(rows[model]["inference_stats"]["success"]["count"] for model in MODELS) > 50
    assert sum(rows[model]["inference_stats"]["fail"]["count"] for model in MODELS) > 20


def test_all_that_is_asked_for_is_on_the_page(server: Serve) -> None:
    page = server.get("/metrics", metrics=True)[1].decode()
    assert 'nv_inference_count{_team="vision",model="one",version="1"}' in page
    assert 'nv_inference_count{model="many",version="1"}' in page
    for quantile in ("0.5", "0.999"):
        name = (
            f'nv_inference_request_summary_us{{model="around",version="1",quantile="{quantile}"}}'
        )
        assert name in page
    assert 'quantile="0.9"' not in page
    assert value(page, "nv_model_load_duration_secs", "many") > 0
    for name in ("nv_cpu_memory_used_bytes", "nv_pinned_memory_pool_total_bytes"):
        assert re.search(rf"^{name} [1-9]\d+$", page, re.MULTILINE)
    (load,) = re.findall(r"^nv_cpu_utilization (\S+)$", page, re.MULTILINE)
    assert 0 <= float(load) <= 1
    assert "# TYPE nv_inference_first_response_histogram_ms" not in page
    assert "nv_cache" not in page


def test_what_is_not_wanted_is_not_on_the_page(tmp_path: Path) -> None:
    flags = ("--allow-cpu-metrics=false", "--metrics-config=counter_latencies=false")
    with Serve(repository(tmp_path / "models"), tmp_path, *flags) as running:
        page = running.get("/metrics", metrics=True)[1].decode()
    assert "nv_inference_request_success" in page
    for name in ("nv_cpu", "_duration_us", "summary", "histogram"):
        assert name not in page


def test_an_unknown_key_ends_the_start(tmp_path: Path) -> None:
    folder = repository(tmp_path / "models")
    with Serve(folder, tmp_path, "--metrics-config=summaries=true", wait=False) as running:
        assert running.wait() == 1
        assert "--metrics-config: there is no key 'summaries'" in running.stderr
