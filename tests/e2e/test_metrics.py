"""/metrics in Prometheus' text format, and what it says compared with the statistics."""

from __future__ import annotations

import re
import time
from collections import defaultdict

import numpy as np
from harness.raw_http import Connection, json_infer, request
from harness.serve import Serve
from harness.tensors import infer

SAMPLE = re.compile(
    r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    r'(?:{(?P<labels>(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)})? (?P<value>\S+)$'
)
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"')
Samples = dict[frozenset[tuple[str, str]], float]


def parse(text: str) -> dict[str, Samples]:
    """Samples by family; demands what the format demands."""
    assert text.endswith("\n")
    families: dict[str, Samples] = defaultdict(dict)
    typed: dict[str, str] = {}
    helped: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in helped, f"{name} is explained twice"
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in typed, f"{name} is declared twice"
            assert name not in families, f"{name} is declared behind its samples"
            assert kind in ("counter", "gauge")
            typed[name] = kind
        else:
            sample = SAMPLE.match(line)
            assert sample, f"no sample: {line!r}"
            labels = frozenset(LABEL.findall(sample["labels"] or ""))
            assert labels not in families[sample["name"]], f"twice: {line}"
            assert list(families)[-1] == sample["name"], "samples of a family are not together"
            families[sample["name"]][labels] = float(sample["value"])
    assert set(families) == set(typed) == helped
    return families


def of(families: dict[str, Samples], name: str, model: str, **labels: str) -> float:
    wanted = {"model": model, "version": "1", **labels}
    return families[name][frozenset(wanted.items())]


def test_metrics_agree_with_the_statistics(server: Serve) -> None:
    with Connection(server.port) as connection:
        for rows in (1, 2, 3):
            infer(connection, "pair", X=np.ones((rows, 4), np.float32))
        for behaviour in ("raise", "fail_code:INTERNAL", "double"):
            tensor = {"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [1]}
            document = {"inputs": [tensor], "parameters": {"behaviour": behaviour}}
            connection.exchange(json_infer("behaviour", document))
    # An execution is counted at its end, which may come after its answers.
    deadline = time.monotonic() + 20
    while sum(row["execution_count"] for row in server.json("/v2/models/stats")["model_stats"]) < 6:
        assert time.monotonic() < deadline
    status, body = server.get("/metrics", metrics=True)
    assert status == 200
    families = parse(body.decode())
    for row in server.json("/v2/models/stats")["model_stats"]:
        name, stats = row["name"], row["inference_stats"]
        assert of(families, "nv_inference_count", name) == row["inference_count"]
        assert of(families, "nv_inference_exec_count", name) == row["execution_count"]
        success = of(families, "nv_inference_request_success", name)
        assert success == stats["success"]["count"]
        failures = sum(
            value
            for labels, value in families["nv_inference_request_failure"].items()
            if ("model", name) in labels
        )
        assert failures == stats["fail"]["count"]
        for metric, statistic in (
            ("request_duration_us", "success"),
            ("queue_duration_us", "queue"),
            ("compute_input_duration_us", "compute_input"),
            ("compute_infer_duration_us", "compute_infer"),
            ("compute_output_duration_us", "compute_output"),
        ):
            microseconds = of(families, f"nv_inference_{metric}", name)
            assert microseconds == stats[statistic]["ns"] // 1000
        assert of(families, "nv_inference_pending_request_count", name) == 0
    assert of(families, "nv_inference_count", "pair") == 6
    assert of(families, "nv_inference_exec_count", "pair") == 3
    assert of(families, "nv_inference_request_failure", "behaviour", reason="BACKEND") == 2
    assert of(families, "nv_inference_request_success", "behaviour") == 1


def test_the_metrics_port_answers_nothing_else(server: Serve) -> None:
    with Connection(server.metrics_port) as connection:
        answer = connection.exchange(request("/metrics", method="GET"))
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain")
        assert connection.exchange(request("/metrics/", method="GET")).status == 200
        for path in ("/", "/v2", "/v2/health/ready"):
            assert connection.exchange(request(path, method="GET")).status == 404
        assert connection.exchange(request("/metrics")).status == 405
    assert server.get("/metrics")[0] == 404
