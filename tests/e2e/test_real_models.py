"""Real weights and real photographs through the served ensemble, and golden tensors.

What is expected, with tolerances and their reasons, is explained beside the data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from harness.raw_http import Connection
from harness.repository import add_model, ensemble, parameters, step, tensor
from harness.serve import Serve
from harness.tensors import Array, at_once, batch_sizes, infer, infer_request, rows_of

pytest.importorskip("onnxruntime")

IMAGE = tensor("IMAGE", "BYTES", [1])
BOX = tensor("BOX", "FP32", [4])
BATCHING = "dynamic_batching { max_queue_delay_microseconds: 5000 }\n"
MEDIAN_SCORE_ERROR = 0.028
"""Correct colours and normalisation stay below it, and no wrong ones do."""


def preprocess(height: int, width: int, optional_box: bool, **settings: object) -> str:
    inputs = [IMAGE, *([BOX.replace("}", "optional: true }")] if optional_box else [])]
    outputs = [tensor("TENSOR", "FP32", [3, height, width])]
    outputs += [tensor("INVERSE_TRANSFORM", "FP32", [2, 3])] if optional_box else []
    return (
        f'backend: "image_preprocess"\nmax_batch_size: 8\ninput [ {", ".join(inputs)} ]\n'
        f"output [ {', '.join(outputs)} ]\n{BATCHING}"
        f"{parameters({'width': width, 'height': height, **settings})}"
    )


def add_pose(repository: Path, models: Path) -> None:
    normalised = {"mean": "0.485,0.456,0.406", "std": "0.229,0.224,0.225"}
    add_model(repository, "preprocess", preprocess(256, 192, True, **normalised))
    network = 'backend: "onnxruntime"\nmax_batch_size: 8\n' + BATCHING
    weights = {"1/model.onnx": models / "pp_tinypose_256x192.onnx"}
    add_model(repository, "pp_tinypose", network, weights)
    postprocess = 'backend: "pose_postprocess"\nmax_batch_size: 8\n' + BATCHING
    add_model(repository, "postprocess", postprocess)
    steps = [
        step(
            "preprocess",
            {"IMAGE": "IMAGE", "BOX": "BOX"},
            {"TENSOR": "tensor", "INVERSE_TRANSFORM": "inverse"},
        ),
        step("pp_tinypose", {"image": "tensor"}, {"conv2d_441.tmp_1": "heatmaps"}),
        step(
            "postprocess",
            {"HEATMAPS": "heatmaps", "INVERSE_TRANSFORM": "inverse"},
            {"KEYPOINTS": "KEYPOINTS"},
        ),
    ]
    keypoints = tensor("KEYPOINTS", "FP32", [17, 3])
    add_model(repository, "pose", ensemble([IMAGE, BOX], [keypoints], steps))


def add_classifier(repository: Path, models: Path) -> None:
    labels = 'label_filename: "labels.txt"'
    output = 'name: "softmaxout_1" data_type: TYPE_FP32 dims: [ 1000 ]'
    output += " reshape { shape: [ 1000, 1, 1 ] }"
    config = (
        'backend: "onnxruntime"\nmax_batch_size: 8\n'
        f"input [ {tensor('data_0', 'FP32', [3, 224, 224])} ]\n"
        f"output [ {{ {output} {labels} }} ]\n{BATCHING}"
    )
    files = {
        "1/model.onnx": models / "squeezenet_fp32_dynbatch.onnx",
        "labels.txt": (models / "imagenet_labels.txt").read_bytes(),
    }
    add_model(repository, "squeezenet", config, files)
    vgg = {"fit": "stretch", "scale": "1", "mean": "123,117,104"}
    add_model(repository, "vgg", preprocess(224, 224, False, **vgg))
    steps = [
        step("vgg", {"IMAGE": "IMAGE"}, {"TENSOR": "tensor"}),
        step("squeezenet", {"data_0": "tensor"}, {"softmaxout_1": "CLASSES"}),
    ]
    classes = f'{{ name: "CLASSES" data_type: TYPE_FP32 dims: [ 1000 ] {labels} }}'
    labelled = {"labels.txt": (models / "imagenet_labels.txt").read_bytes()}
    add_model(repository, "classify", ensemble([IMAGE], [classes], steps), labelled)


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    repository, models = tmp_path_factory.mktemp("real"), shared_data / "models"
    add_pose(repository, models)
    add_classifier(repository, models)
    for name in ("squeezenet_fp16", "movenet_lightning_int8", "yolox_nano", "mnist"):
        # No configuration at all: the backend finds out everything.
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "1" / "model.onnx").symlink_to(models / f"{name}.onnx")
    with Serve(repository, tmp_path_factory.mktemp("server")) as running:
        yield running
        assert running.ready()
        assert running.stop() == 0, running.stderr


@pytest.fixture
def connection(real: Serve) -> Iterator[Connection]:
    with Connection(real.port, timeout=60) as opened:
        yield opened


@dataclass
class Photo:
    """A photograph with the people expected in it; ``scale``: its pixels per expected pixel."""

    name: str
    data: bytes
    persons: list[dict[str, Any]]
    scale: float

    @property
    def inputs(self) -> dict[str, Array]:
        boxes = np.array([person["bbox_xywh"] for person in self.persons], np.float32)
        images = np.array([[self.data]] * len(self.persons), object)
        return {"IMAGE": images, "BOX": boxes * np.float32(self.scale)}


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[Photo]:
    folder = shared_data / "expected"

    def photo(name: str, expected: str, scale: float = 1) -> Photo:
        persons = json.loads((folder / expected).read_text())["topdown"]["persons"]
        return Photo(name, (shared_data / "photos" / name).read_bytes(), persons, scale)

    found = [
        photo(json.loads(path.read_text())["image"], path.name)
        for path in sorted(folder.glob("*.pose.json"))
    ]
    for variant in json.loads((folder / "variants.json").read_text()):
        found.append(photo(variant["file"], variant["same_as"], variant["scale"]))
    assert len(found) >= 11
    return found


def misses(photo: Photo, keypoints: Array) -> list[str]:
    """The keypoints that had to be found and were not."""
    wrong = []
    for person, found in zip(photo.persons, keypoints, strict=True):
        for expected, (x, y, _) in zip(person["keypoints"], found, strict=True):
            distance = np.hypot(x / photo.scale - expected["x"], y / photo.scale - expected["y"])
            if expected["must"] and not distance <= expected["tol_px"]:
                wrong.append(f"{photo.name}: {expected['name']} is {distance:.1f} px off")
    return wrong


def score_errors(photo: Photo, keypoints: Array) -> list[float]:
    """For each person the mean error of the scores that count."""
    return [
        float(
            np.mean(
                [
                    abs(score - expected["score"])
                    for expected, (_, _, score) in zip(person["keypoints"], found, strict=True)
                    if expected["must"]
                ]
            )
        )
        for person, found in zip(photo.persons, keypoints, strict=True)
    ]


def test_every_person_of_every_photo_is_found(connection: Connection, photos: list[Photo]) -> None:
    wrong: list[str] = []
    errors: list[float] = []
    for photo in photos:
        keypoints = infer(connection, "pose", **photo.inputs)["KEYPOINTS"]
        assert keypoints.shape == (len(photo.persons), 17, 3)
        wrong += misses(photo, keypoints)
        errors += score_errors(photo, keypoints)
    assert not wrong
    assert np.median(errors) < MEDIAN_SCORE_ERROR


def test_requests_to_the_ensemble_are_batched_together_in_its_members(
    real: Serve, photos: list[Photo]
) -> None:
    """Clients with different photos each get their own people back."""
    members = ("preprocess", "pp_tinypose", "postprocess")
    before = {name: real.statistics(name) for name in (*members, "pose")}
    small = [photo for photo in photos if photo.scale == 1]
    jobs = []
    for photo in small * 2:

        def job(connection: Connection, photo: Photo = photo) -> None:
            for _ in range(2):
                assert not misses(photo, infer(connection, "pose", **photo.inputs)["KEYPOINTS"])

        jobs.append(job)
    at_once(real.port, jobs)
    requests = 4 * len(small)
    rows = 4 * sum(len(photo.persons) for photo in small)
    for name in members:
        after = real.statistics(name)
        assert after["inference_count"] - before[name]["inference_count"] == rows
        executions = after["execution_count"] - before[name]["execution_count"]
        assert executions < requests / 1.5, f"'{name}' ran {executions} times"
    after = real.statistics("pose")
    success = after["inference_stats"]["success"]["count"]
    assert success - before["pose"]["inference_stats"]["success"]["count"] == requests


GOLDEN = {
    "pp_tinypose_batch3": "pp_tinypose",
    "movenet_yoga": "movenet_lightning_int8",
    "squeezenet_mug_fp16": "squeezenet_fp16",
    "squeezenet_mug_fp32": "squeezenet",
    "yolox_couple": "yolox_nano",
    "mnist_nine": "mnist",
}


@dataclass
class Golden:
    """Tensors with the outputs that a model gives for them."""

    inputs: dict[str, Array]
    outputs: dict[str, Array]
    spec: dict[str, Any]

    def check(self, got: dict[str, Array], rows: slice = slice(None)) -> None:
        assert set(got) == set(self.outputs)
        for name, expected in self.outputs.items():
            wanted = expected[rows].reshape(got[name].shape)
            assert got[name].dtype == wanted.dtype
            if "atol_yx" in self.spec:  # y, x and a score that varies between runtimes
                places = got[name][..., :2], wanted[..., :2]
                np.testing.assert_allclose(*places, rtol=0, atol=self.spec["atol_yx"])
            else:
                np.testing.assert_allclose(got[name], wanted, rtol=0, atol=self.spec["atol"])


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> Callable[[str], Golden]:
    folder = shared_data / "expected" / "golden"
    index = json.loads((folder / "index.json").read_text())

    def read(name: str) -> Golden:
        spec = index[name]
        inputs, outputs = (
            {tensor: np.load(folder / each["file"]) for tensor, each in spec[side].items()}
            for side in ("inputs", "outputs")
        )
        return Golden(inputs, outputs, spec)

    return read


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_tensors(connection: Connection, golden: Callable[[str], Golden], name: str) -> None:
    expected = golden(name)
    expected.check(infer(connection, GOLDEN[name], **expected.inputs))


def test_golden_rows_hold_alone(connection: Connection, golden: Callable[[str], Golden]) -> None:
    expected = golden("pp_tinypose_batch3")
    for row in range(3):
        rows = slice(row, row + 1)
        one = {name: array[rows] for name, array in expected.inputs.items()}
        expected.check(infer(connection, "pp_tinypose", **one), rows)


def test_golden_rows_hold_when_the_dynamic_batcher_mixes_them(
    real: Serve, golden: Callable[[str], Golden]
) -> None:
    expected = golden("pp_tinypose_batch3")
    before = batch_sizes(real.statistics("pp_tinypose"))
    slices = [slice(0, 1), slice(1, 2), slice(2, 3), slice(0, 2), slice(1, 3)]
    jobs = []
    for rows in slices * 3:

        def job(connection: Connection, rows: slice = rows) -> None:
            part = {name: array[rows] for name, array in expected.inputs.items()}
            for _ in range(3):
                expected.check(infer(connection, "pp_tinypose", **part), rows)

        jobs.append(job)
    at_once(real.port, jobs)
    after = batch_sizes(real.statistics("pp_tinypose"))
    new = {size: count - before.get(size, 0) for size, count in after.items()}
    assert rows_of(new) == 3 * 3 * (1 + 1 + 1 + 2 + 2)
    # A request has two rows at most: a batch of more is of several.
    assert sum(count for size, count in new.items() if size > 2) > 5


@pytest.mark.parametrize("what", ["golden tensor", "photograph"])
def test_squeezenet_says_coffee_mug(
    real: Serve, shared_data: Path, golden: Callable[[str], Golden], what: str
) -> None:
    expected = json.loads((shared_data / "expected" / "classification.json").read_text())
    best = expected["results"]["mug.jpg"]["VGG"]["squeezenet_fp32"]
    if what == "photograph":
        model, name, output, tolerance = "classify", "IMAGE", "CLASSES", 0.08
        data = np.array([[(shared_data / "photos" / "mug.jpg").read_bytes()]], object)
    else:
        model, name, output, tolerance = "squeezenet", "data_0", "softmaxout_1", 0.01
        data = golden("squeezenet_mug_fp32").inputs["data_0"]
    datatype = "BYTES" if what == "photograph" else "FP32"
    sent = triton.InferInput(name, list(data.shape), datatype).set_data_from_numpy(data)
    wanted = triton.InferRequestedOutput(output, class_count=3)
    with triton.InferenceServerClient(real.address) as client:
        (row,) = client.infer(model, [sent], outputs=[wanted]).as_numpy(output)
    assert len(row) == 3
    for text, each in zip(row[:2], best, strict=False):
        score, index, label = text.decode().split(":")
        assert (int(index), label) == (each["index"], each["label"])
        assert abs(float(score) - each["score"]) < tolerance
    assert row[0].decode().endswith(":504:COFFEE MUG")


def png_of(width: int, height: int) -> bytes:
    """The beginning of a picture that claims to be of a size."""
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + header + b"\0\0\0\0" + b"\0" * 100


def broken_images(photo: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "no image": b"This is no picture at all.",
        "truncated": photo[: len(photo) // 2],
        "only a header": photo[:200],
        "corrupt": photo[:20] + b"\0" * 500 + photo[520:],
        "30000 x 30000": png_of(30_000, 30_000),
    }


@pytest.mark.parametrize("what", broken_images(b""))
def test_a_broken_image_is_refused_naming_ensemble_step_and_model(
    real: Serve, connection: Connection, photos: list[Photo], what: str
) -> None:
    (photo,) = (photo for photo in photos if photo.name == "squat.jpg")
    images = np.array([[broken_images(photo.data)[what]]], object)
    inputs = {"IMAGE": images, "BOX": photo.inputs["BOX"][:1]}
    with triton.InferenceServerClient(real.address) as client:
        tensors = [
            triton.InferInput("IMAGE", [1, 1], "BYTES").set_data_from_numpy(inputs["IMAGE"]),
            triton.InferInput("BOX", [1, 4], "FP32").set_data_from_numpy(inputs["BOX"]),
        ]
        with pytest.raises(triton.InferenceServerException) as caught:
            client.infer("pose", tensors)
    assert caught.value.status() == "400", caught.value
    text = caught.value.message()
    assert "in ensemble 'pose'" in text
    assert "step 0" in text
    assert "'preprocess'" in text
    if what == "30000 x 30000":
        assert "30000" in text
    assert not misses(photo, infer(connection, "pose", **photo.inputs)["KEYPOINTS"])


def test_a_broken_image_harms_no_other_in_its_batch(real: Serve, photos: list[Photo]) -> None:
    (photo,) = (photo for photo in photos if photo.name == "squat.jpg")
    statuses: list[int] = []

    def good(connection: Connection) -> None:
        for _ in range(5):
            assert not misses(photo, infer(connection, "pose", **photo.inputs)["KEYPOINTS"])

    def bad(connection: Connection) -> None:
        inputs = {"IMAGE": np.array([[photo.data[:5000]]], object), "BOX": photo.inputs["BOX"]}
        for _ in range(5):
            statuses.append(connection.exchange(infer_request("pose", inputs)).status)

    at_once(real.port, [good, bad] * 4)
    assert statuses == [400] * 20
