"""The requests of ``despina bench``: which loads, which inputs, which bytes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from despina import DespinaError
from despina.bench.inputs import make_inputs
from despina.bench.measure import stages_between
from despina.bench.model import Description, Input, describe
from despina.bench.sweep import Step, steps
from despina.bench.wire import generate_body, http_request, infer_body

IMAGE = Input("IMAGE", "FP32", (-1, 3, -1, -1))
BATCHING = Description("m", (IMAGE,), max_batch_size=4)
PLAIN = Description("m", (Input("X", "INT32", (2, -1)), Input("OPTIONAL", "FP32", (1,), True)))


def test_sweeps_are_lists_and_ranges():
    assert steps(None, None) == [Step(1)]
    assert steps("1,8,64", None) == [Step(1), Step(8), Step(64)]
    assert [each.concurrency for each in steps("1:64:2x", None)] == [1, 2, 4, 8, 16, 32, 64]
    assert [each.concurrency for each in steps("10:50:20,99", None)] == [10, 30, 50, 99]
    assert steps(None, "0.5,100") == [Step(256, 0.5), Step(256, 100.0)]
    assert steps("32", "100:400:2x") == [Step(32, 100.0), Step(32, 200.0), Step(32, 400.0)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "x",
        "1,",
        "1.5",
        "1:8",
        "8:1:1",
        "1:8:1x",
        "1:8:0",
        "1:8:-1",
        "1:8:2:2",
        "1e9",
    ],
)
def test_what_is_no_sweep_is_refused(text: str):
    with pytest.raises(DespinaError, match=f"^--concurrency={re.escape(text)}: not of the form 8"):
        steps(text, None)


def test_sweeps_have_an_end():
    with pytest.raises(DespinaError, match="more than 100 loads"):
        steps("1:100000:1", None)
    for text in ("nan", "inf", "0"):
        with pytest.raises(DespinaError, match="^--rate="):
            steps(None, text)
    with pytest.raises(DespinaError, match="beside --rate it is one number"):
        steps("1,2", "5")


@pytest.mark.parametrize("said", [(3, 8, 9), (2, 3, 8, 9)])
def test_shapes_are_said_with_or_without_the_batch_axis(said: tuple[int, ...]):
    made = make_inputs(BATCHING, {"IMAGE": said}, {}, batch=2)
    assert made["IMAGE"].shape == (2, 3, 8, 9)
    assert made["IMAGE"].dtype == np.float32


def test_inputs_are_the_same_each_time_and_optional_ones_are_left_out():
    first, second = (make_inputs(PLAIN, {"X": (2, 50)}, {}, batch=1) for _ in range(2))
    assert list(first) == ["X"]
    np.testing.assert_array_equal(first["X"], second["X"])
    assert set(np.unique(first["X"])) <= set(range(10))
    made = make_inputs(PLAIN, {"X": (2, 0), "OPTIONAL": (1,)}, {}, batch=1)
    assert made["X"].shape == (2, 0)
    assert made["OPTIONAL"].shape == (1,)


@pytest.mark.parametrize(
    "datatype", ["BOOL", "UINT8", "INT64", "FP16", "FP32", "FP64", "BF16", "BYTES"]
)
def test_every_datatype_can_be_made_up(datatype: str):
    model = Description("m", (Input("X", datatype, (3, 2)),))
    array = make_inputs(model, {}, {}, batch=1)["X"]
    body, json_size = infer_body(model, {"X": array}, binary=True, binary_answer=True)
    head = json.loads(body[:json_size])
    (tensor,) = head["inputs"]
    assert (tensor["datatype"], tensor["shape"]) == (datatype, [3, 2])
    assert tensor["parameters"]["binary_data_size"] == len(body) - (json_size or 0)
    assert head["parameters"] == {"binary_data_output": True}


@pytest.mark.parametrize(
    ("model", "shapes", "batch", "error"),
    [
        (BATCHING, {}, 1, r"input 'IMAGE' has the shape \[3, -1, -1\].*--shape IMAGE:3,N,N"),
        (BATCHING, {"IMAGE": (4, 8, 9)}, 1, r"^--shape IMAGE:4,8,9: the input has the shape"),
        (BATCHING, {"IMAGE": (3, 8)}, 2, r"\[3, -1, -1\] in a batch of 2"),
        (BATCHING, {"IMAG": (3, 8, 9)}, 1, "no input 'IMAG'; did you mean 'IMAGE'"),
        (BATCHING, {"IMAGE": (3, 8, 9)}, 5, r"^--batch=5: model 'm' takes up to 4 rows"),
        (PLAIN, {"X": (2, 1)}, 2, r"^--batch=2: model 'm' has no batch axis"),
        (PLAIN, {"X": (2, 1 << 40)}, 1, r"input 'X' of shape .* would be 8796093022208 bytes"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(model, shapes, batch, error: str):
    with pytest.raises(DespinaError, match=error):
        make_inputs(model, shapes, {}, batch)


def test_an_input_is_given_as_a_file(tmp_path: Path):
    row = np.arange(3 * 2 * 2, dtype=np.float32).reshape(3, 2, 2)
    np.save(tmp_path / "row.npy", row)
    np.save(tmp_path / "rows.npy", np.stack([row, row + 1]))
    made = make_inputs(BATCHING, {}, {"IMAGE": str(tmp_path / "row.npy")}, batch=2)["IMAGE"]
    np.testing.assert_array_equal(made, [row, row])
    made = make_inputs(BATCHING, {}, {"IMAGE": str(tmp_path / "rows.npy")}, batch=2)["IMAGE"]
    np.testing.assert_array_equal(made, [row, row + 1])


def test_bytes_are_given_as_a_file_or_as_texts(tmp_path: Path):
    (tmp_path / "picture").write_bytes(b"\xff\xd8")
    model = Description("m", (Input("DATA", "BYTES", (-1, 1)),), max_batch_size=8)
    array = make_inputs(model, {}, {"DATA": f"@{tmp_path / 'picture'}"}, batch=3)["DATA"]
    assert array.tolist() == [[b"\xff\xd8"]] * 3
    body, json_size = infer_body(model, {"DATA": array}, binary=True, binary_answer=False)
    assert body[json_size:] == b"\x02\0\0\0\xff\xd8" * 3
    with pytest.raises(DespinaError, match="input 'DATA': JSON cannot carry bytes that are not"):
        infer_body(model, {"DATA": array}, binary=False, binary_answer=False)
    np.save(tmp_path / "texts.npy", np.array([["é"], ["x"]]))
    array = make_inputs(model, {}, {"DATA": str(tmp_path / "texts.npy")}, batch=2)["DATA"]
    body, _ = infer_body(model, {"DATA": array}, binary=False, binary_answer=False)
    assert json.loads(body)["inputs"][0]["data"] == ["é", "x"]
    assert json.loads(generate_body(model, {"DATA": array})) == {"DATA": [["é"], ["x"]]}


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("missing.npy", "No such file or directory"),
        ("@missing", "a file as it is can only be BYTES, and this is FP32"),
        ("text.npy", "it is no .npy file without Python objects"),
        ("objects.npy", "it is no .npy file without Python objects"),
        ("archive.npz", "it is no .npy file without Python objects"),
        ("double.npy", "its elements are float64, the input takes FP32"),
        ("flat.npy", r"its shape is \[4\], the input's is \[1, 3, -1, -1\]"),
        ("two.npy", r"its shape is \[2, 3, 1, 1\], the input's is \[1, 3, -1, -1\]"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, error: str
):
    monkeypatch.chdir(tmp_path)
    Path("text.npy").write_text("hello")
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    np.savez("archive.npz", x=np.zeros(1))
    np.save("double.npy", np.zeros((1, 3, 1, 1)))
    np.save("flat.npy", np.zeros(4, np.float32))
    np.save("two.npy", np.zeros((2, 3, 1, 1), np.float32))
    with pytest.raises(DespinaError, match=f"^--input IMAGE={re.escape(source)}: {error}$"):
        make_inputs(BATCHING, {}, {"IMAGE": source}, batch=1)


def test_a_file_of_bytes_is_one_element(tmp_path: Path):
    model = Description("m", (Input("DATA", "BYTES", (2,)),))
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(DespinaError, match=r"one file is one element, .* \[2\]"):
        make_inputs(model, {}, {"DATA": f"@{tmp_path / 'x'}"}, batch=1)
    with pytest.raises(DespinaError, match="No such file"):
        make_inputs(model, {}, {"DATA": f"@{tmp_path / 'y'}"}, batch=1)


def test_json_has_no_form_for_bf16():
    model = Description("m", (Input("X", "BF16", (1,)),))
    inputs = make_inputs(model, {}, {}, batch=1)
    with pytest.raises(DespinaError, match="input 'X': JSON has no form for BF16"):
        infer_body(model, inputs, binary=False, binary_answer=False)


def test_a_request_is_head_and_body():
    request = http_request("host:1", "/v2/x", b"body", [("A", "b")])
    head = "POST /v2/x HTTP/1.1\r\nHost: host:1\r\nA: b\r\nContent-Length: 4\r\n\r\nbody"
    assert request == head.encode()


def test_a_model_is_described_by_its_routes():
    metadata = {"name": "m", "inputs": [{"name": "X", "datatype": "FP32", "shape": ["-1", 4]}]}
    config = {
        "max_batch_size": 8,
        "input": [{"name": "X", "optional": True}],
        "model_transaction_policy": {"decoupled": True},
    }
    assert describe(metadata, config) == Description(
        "m", (Input("X", "FP32", (-1, 4), True),), 8, True
    )
    assert describe(metadata, {}).max_batch_size == 0


@pytest.mark.parametrize(
    "metadata",
    [None, [], {}, {"name": "m"}, {"name": "m", "inputs": [{"name": "X"}]},
     {"name": "m", "inputs": [{"name": "X", "datatype": "FP4", "shape": []}]},
     {"name": "m", "inputs": [{"name": "X", "datatype": "FP32", "shape": ["x"]}]}],
)  # fmt: skip
def test_a_server_that_says_something_else_is_refused(metadata):
    with pytest.raises(DespinaError, match="in a way that despina bench does not understand"):
        describe(metadata, {})


def statistics(requests: int, nanoseconds: int) -> dict[str, object]:
    stages = ("queue", "compute_input", "compute_infer", "compute_output")
    counts = {stage: {"count": requests, "ns": nanoseconds} for stage in stages}
    counts["success"] = {"count": requests, "ns": 0}
    return {"inference_count": requests, "execution_count": requests, "inference_stats": counts}


def test_stages_are_what_the_server_has_counted_in_between():
    stages = stages_between(statistics(10, 100), statistics(30, 20100))
    assert stages is not None
    assert (stages.requests, stages.seconds["queue"]) == (20, 1e-6)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, statistics(1, 1)),
        (statistics(1, 1), None),
        (statistics(5, 5), statistics(5, 5)),
        (statistics(5, 500), statistics(7, 5)),
        ({"x": 1}, {"x": 2}),
    ],
)
def test_there_are_no_stages_where_the_counts_make_no_sense(before, after):
    assert stages_between(before, after) is None
