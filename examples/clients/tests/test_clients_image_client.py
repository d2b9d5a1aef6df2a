"""The classification client against real models, and against models that it cannot serve."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from image_client import Classifier

LINE = re.compile(r"^    (\d+\.\d{6}) \((\d+)\) = (.+)$")

SQUEEZENET = """
backend: "onnxruntime"
max_batch_size: {max_batch_size}
input [ {{ name: "data_0" data_type: {datatype} {layout} dims: [ 3, 224, 224 ] {input_reshape} }} ]
output [ {{
  name: "softmaxout_1" data_type: {datatype} dims: [ 1000 ]
  reshape {{ shape: [ {rows} 1000, 1, 1 ] }}
  label_filename: "imagenet_labels.txt"
}} ]
"""
IDENTITY = """
backend: "identity_python"
max_batch_size: 0
input [ {inputs} ]
output [ {outputs} ]
"""


def tensor(name: str, dims: str, datatype: str = "TYPE_FP32") -> str:
    return f'{{ name: "{name}" data_type: {datatype} dims: [ {dims} ] }}'


def add_model(repository: Path, name: str, config: str, *files: Path) -> None:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(config)
    for file in files:
        target = "1/model.onnx" if file.suffix == ".onnx" else file.name
        shutil.copyfile(file, repository / name / target)


@pytest.fixture(scope="module")
def echo_url(start_server: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A server of models that give back their input, of forms right and wrong."""
    repository = tmp_path_factory.mktemp("echo")
    forms = {
        # One pixel of three colours: its scores are what the client has sent.
        "pixel": (tensor("INPUT0", "3, 1, 1"), tensor("OUTPUT0", "3, 1, 1")),
        "pixel_last": (
            tensor("INPUT0", "1, 1, 3").replace("dims", "format: FORMAT_NHWC dims"),
            tensor("OUTPUT0", "1, 1, 3"),
        ),
        "grey": (tensor("INPUT0", "1, 1, 2"), tensor("OUTPUT0", "1, 1, 2")),
        "half": (
            tensor("INPUT0", "3, 1, 1", "TYPE_FP16"), tensor("OUTPUT0", "3, 1, 1", "TYPE_FP16")
        ),
        "two": (
            f"{tensor('INPUT0', '3, 1, 1')}, {tensor('INPUT1', '3, 1, 1')}",
            f"{tensor('OUTPUT0', '3, 1, 1')}, {tensor('OUTPUT1', '3, 1, 1')}",
        ),
        "flat": (tensor("INPUT0", "3"), tensor("OUTPUT0", "3")),
        "encoded": (
            tensor("INPUT0", "3, 1, 1", "TYPE_STRING"), tensor("OUTPUT0", "3, 1, 1", "TYPE_STRING")
        ),
        "open": (tensor("INPUT0", "3, -1, -1"), tensor("OUTPUT0", "3, -1, -1")),
        "map": (tensor("INPUT0", "3, 2, 2"), tensor("OUTPUT0", "3, 2, 2")),
        "five": (
            tensor("INPUT0", "5, 1, 1").replace("dims", "format: FORMAT_NCHW dims"),
            tensor("OUTPUT0", "5, 1, 1"),
        ),
    }  # fmt: skip
    for name, (inputs, outputs) in forms.items():
        add_model(repository, name, IDENTITY.format(inputs=inputs, outputs=outputs))
    return str(start_server(repository).http)


@pytest.fixture(scope="module")
def url(
    shared_data: Path,
    start_server: Callable[[Path], Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """A server of SqueezeNet, with free batches and with one picture at a time."""
    repository = tmp_path_factory.mktemp("squeezenet")
    model, labels = (
        shared_data / f"models/{name}"
        for name in ("squeezenet_fp32_dynbatch.onnx", "imagenet_labels.txt")
    )
    form = {"datatype": "TYPE_FP32", "rows": "", "input_reshape": "", "max_batch_size": 8}
    batched = SQUEEZENET.format(layout="format: FORMAT_NCHW", **form)
    add_model(repository, "squeezenet", batched, model, labels)
    form |= {"rows": "1,", "input_reshape": "reshape { shape: [ 1, 3, 224, 224 ] }"}
    single = SQUEEZENET.format(layout="", **form | {"max_batch_size": 0})
    add_model(repository, "single", single, model, labels)
    return str(start_server(repository).http)


@pytest.fixture(scope="module")
def classify(clients: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, clients / "image_client.py", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def orange(tmp_path: Path) -> Path:
    path = tmp_path / "orange.png"
    Image.new("RGB", (20, 10), (255, 128, 0)).save(path)
    return path


def test_it_prints_what_triton_s_client_prints(classify: Any, url: str, shared_data: Path) -> None:
    run = classify(
        "-m", "squeezenet", "-c", 3, "-s", "VGG", "-u", url, shared_data / "photos/mug.jpg"
    )
    first, *classes, last = run.stdout.splitlines()
    assert (run.returncode, run.stderr) == (0, "")
    assert (first, last) == ("Request 1, batch size 1", "PASS")
    expected = json.loads((shared_data / "expected/classification.json").read_text())
    expected = expected["results"]["mug.jpg"]["VGG"]["squeezenet_fp32"]
    found = [LINE.match(line).groups() for line in classes]
    assert len(found) == 3
    assert [(int(index), label) for _, index, label in found[:2]] == [
        (entry["index"], entry["label"]) for entry in expected[:2]
    ]
    assert float(found[0][0]) == pytest.approx(expected[0]["score"], abs=0.08)


@pytest.mark.parametrize("flags", [[], ["-a"], ["-x", "1"], ["-i", "http"]], ids=str)
def test_a_model_without_batches_and_layout_gives_the_same(
    classify: Any, url: str, shared_data: Path, flags: list[str]
) -> None:
    run = classify("-m", "single", "-s", "VGG", "-u", url, *flags, shared_data / "photos/mug.jpg")
    assert re.search(r"^    0\.9\d{5} \(504\) = COFFEE MUG\nPASS\n$", run.stdout, re.MULTILINE)


@pytest.mark.parametrize("flags", [[], ["-a"]], ids=["sync", "async"])
def test_a_folder_goes_in_batches_the_last_filled_from_the_start(
    classify: Any, url: str, shared_data: Path, tmp_path: Path, flags: list[str]
) -> None:
    for index, name in enumerate(("mug.jpg", "kitten_rgba.png", "kitten_rgba.png")):
        shutil.copyfile(shared_data / f"photos/{name}", tmp_path / f"{index}_{name}")
    run = classify("-m", "squeezenet", "-b", 2, "-s", "VGG", "-u", url, *flags, tmp_path)
    lines = [re.sub(r".*\((\d+)\) = .*", r"\1", line) for line in run.stdout.splitlines()]
    mug, kitten = "504", "281"
    assert lines == [
        "Request 1, batch size 2", mug, kitten, "Request 2, batch size 2", kitten, mug, "PASS"
    ]  # fmt: skip


def test_one_picture_fills_a_batch(classify: Any, url: str, shared_data: Path) -> None:
    run = classify(
        "-m", "squeezenet", "-b", 3, "-s", "VGG", "-u", url, shared_data / "photos/mug.jpg"
    )
    assert run.stdout.count("(504) = COFFEE MUG") == 3


@pytest.mark.parametrize("model", ["pixel", "pixel_last"])
@pytest.mark.parametrize(
    ("scaling", "red_green_blue"),
    [
        ("NONE", [255, 128, 0]),
        ("INCEPTION", [1, 128 / 127.5 - 1, -1]),
        ("VGG", [255 - 123, 128 - 117, 0 - 104]),
    ],
)
def test_pixels_are_scaled_and_laid_out(
    classify: Any,
    echo_url: str,
    orange: Path,
    model: str,
    scaling: str,
    red_green_blue: list[float],
) -> None:
    run = classify("-m", model, "-c", 3, "-s", scaling, "-u", echo_url, orange)
    found = dict(re.findall(r"^    (\S+) \((\d)\)$", run.stdout, re.MULTILINE))
    assert [float(value) for value in found] == pytest.approx(red_green_blue, abs=1e-5)
    assert list(found.values()) == ["0", "1", "2"]


def test_the_layout_is_guessed_from_the_shape_where_the_configuration_is_silent() -> None:
    output = {"name": "scores", "shape": [10], "datatype": "FP32"}
    for shape, channels_first in (([3, 48, 64], True), ([48, 64, 3], False), ([48, 64, 1], False)):
        image = {"name": "image", "shape": shape, "datatype": "FP32"}
        metadata = {"name": "model", "inputs": [image], "outputs": [output]}
        model = Classifier.from_server(metadata, {"input": [{"format": "FORMAT_NONE"}]})
        assert (model.channels_first, model.height, model.width) == (channels_first, 48, 64)


def test_a_model_of_one_channel_gets_grey(classify: Any, echo_url: str, orange: Path) -> None:
    run = classify("-m", "grey", "-s", "VGG", "-u", echo_url, orange)
    grey = round(0.299 * 255 + 0.587 * 128)
    assert f"    {grey - 128:.6f} (0)" in run.stdout


def test_verbose_shows_the_requests(classify: Any, echo_url: str, orange: Path) -> None:
    run = classify("-v", "-m", "pixel", "-u", echo_url, orange)
    assert "POST /v2/models/pixel/infer" in run.stdout


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("lost", "lost"),
        ("half", "FP16"),
        ("two", "model 'two' must have one of inputs; it has INPUT0, INPUT1"),
        ("flat", "model 'flat' input 'INPUT0' must be numbers of fixed channels"),
        ("encoded", "it is BYTES [3, 1, 1]"),
        ("open", "model 'open' input 'INPUT0' must be numbers of fixed channels"),
        ("map", "model 'map' output 'OUTPUT0' must be a vector of scores"),
        ("five", "model 'five' takes pictures of 5 channels"),
    ],
)
def test_a_model_that_is_no_classifier_is_refused(
    classify: Any, echo_url: str, orange: Path, model: str, reason: str
) -> None:
    run = classify("-m", model, "-u", echo_url, orange)
    assert run.returncode == 1
    assert run.stderr.startswith("error: ")
    assert reason in run.stderr
    assert "PASS" not in run.stdout


def test_a_batch_for_a_model_without_batches_is_refused(
    classify: Any, echo_url: str, orange: Path
) -> None:
    run = classify("-m", "pixel", "-b", 2, "-u", echo_url, orange)
    assert (run.returncode, run.stdout) == (1, "")
    assert "model 'pixel' does not batch" in run.stderr


def test_what_is_no_picture_is_named(classify: Any, echo_url: str, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    for path in (tmp_path / "text.jpg", tmp_path / "missing.jpg"):
        run = classify("-m", "pixel", "-u", echo_url, path)
        assert run.returncode == 1
        assert path.name in run.stderr
        assert "Traceback" not in run.stderr


def test_an_empty_folder_is_refused(classify: Any, echo_url: str, tmp_path: Path) -> None:
    run = classify("-m", "pixel", "-u", echo_url, tmp_path)
    assert run.returncode == 1
    assert f"no pictures in folder {tmp_path}" in run.stderr


def test_a_server_that_is_not_there_is_said(classify: Any, orange: Path) -> None:
    run = classify("-m", "pixel", "-u", "127.0.0.1:1", orange)
    assert run.returncode == 1
    assert "Connection refused" in run.stderr
