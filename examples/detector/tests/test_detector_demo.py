"""The demo as a user runs it, with real networks on real photographs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

EXAMPLE = Path(__file__).resolve().parents[1]
PHOTOS = ("three_people", "couple", "yoga", "squat", "dog")
SURE, OVERLAP = 0.6, 0.8
MEDIAN_SCORE_ERROR = 0.028
"""Of keypoints, which swapped colours and other mistakes exceed."""


@dataclass
class Run:
    """What one run of the demo did."""

    status: int
    output: str
    errors: str
    folder: Path

    def persons(self, photo: str) -> list[dict[str, Any]]:
        return json.loads((self.folder / f"{photo}.json").read_text())


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real models and photographs, which are not part of the repository."""
    default = EXAMPLE.parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DESPINA_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no models and photographs in {folder} (DESPINA_SHARED_DATA names the folder)")
    return folder


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the plugin, as pip installs it."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder)]
    subprocess.run([*pip, *offline, str(EXAMPLE / "plugin")], check=True)
    return folder


def run_demo(folder: Path, plugin: Path | None, *arguments: str | Path) -> Run:
    command = [sys.executable, str(EXAMPLE / "demo.py"), "--output", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(plugin or "")}
    command += map(str, arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    return Run(done.returncode, done.stdout, done.stderr, folder)


@pytest.fixture(scope="module")
def models(shared_data: Path) -> list[str | Path]:
    folder = shared_data / "models"
    return [
        "--detector",
        folder / "yolox_nano.onnx",
        "--pose",
        folder / "pp_tinypose_256x192.onnx",
    ]


@pytest.fixture(scope="module")
def demo(
    models: list[str | Path],
    shared_data: Path,
    installed: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    pictures = [shared_data / "photos" / f"{name}.jpg" for name in PHOTOS]
    return run_demo(tmp_path_factory.mktemp("out"), installed, *models, "--image", *pictures)


@pytest.fixture(scope="module", params=[name for name in PHOTOS if name != "dog"])
def photo(request: pytest.FixtureRequest) -> str:
    return request.param


def overlap(one: list[float], other: list[float]) -> float:
    """Intersection over union of two boxes: x, y, width, height."""
    a, b = np.array(one), np.array(other)
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    common = np.prod(np.maximum(sides, 0))
    return common / (np.prod(a[2:]) + np.prod(b[2:]) - common)


def expected(shared_data: Path, photo: str) -> dict[str, Any]:
    return json.loads((shared_data / "expected" / f"{photo}.pose.json").read_text())


def test_it_succeeds(demo: Run) -> None:
    assert (demo.status, demo.errors) == (0, "")
    assert "The server has ended with status 0" in demo.output


def test_the_detector_finds_the_persons_of_the_reference(
    demo: Run, shared_data: Path, photo: str
) -> None:
    reference = expected(shared_data, photo)["detections_yolox_nano"]["persons"]
    sure = [each for each in reference if each["score"] >= SURE]
    found = [each for each in demo.persons(photo) if each["score"] >= SURE]
    assert len(found) == len(sure)
    for person in sure:
        assert max(overlap(person["bbox_xywh"], each["box"]) for each in found) >= OVERLAP


def test_no_box_leaves_its_picture(demo: Run, shared_data: Path, photo: str) -> None:
    size = Image.open(shared_data / "photos" / f"{photo}.jpg").size
    for person in demo.persons(photo):
        x, y, width, height = person["box"]
        assert min(x, y) >= 0
        assert x + width <= size[0] + 0.1  # rounded
        assert y + height <= size[1] + 0.1


def test_each_person_has_the_keypoints_of_the_reference(demo: Run, shared_data: Path) -> None:
    wrong, compared, score_errors = [], 0, []
    for photo in PHOTOS[:-1]:
        found = demo.persons(photo)
        for person in expected(shared_data, photo)["topdown"]["persons"]:
            overlaps = [overlap(person["bbox_xywh"], each["box"]) for each in found]
            if max(overlaps) < OVERLAP:
                continue  # given by hand: the detector does not find this one
            keypoints = {each["name"]: each for each in found[np.argmax(overlaps)]["keypoints"]}
            errors = []
            for point in (each for each in person["keypoints"] if each["must"]):
                ours = keypoints[point["name"]]
                distance = np.hypot(ours["x"] - point["x"], ours["y"] - point["y"])
                errors.append(abs(ours["score"] - point["score"]))
                if distance > point["tol_px"]:
                    wrong.append(f"{photo}: {point['name']} is {distance:.1f} pixels off")
            compared += 1
            score_errors.append(np.mean(errors))
    assert wrong == []
    assert compared == 6
    assert np.median(score_errors) < MEDIAN_SCORE_ERROR


def test_a_picture_of_nobody_has_no_persons(demo: Run) -> None:
    assert demo.persons("dog") == []
    assert "dog.jpg: persons: 0" in demo.output


def test_all_persons_are_drawn_over_the_picture(demo: Run, shared_data: Path) -> None:
    picture = Image.open(shared_data / "photos/couple.jpg").convert("RGB")
    drawn = Image.open(demo.folder / "couple.png")
    assert drawn.size == picture.size
    changed = np.abs(np.asarray(drawn, int) - np.asarray(picture, int)).max(axis=2) > 60
    for person in demo.persons("couple"):
        x, y, width, height = map(int, person["box"])
        assert changed[max(y, 0) : y + height, max(x, 0) : x + width].mean() > 0.01


@pytest.mark.parametrize(
    ("detector", "error"),
    [
        ("no_such.onnx", "error: there is no model file no_such.onnx"),
        ("mnist.onnx", "'yolox'"),
    ],
)
def test_what_is_no_such_network_is_told(
    detector: str, error: str, shared_data: Path, models, installed: Path, tmp_path: Path
) -> None:
    file = shared_data / "models" / detector
    arguments = ["--detector", file if file.is_file() else detector, *models[2:]]
    run = run_demo(tmp_path, installed, *arguments, "--image", shared_data / "photos/dog.jpg")
    assert run.status == 1
    assert error in run.errors
    assert "Traceback" not in run.errors


def test_a_file_that_is_no_picture_is_told(
    shared_data: Path, models, installed: Path, tmp_path: Path
) -> None:
    run = run_demo(tmp_path, installed, *models, "--image", shared_data / "README.md")
    assert run.status == 1
    assert "README.md: " in run.errors
    assert "'letterbox'" in run.errors  # which step it was


@pytest.mark.parametrize(
    ("pictures", "error"),
    [
        (["a.jpg", "a.png"], "two pictures are called a"),
        (["b.png"], "the drawing would take the place of "),
    ],
)
def test_no_drawing_takes_the_place_of_another_file(
    pictures: list[str], error: str, installed: Path, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in pictures]
    run = run_demo(tmp_path, installed, "--detector", "a", "--pose", "b", "--image", *files)
    assert run.status == 1
    assert error in run.errors


def test_without_the_plugin_it_says_how_to_install_it(tmp_path: Path) -> None:
    run = run_demo(tmp_path, None, "--detector", "a", "--pose", "b", "--image", "c")
    assert run.status == 1
    assert "error: the backends of this example are not installed: " in run.errors
    assert "pip install --no-deps --no-build-isolation" in run.errors
