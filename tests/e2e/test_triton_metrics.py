"""The page of the metrics beside the real Triton's, after the same traffic."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.raw_http import Connection, json_infer
from harness.repository import add_model, ensemble, step, tensor
from harness.serve import Serve
from harness.triton import IDENTITY, Triton, running_triton, triton_environment

SUMMARIES = ("--metrics-config=summary_latencies=true",)
SAMPLE = re.compile(r"^(\w+)(?:{(.*)})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\\n]|\\[\\"n])*)"')

TENSORS = """max_batch_size: 8
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
dynamic_batching { }
"""
TAGS = 'metric_tags { key: "team" value: "a\\"b\\\\c" }\nmetric_tags { key: "cost" value: "7" }\n'

OURS_ALONE = {
    "despina_model_reload_failures_total",
    "despina_pool_bytes",
    "nv_model_load_duration_secs",
}
"""The last is in later Tritons than the one that there is to compare with."""

Sample = tuple[str, frozenset[tuple[str, str]]]


class Page:
    """Types of families, and values of samples by name and labels."""

    def __init__(self, text: str) -> None:
        self.types: dict[str, str] = {}
        self.helped: set[str] = set()
        self.values: dict[Sample, float] = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.types[name] = kind
            elif line.startswith("# HELP "):
                self.helped.add(line.split(" ", 3)[2])
            else:
                found = SAMPLE.match(line)
                assert found, line
                labels = frozenset(LABEL.findall(found[2] or ""))
                self.values[found[1], labels] = float(found[3])

    def samples(self) -> set[Sample]:
        """Names and labels, without what only one of the servers has."""
        return {each for each in self.values if each[0] not in OURS_ALONE}


def repository(folder: Path, backend: str, model_py: bytes | None) -> Path:
    """An identity with tags, one without, and an ensemble of both."""
    files = {"1/model.py": model_py} if model_py else None
    head = f'backend: "{backend}"\n{TENSORS}'
    add_model(folder, "tagged", head + TAGS, files)
    add_model(folder, "plain", head, files)
    steps = [
        step("tagged", {"INPUT0": "IN"}, {"OUTPUT0": "between"}),
        step("plain", {"INPUT0": "between"}, {"OUTPUT0": "OUT"}),
    ]
    tensors = [tensor("IN", "FP32", [-1])], [tensor("OUT", "FP32", [-1])]
    add_model(folder, "both", ensemble(*tensors, steps))
    return folder


def send(port: int, model: str, name: str, shape: list[int], elements: int | None = None) -> int:
    """One request of ones; the status of its answer."""
    count = shape[0] * shape[1] if elements is None else elements
    document = {"inputs": [{"name": name, "datatype": "FP32", "shape": shape, "data": [1] * count}]}
    with Connection(port) as connection:
        return connection.exchange(json_infer(model, document)).status


def drive(port: int) -> None:
    """The traffic: requests that succeed, with one row and more, and some that never get far."""
    for rows in (1, 2, 2):
        assert send(port, "tagged", "INPUT0", [rows, 3]) == 200
        assert send(port, "both", "IN", [rows, 2]) == 200
    assert send(port, "plain", "INPUT0", [9, 1]) == 400
    assert send(port, "plain", "NOPE", [1, 1]) == 400
    assert send(port, "missing", "INPUT0", [1, 1]) == 404


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    triton_environment()
    folder = tmp_path_factory.mktemp("triton")
    models = repository(folder / "models", "python", IDENTITY.encode())
    with running_triton(models, folder, *SUMMARIES) as server:
        drive(server.port)
        yield server


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("despina")
    models = repository(folder / "models", "identity_python", None)
    with Serve(models, folder, *SUMMARIES) as server:
        drive(server.port)
        for model in ("tagged", "plain", "both"):
            server.wait_idle(model)
        yield server


def page(server: Serve | Triton) -> Page:
    status, body = server.get("/metrics", metrics=True)
    assert status == 200
    return Page(body.decode())


def test_families_have_the_same_names_and_types(theirs: Triton, ours: Serve) -> None:
    right, found = page(theirs), page(ours)
    kept = {name: kind for name, kind in found.types.items() if name not in OURS_ALONE}
    assert kept == right.types
    assert found.helped >= right.helped


def test_samples_have_the_same_names_and_labels(theirs: Triton, ours: Serve) -> None:
    assert page(ours).samples() == page(theirs).samples()


def test_counts_of_the_same_traffic_are_the_same(theirs: Triton, ours: Serve) -> None:
    def counts(found: Page) -> dict[Sample, float]:
        names = ("_success", "_failure", "_count", "_request_count")
        return {key: n for key, n in found.values.items() if key[0].endswith(names)}

    assert counts(page(ours)) == counts(page(theirs))


def test_sums_of_times_are_of_the_same_requests(theirs: Triton, ours: Serve) -> None:
    """Where one server spent time, the other did: none of the sums is of another unit."""
    by_name: dict[str, list[float]] = defaultdict(list)
    for found in (page(theirs), page(ours)):
        for name in ("request", "compute_infer"):
            key = (
                f"nv_inference_{name}_duration_us",
                frozenset({("model", "plain"), ("version", "1")}),
            )
            by_name[name].append(found.values[key])
    for name, (right, here) in by_name.items():
        assert 0 < here < 100 * right, name
