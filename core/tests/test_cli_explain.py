"""``despina explain``: what it says of batches, steps, shapes and copies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from despina.cli import main

TENSORS = """
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
input { name: "long" data_type: TYPE_STRING dims: 1 }
output { name: "y" data_type: TYPE_INT64 dims: [ -1, 2 ] }
"""


def explain(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["explain", *map(str, arguments)])


def explained(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(explain("--json", *arguments).stdout)
    return found


@pytest.fixture
def diamond(write_model, repository: Path) -> Path:
    """An ensemble whose steps are listed backwards: the last needs two that need the first."""
    for name, batching in (("a", ""), ("b", "dynamic_batching { }"), ("c", "max_batch_size: 0")):
        size = "" if "max_batch_size" in batching else "max_batch_size: 8"
        write_model(
            name,
            f"""backend: "identity" {size} {batching}
            input {{ name: "x" data_type: TYPE_FP32 dims: [ -1 ] }}
            output {{ name: "y" data_type: TYPE_FP32 dims: [ -1 ] }}""",
        )
    write_model("d", 'backend: "identity" max_batch_size: 8 instance_group { count: 3 }')

    def step(model: str, inputs: dict[str, str], output: str) -> str:
        maps = " ".join(f'input_map {{ key: "{k}" value: "{v}" }}' for k, v in inputs.items())
        return f'{{ model_name: "{model}" {maps} output_map {{ key: "y" value: "{output}" }} }}'

    steps = (
        step("d", {"x": "left", "w": "right"}, "OUT"),
        step("c", {"x": "middle"}, "right"),
        step("b", {"x": "middle"}, "left"),
        step("a", {"x": "IN"}, "middle"),
    )
    write_model(
        "diamond",
        f"""max_batch_size: 8
        input {{ name: "IN" data_type: TYPE_FP32 dims: [ 4 ] }}
        output {{ name: "OUT" data_type: TYPE_FP32 dims: [ 4 ] }}
        ensemble_scheduling {{ max_inflight_requests: 5 step [ {", ".join(steps)} ] }}""",
    )
    return repository


def test_a_model_that_batches(write_model, repository: Path):
    folder = write_model(
        "m",
        f"""backend: "identity" max_batch_size: 8 {TENSORS}
        dynamic_batching {{
          preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 500 preserve_ordering: true
          default_queue_policy {{ max_queue_size: 16 }}
        }}
        instance_group [ {{ count: 2 }}, {{ gpus: [ 0, 1 ] }} ]""",
        versions=("1", "3"),
    )
    assert explain(folder).stdout.splitlines() == [
        f"m: model of backend 'identity', version 3, in {folder}",
        "  takes     x     FP32   [-1, 4]",
        "  takes     long  BYTES  [-1, 1]",
        "  gives     y  INT64  [-1, -1, 2]",
        "  batches   up to 8 rows (max_batch_size), of requests in their order, of equal shapes",
        "            for 4 or 8 rows (preferred_batch_size) an idle instance waits up to 500 µs"
        " (max_queue_delay_microseconds)",
        "  queue     up to 16 requests (max_queue_size), more are answered UNAVAILABLE",
        "  order     answers leave in the order of their requests (preserve_ordering)",
        "  instances 2 on cpu, 1 on cuda:0, 1 on cuda:1 (instance_group)",
        "  copies    x, long: into one buffer if a batch has several requests",
        "            outputs: none, each request gets a slice of the batch's",
    ]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ("", "batches   none: max_batch_size is 0, each request runs alone"),
        (
            "max_batch_size: 4",
            "batches   none: each request, of up to 4 rows, runs alone (no dynamic_batching)",
        ),
        ("dynamic_batching { }", "batches   none: max_batch_size is 0, each request runs alone"),
        ("", "queue     as many requests as the server allows (max_queue_size is 0)"),
        ("", "copies    none"),
        ("max_batch_size: 4 dynamic_batching { }", "an idle instance takes what waits at once"),
    ],
)
def test_what_decides_whether_a_model_batches(write_model, fields: str, line: str):
    folder = write_model("m", f'backend: "identity" {TENSORS} {fields}')
    assert line in explain(folder).stdout


def test_the_steps_of_an_ensemble_stand_in_the_order_in_which_they_can_run(diamond: Path):
    lines = explain(diamond, "diamond").stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        f"diamond: ensemble, version 1, in {diamond}/diamond",
        "step 3: a",
        "step 1: c, after step 3",
        "step 2: b, after step 3",
        "step 0: d, after steps 1 and 2",
        "note: model 'd': inputs and outputs are not all given: the backend has to fill them in",
    ]


def test_an_ensemble_says_where_its_tensors_go(diamond: Path):
    text = explain(diamond, "diamond").stdout
    assert "gives     OUT  FP32   [-1, 4], from step 0" in text
    assert "requests  up to 8 rows (max_batch_size); the models of the steps form batches" in text
    assert "5 at a time at most (max_inflight_requests)" in text
    assert "copies    none between steps: tensors are passed on" in text
    last = text[text.index("step 0: d") :]
    assert "takes     w <- right  ?      of a shape that the backend knows, from step 1" in last
    assert "instances 3 on cpu" in last


def test_the_graph_for_machines(diamond: Path):
    found = explained(diamond, "diamond")
    assert found["batches"] is None
    assert [step["index"] for step in found["steps"]] == [3, 1, 2, 0]
    first, *_, last = found["steps"]
    assert first["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [-1, -1], "tensor": "IN", "comes_from": "input"}
    ]
    assert last["after"] == [1, 2]
    assert last["batches"]["instances"] == {"cpu": 3}
    (gathering,) = [step for step in found["steps"] if step["batches"]["gathered"]]
    assert (gathering["model"], gathering["batches"]["gathered"]) == ("b", ["x"])


def test_an_ensemble_in_an_ensemble_is_explained_for_itself(write_model, diamond: Path):
    write_model(
        "outer",
        """max_batch_size: 8
        input { name: "IN" data_type: TYPE_FP32 dims: [ 4 ] }
        output { name: "OUT" data_type: TYPE_FP32 dims: [ 4 ] }
        ensemble_scheduling { step { model_name: "diamond"
          input_map { key: "IN" value: "IN" } output_map { key: "OUT" value: "OUT" } } }""",
    )
    assert "an ensemble of its own: despina explain ... diamond" in explain(diamond, "outer").stdout


def test_the_only_model_of_a_repository_needs_no_name(write_model, repository: Path):
    write_model("m", f'backend: "identity" {TENSORS}')
    assert explained(repository) == explained(repository / "m")
    assert explained(repository / "m" / "config.pbtxt") == explained(repository, "m")


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("none",), 2, "does not exist"),
        (("empty",), 1, "error: there is no model in '"),
        ((".",), 1, "has several models; name one of 'a', 'b', 'c', 'd', 'diamond'"),
        ((".", "dimond"), 1, "error: there is no model 'dimond'; did you mean 'diamond'?"),
        (("a", "b"), 1, "is a model; 'b' can only be looked for in a repository"),
        (("file",), 1, "is neither the folder of a model nor a repository"),
    ],
)
def test_what_cannot_be_explained_is_an_error(
    diamond: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, error: str
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    path, *names = arguments
    folder = tmp_path if path in ("empty", "file") else diamond
    result = explain(folder / path, *names)
    assert error in result.stderr
    assert result.exit_code == status


def test_the_configuration_of_a_name_is_explained(write_model, repository: Path):
    folder = write_model("m", 'backend: "identity" max_batch_size: 1')
    (folder / "configs").mkdir()
    (folder / "configs" / "large.pbtxt").write_text('backend: "identity" max_batch_size: 32')
    for path, sizes in ((folder, {"large": 32, "absent": 1}), (repository, {"large": 32})):
        for name, size in sizes.items():
            assert explained(f"--model-config-name={name}", path)["max_batch_size"] == size


def test_a_model_with_problems_is_not_explained(write_model, diamond: Path):
    write_model("b", "max_batch_size: -1")
    result = explain(diamond, "diamond")
    assert f"{diamond}/b/config.pbtxt:1:1: max_batch_size: -1 is not between" in result.stderr
    assert result.stderr.endswith("error: a configuration with problems is not explained\n")
    assert result.exit_code == 1
