"""The file of traces beside the real Triton's, of the same traffic."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from harness.raw_http import Connection, json_infer
from harness.repository import add_model, ensemble, step, tensor
from harness.serve import Serve
from harness.triton import IDENTITY, running_triton, triton_environment

FLAGS = [f"--trace-config={each}" for each in ("rate=1", "level=TIMESTAMPS", "level=TENSORS")]
TENSORS = """max_batch_size: 8
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
dynamic_batching { }
"""

Trace = dict[str, Any]


def repository(folder: Path, backend: str, model_py: bytes | None) -> Path:
    files = {"1/model.py": model_py} if model_py else None
    add_model(folder, "one", f'backend: "{backend}"\n{TENSORS}', files)
    steps = [
        step("one", {"INPUT0": "IN"}, {"OUTPUT0": "between"}),
        step("one", {"INPUT0": "between"}, {"OUTPUT0": "OUT"}),
    ]
    tensors = [tensor("IN", "FP32", [-1])], [tensor("OUT", "FP32", [-1])]
    add_model(folder, "twice", ensemble(*tensors, steps))
    return folder


def drive(port: int) -> None:
    with Connection(port) as connection:
        for model, name, data in (("one", "INPUT0", [1, 2.5, -3]), ("twice", "IN", [4])):
            x = {"name": name, "datatype": "FP32", "shape": [1, len(data)], "data": data}
            document = {"id": f"of {model}", "inputs": [x]}
            assert connection.exchange(json_infer(model, document)).status == 200


def read(file: Path) -> list[Trace]:
    """What is said of each request and step, with the parent by its model's name."""
    traces: dict[int, Trace] = {}
    for entry in json.loads(file.read_text()):
        trace = traces.setdefault(entry["id"], {"stamps": Counter(), "tensors": []})
        keys = {frozenset(entry)} - {
            frozenset({"id", "timestamps"}),
            frozenset({"id", "activity", "tensor"}),
        }
        for each in keys:
            trace["keys"] = sorted(each)
            trace.update(entry)
            trace.pop("timestamps", None)
            trace.pop("tensor", None)
        for stamp in entry.get("timestamps", []):
            assert isinstance(stamp["ns"], int)
            trace["stamps"][stamp["name"]] += 1
        if "tensor" in entry:
            trace["tensors"].append((entry["activity"], entry["tensor"]))
    for trace in traces.values():
        if parent := trace.pop("parent_id", 0):
            trace["parent"] = traces[parent]["model_name"]
        del trace["id"]
    return sorted(traces.values(), key=lambda each: (each["request_id"], each.get("parent", "")))


@pytest.mark.timeout(300)
def test_both_files_say_the_same_of_the_same_traffic(tmp_path: Path) -> None:
    triton_environment()
    right, found = tmp_path / "right.json", tmp_path / "found.json"
    models = repository(tmp_path / "theirs" / "models", "python", IDENTITY.encode())
    trace_file = f"--trace-config=triton,file={right}"
    with running_triton(models, tmp_path / "theirs", *FLAGS, trace_file) as triton:
        drive(triton.port)
        triton.stop()
    models = repository(tmp_path / "ours" / "models", "identity_python", None)
    with Serve(models, tmp_path / "ours", *FLAGS, f"--trace-config=triton,file={found}") as server:
        drive(server.port)
        assert server.stop() == 0
    assert read(found) == read(right)
