"""Real photographs through image_preprocess, a real pose network and pose_postprocess.

The expected keypoints, their tolerances and the two checks that positions cannot make (colours
and normalisation) are explained beside the data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime")

NETWORK_INPUT = {
    "width": "192",
    "height": "256",
    "mean": "0.485,0.456,0.406",
    "std": "0.229,0.224,0.225",
}
MEDIAN_SCORE_ERROR = 0.028
"""Correct colours and normalisation stay below it, and no wrong ones do."""


@dataclass
class Photo:
    """A photograph with the people expected in it; ``scale``: its pixels per expected pixel."""

    name: str
    data: bytes
    expected: dict
    scale: float

    @property
    def persons(self):
        return self.expected["topdown"]["persons"]

    @property
    def boxes(self):
        return np.array([p["bbox_xywh"] for p in self.persons], np.float32) * self.scale


@pytest.fixture(scope="session")
def photos(shared_data):
    def photo(name, expected, scale=1):
        data = (shared_data / "photos" / name).read_bytes()
        return Photo(name, data, json.loads((folder / expected).read_text()), scale)

    folder = shared_data / "expected"
    found = []
    for path in sorted(folder.glob("*.pose.json")):
        found.append(photo(json.loads(path.read_text())["image"], path.name))
    for variant in json.loads((folder / "variants.json").read_text()):
        found.append(photo(variant["file"], variant["same_as"], variant["scale"]))
    assert len(found) >= 11
    return found


@pytest.fixture(scope="session")
def network(shared_data):
    path = shared_data / "models" / "pp_tinypose_256x192.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda tensor: session.run(None, {"image": tensor})[0]


@pytest.fixture(scope="session")
def estimate(make_instance, execute, network):
    """Keypoints [people, 17, 3] of one photo, with parameters for either backend."""

    def run(data, boxes=None, refinement="quarter", **parameters):
        first = make_instance("image_preprocess", **{**NETWORK_INPUT, **parameters})
        last = make_instance("pose_postprocess", refinement=refinement)
        people = 1 if boxes is None else len(boxes)
        inputs = {"IMAGE": np.array([[data]] * people, object)}
        if boxes is not None:
            inputs["BOX"] = boxes
        (prepared,) = execute(first, inputs)
        heatmaps = network(prepared.outputs["TENSOR"])
        inverse = prepared.outputs["INVERSE_TRANSFORM"]
        (answer,) = execute(last, {"HEATMAPS": heatmaps, "INVERSE_TRANSFORM": inverse})
        return answer.outputs["KEYPOINTS"]

    return run


def must(person):
    """Indices and values of the keypoints that are to be found."""
    return [(i, k) for i, k in enumerate(person["keypoints"]) if k["must"]]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"reduced_decode": "false"},
        {"interpolation": "area"},
        {"interpolation": "cubic"},
        {"refinement": "dark"},
        {"refinement": "none"},
    ],
    ids=lambda parameters: "-".join(f"{k}={v}" for k, v in parameters.items()) or "default",
)
def test_every_person_is_found_in_every_encoding(photos, estimate, parameters):
    wrong, score_errors = [], []
    for photo in photos:
        found = estimate(photo.data, photo.boxes, **parameters)
        for person, keypoints in zip(photo.persons, found, strict=True):
            errors = []
            for index, expected in must(person):
                x, y, score = keypoints[index]
                distance = np.hypot(
                    x / photo.scale - expected["x"], y / photo.scale - expected["y"]
                )
                errors.append(abs(score - expected["score"]))
                if distance > expected["tol_px"]:
                    wrong.append(f"{photo.name}: {expected['name']} is {distance:.1f} px off")
            score_errors.append(np.mean(errors))
    assert not wrong
    assert np.median(score_errors) < MEDIAN_SCORE_ERROR


@pytest.mark.parametrize("mistake", [{"color": "BGR"}, {"mean": "0", "std": "1"}])
def test_the_score_check_would_notice_a_mistake(photos, estimate, mistake):
    score_errors = [
        np.mean([abs(keypoints[i][2] - k["score"]) for i, k in must(person)])
        for photo in photos
        for person, keypoints in zip(
            photo.persons, estimate(photo.data, photo.boxes, **mistake), strict=True
        )
    ]
    assert np.median(score_errors) > MEDIAN_SCORE_ERROR


@pytest.mark.parametrize("name", ["squat.jpg", "squat.bmp", "yoga.jpg", "cameraman_gray.png"])
def test_a_whole_photo_stretched(photos, estimate, name):
    photo = next(photo for photo in photos if photo.name == name)
    (found,) = estimate(photo.data, fit="stretch")
    for index, expected in must(photo.expected["stretch"]):
        x, y, _ = found[index]
        assert abs(x - expected["x"]) <= expected["tol_x"], expected["name"]
        assert abs(y - expected["y"]) <= expected["tol_y"], expected["name"]


def test_the_tensors_are_those_of_the_reference(photos, make_instance, execute, shared_data):
    """Half a pixel of alignment, the filter and the decoder differ; colours and scaling must not.

    Swapped colours are 0.22 off or more, in units of the normalised tensor.
    """
    golden = np.load(shared_data / "expected" / "golden" / "pp_tinypose_batch3.in.image.npy")
    instance = make_instance("image_preprocess", **NETWORK_INPUT)
    for name, expected in zip(["squat.jpg", "yoga.jpg", "couple.jpg"], golden, strict=True):
        photo = next(photo for photo in photos if photo.name == name)
        (request,) = execute(
            instance, {"IMAGE": np.array([[photo.data]], object), "BOX": photo.boxes[:1]}
        )
        assert np.abs(request.outputs["TENSOR"][0] - expected).mean() < 0.1


def test_a_batch_of_all_photos_gives_what_each_gives_alone(
    photos, make_instance, execute, estimate
):
    """Requests of different photos in one batch do not touch each other."""
    instance = make_instance("image_preprocess", **NETWORK_INPUT)
    small = [photo for photo in photos if photo.scale == 1]
    inputs = [
        {"IMAGE": np.array([[photo.data]], object), "BOX": photo.boxes[:1]} for photo in small
    ]
    for together, alone in zip(execute(instance, *inputs), inputs, strict=True):
        (single,) = execute(instance, alone)
        for name, output in single.outputs.items():
            assert np.array_equal(together.outputs[name], output)
