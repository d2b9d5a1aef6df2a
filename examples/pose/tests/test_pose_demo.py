"""The demo as a user runs it: a program that starts the server, shows results and cleans up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import make_example_images
from coco import KEYPOINTS
from synthetic_people import VISIBLE, SyntheticPeople

PROGRAM = Path(__file__).resolve().parents[1] / "demo.py"
TABLE_ROW = re.compile(r"^  ([a-z_]+) +(-?[\d.]+) +(-?[\d.]+) +(-?[\d.]+)$", re.MULTILINE)


@dataclass
class Run:
    """What one run of the demo did."""

    status: int
    output: str
    errors: str
    folder: Path

    def tables(self) -> dict[str, dict[str, tuple[float, float, float]]]:
        """For each picture's file name: x, y and score of each keypoint."""
        parts = re.split(r"^(\S+)\n  keypoint .*\n", self.output, flags=re.MULTILINE)[1:]
        return {
            Path(path).name: {row[0]: tuple(map(float, row[1:])) for row in TABLE_ROW.findall(text)}
            for path, text in zip(parts[::2], parts[1::2], strict=True)
        }

    def drawing(self, picture: Path) -> Path:
        return self.folder / f"{picture.stem}.png"

    def server_process(self) -> int:
        return int(re.search(r"process (\d+)", self.output)[1])


def run_demo(folder: Path, *arguments: str | Path) -> Run:
    command = [sys.executable, str(PROGRAM), "--output", str(folder), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    return Run(done.returncode, done.stdout, done.stderr, folder)


def exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The demo without a flag, but for where it writes."""
    return run_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def real_run(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A user's own network on a user's own photographs."""
    photos = [shared_data / f"photos/{name}" for name in ("squat.jpg", "yoga.jpg")]
    model = shared_data / "models/pp_tinypose_256x192.onnx"
    return run_demo(tmp_path_factory.mktemp("real"), "--model", model, "--image", *photos)


def test_it_ends_with_status_0_and_takes_its_server_along(default_run: Run) -> None:
    assert (default_run.status, default_run.errors) == (0, "")
    assert not exists(default_run.server_process())
    assert "The server has ended with status 0" in default_run.output


@pytest.fixture(scope="module")
def example_pictures(example: Path) -> list[Path]:
    pictures = sorted((example / "images").glob("*.jpg"))
    assert pictures
    return pictures


def test_it_prints_all_keypoints_of_the_example_pictures(
    default_run: Run, example_pictures: list[Path]
) -> None:
    tables = default_run.tables()
    assert list(tables) == [picture.name for picture in example_pictures]
    for picture in example_pictures:
        assert tuple(tables[picture.name]) == KEYPOINTS


def test_it_finds_the_people_of_the_example_pictures(
    default_run: Run, example_pictures: list[Path]
) -> None:
    people = SyntheticPeople(
        make_example_images.EXAMPLES_SEED,
        make_example_images.FRAMING,
        sides=make_example_images._SIDES,
    )
    errors: list[float] = []  # of keypoints that are seen, in sizes of the person
    for picture in example_pictures:
        with Image.open(picture) as image:
            person = people.sample(make_example_images.SCENES[picture.name], *image.size)
        found = np.array(list(default_run.tables()[picture.name].values()))
        distance = np.hypot(*(found - person.keypoints)[:, :2].T)
        errors += list(distance[person.keypoints[:, 2] == VISIBLE] / person.box[2:].max())
    assert np.mean(np.array(errors) < 0.1) >= 0.8


def test_it_prints_latency_and_throughput(default_run: Run) -> None:
    latency = re.search(r"p50 ([\d.]+) ms, p99 ([\d.]+) ms", default_run.output)
    throughput = re.search(r"([\d.]+) pictures per second", default_run.output)
    assert 0 < float(latency[1]) <= float(latency[2])
    assert float(throughput[1]) > 0


def test_it_draws_each_skeleton_over_its_picture(
    default_run: Run, example_pictures: list[Path]
) -> None:
    for picture in example_pictures:
        with Image.open(picture) as before, Image.open(default_run.drawing(picture)) as after:
            assert after.size == before.size
            difference = np.abs(np.asarray(after, int) - np.asarray(before.convert("RGB"), int))
        changed = (difference.max(axis=2) > 0).mean()
        assert 0.001 < changed < 0.3


def test_curl_is_answered_the_same_keypoints(default_run: Run) -> None:
    assert "curl was answered the same keypoints" in default_run.output
    command = re.search(r"^  curl .*$", default_run.output, re.MULTILINE)[0]
    assert "Inference-Header-Content-Length: " in command
    assert "Content-Type: application/octet-stream" in command
    header = json.loads(re.search(r'^  (\{"inputs".*\})$', default_run.output, re.MULTILINE)[1])
    assert header["inputs"][0]["datatype"] == "BYTES"
    assert header["outputs"][0]["parameters"]["binary_data"] is True


def test_another_network_finds_a_person_who_fills_a_photograph(
    real_run: Run, shared_data: Path
) -> None:
    assert (real_run.status, real_run.errors) == (0, "")
    expected = json.loads((shared_data / "expected/squat.pose.json").read_text())
    found = real_run.tables()["squat.jpg"]
    certain = [keypoint for keypoint in expected["stretch"]["keypoints"] if keypoint["must"]]
    assert certain
    for keypoint in certain:
        x, y, _ = found[keypoint["name"]]
        assert abs(x - keypoint["x"]) <= keypoint["tol_x"], keypoint["name"]
        assert abs(y - keypoint["y"]) <= keypoint["tol_y"], keypoint["name"]


def test_another_network_finds_a_person_in_a_wider_photograph(
    real_run: Run, shared_data: Path
) -> None:
    expected = json.loads((shared_data / "expected/yoga.pose.json").read_text())
    found = real_run.tables()["yoga.jpg"]
    (person,) = expected["topdown"]["persons"]
    certain = [keypoint for keypoint in person["keypoints"] if keypoint["must"]]
    assert certain
    for keypoint in certain:
        # Expected of a crop to the person, who is half as large in the whole photograph.
        distance = np.hypot(
            *np.subtract(found[keypoint["name"]][:2], (keypoint["x"], keypoint["y"]))
        )
        assert distance <= 2 * keypoint["tol_px"], keypoint["name"]


def test_the_temporary_repository_of_another_network_is_removed(real_run: Run) -> None:
    assert list(real_run.folder.glob("model_repository_*")) == []


def test_a_broken_picture_is_named_with_the_reason_and_the_server_ended(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    run = run_demo(tmp_path / "out", "--image", broken)
    assert run.status == 1
    assert run.errors.startswith(f"error: {broken}: ")
    assert "image" in run.errors.removeprefix(f"error: {broken}: ")
    assert "Traceback" not in run.errors
    assert not exists(run.server_process())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "missing.jpg"], "there is no picture missing.jpg"),
        (["--model", "missing.onnx"], "there is no model file missing.onnx"),
        (["--url", "127.0.0.1:1"], "Connection refused"),
    ],
    ids=["picture", "model", "server"],
)
def test_something_that_is_not_there_is_said_without_starting_a_server(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    picture = [] if "--image" in arguments else ["--image", __file__]
    run = run_demo(tmp_path, *arguments, *picture)
    assert (run.status, run.output) == (1, "")
    assert run.errors.startswith("error: ")
    assert message in run.errors


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    pictures = [tmp_path / "a.jpg", tmp_path / "a.png"]
    for picture in pictures:
        picture.touch()
    run = run_demo(tmp_path, "--image", *pictures)
    assert run.status == 1
    assert "two pictures are called a" in run.errors


def test_a_drawing_does_not_take_the_place_of_its_picture(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"mine")
    run = run_demo(tmp_path, "--image", picture)
    assert run.status == 1
    assert "the drawing would take the place of " in run.errors
    assert picture.read_bytes() == b"mine"


@pytest.fixture
def kept(example: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A demo that was left running, and what it printed."""
    picture = tmp_path / "grey.png"
    Image.new("RGB", (120, 160), "grey").save(picture)
    command = [sys.executable, PROGRAM, "--keep", "--output", tmp_path / "out", "--image", picture]
    with (tmp_path / "printed").open("w+") as printed:
        demo = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, text=True)
        try:
            output = ""
            while "Ctrl-C ends it." not in output and demo.poll() is None:
                time.sleep(0.1)
                output = Path(printed.name).read_text()
            yield demo, output
        finally:
            demo.terminate()
            demo.wait(60)


def test_a_server_that_is_kept_answers_the_printed_commands_until_ctrl_c(
    kept: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    demo, output = kept
    commands = output.split("Try, in this folder:")[1].replace("\\\n", "").splitlines()
    commands = [line.strip() for line in commands if re.match(r"  (curl|\S*python\S*) ", line)]
    assert len(commands) == 7
    health, metadata, config, stats, metrics, infer, program = (
        subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
        for command in [*commands[:-1], f"{commands[-1]} --output {tmp_path / 'again'}"]
    )
    assert health.stdout.startswith("HTTP/1.1 200")
    assert json.loads(metadata.stdout)["platform"] == "ensemble"
    assert json.loads(config.stdout)["ensemble_scheduling"]["step"]
    assert json.loads(stats.stdout)["model_stats"][0]["inference_count"] > 50
    assert "# TYPE " in metrics.stdout
    rows = np.array([line.split() for line in infer.stdout.splitlines()], float)
    assert rows.shape == (len(KEYPOINTS), 3)
    assert np.isfinite(rows).all()
    assert program.returncode == 0, program.stderr
    assert (tmp_path / "again/grey.png").is_file()

    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 0
    assert not exists(int(re.search(r"process (\d+)", output)[1]))


def test_a_kept_server_is_ended_when_the_demo_is_terminated(
    kept: tuple[subprocess.Popen[str], str],
) -> None:
    demo, output = kept
    demo.terminate()
    assert demo.wait(60) == 128 + signal.SIGTERM
    assert not exists(int(re.search(r"process (\d+)", output)[1]))
