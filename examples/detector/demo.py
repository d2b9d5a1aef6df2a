"""Serves the ensemble of this folder and sends it pictures: persons come back, and are drawn.

The networks are not part of the project; README.md says where they come from.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tritonclient import http
from tritonclient.utils import InferenceServerException

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "pose"))  # where drawing and starting a server are shown

from coco import keypoint_names  # noqa: E402
from drawing import draw_skeleton  # noqa: E402
from server_process import ServerError, running_server  # noqa: E402

MODEL = "find_persons"


class DemoError(Exception):
    """What the user is told, without a traceback."""


@dataclass(frozen=True)
class Persons:
    """Those in one picture, the surest first; in pixels of the upright picture.

    Attributes:
        boxes: [N, 4]: x, y, width, height.
        scores: [N], from 0 to 1.
        keypoints: [N, 17, 3]: x, y, score.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]

    def as_objects(self) -> list[dict[str, object]]:
        """For JSON."""
        return [
            {
                "score": round(float(score), 3),
                "box": np.round(box, 1).tolist(),
                "keypoints": [
                    {"name": name, "x": round(x, 1), "y": round(y, 1), "score": round(sure, 3)}
                    for name, (x, y, sure) in zip(keypoint_names(len(points)), points, strict=True)
                ],
            }
            for box, score, points in zip(
                self.boxes, self.scores, self.keypoints.tolist(), strict=True
            )
        ]


def find_persons(client: http.InferenceServerClient, picture: Path) -> Persons:
    """Asks the server for the persons in a picture.

    Raises:
        DemoError: the picture cannot be read, or the server refuses it.
    """
    try:
        data = np.array([picture.read_bytes()], dtype=np.object_)
        image = http.InferInput("IMAGE", [1], "BYTES").set_data_from_numpy(data)
        answer = client.infer(MODEL, [image])
    except InferenceServerException as error:
        raise DemoError(f"{picture}: {error.message()}") from error
    except OSError as error:
        raise DemoError(f"{picture}: {error.strerror}") from error
    return Persons(*(answer.as_numpy(name) for name in ("BOXES", "SCORES", "KEYPOINTS")))


@contextmanager
def model_repository(detector: Path, pose: Path) -> Iterator[Path]:
    """A copy of this folder's repository, with the networks in their places.

    Raises:
        DemoError: a file is not there.
    """
    with tempfile.TemporaryDirectory(prefix="model_repository_") as folder:
        repository = Path(folder) / "models"
        shutil.copytree(HERE / "model_repository", repository)
        for model, file in (("yolox", detector), ("pose", pose)):
            if not file.is_file():
                raise DemoError(f"there is no model file {file}")
            shutil.copyfile(file, repository / model / "1" / "model.onnx")
        yield repository


def check_pictures(pictures: Sequence[Path], output: Path) -> None:
    """Looks whether each may have files of its name in the folder.

    Raises:
        DemoError: two pictures have the same name, or a drawing would take a picture's place.
    """
    names = [picture.stem for picture in pictures]
    for picture in pictures:
        if names.count(picture.stem) > 1:
            raise DemoError(f"two pictures are called {picture.stem}: send one after the other")
        if (output / f"{picture.stem}.png").resolve() == picture.resolve():
            raise DemoError(f"the drawing would take the place of {picture}: see --output")


def show(picture: Path, persons: Persons, output: Path) -> None:
    """Prints the boxes, and writes all that was found, and the drawing."""
    print(f"\n{picture}: persons: {len(persons.boxes)}")
    for (x, y, width, height), score in zip(persons.boxes, persons.scores, strict=True):
        print(f"  {score:.3f}  {width:.0f} x {height:.0f} pixels at ({x:.0f}, {y:.0f})")
    found = output / f"{picture.stem}.json"
    found.write_text(json.dumps(persons.as_objects(), indent=1))
    drawing = output / f"{picture.stem}.png"
    draw_skeleton(picture, persons.keypoints, drawing)
    print(f"Written: {found}, {drawing}")


def parse_options() -> argparse.Namespace:
    """The flags of this program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--detector", type=Path, metavar="FILE.onnx", required=True, help="YOLOX nano of COCO"
    )
    parser.add_argument(
        "--pose", type=Path, metavar="FILE.onnx", required=True, help="PP-TinyPose, 256 x 192"
    )
    parser.add_argument(
        "--image", type=Path, metavar="FILE", nargs="+", required=True, help="pictures of persons"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", default=HERE / "out",
        help="where drawings, keypoints and the server's log go (default: out/, here)",
    )  # fmt: skip
    return parser.parse_args()


def run(options: argparse.Namespace) -> None:
    """Does what the flags ask for.

    Raises:
        DemoError: something is not there, or a picture is refused.
    """
    if not entry_points(group="despina.backends", name="yolox_persons"):
        command = f"{sys.executable} -m pip install --no-deps --no-build-isolation {HERE}/plugin"
        raise DemoError(f"the backends of this example are not installed: {command}")
    check_pictures(options.image, options.output)
    options.output.mkdir(parents=True, exist_ok=True)
    with (
        model_repository(options.detector, options.pose) as repository,
        running_server(repository, options.output / "server.log") as server,
        http.InferenceServerClient(server.http_address) as client,
    ):
        for picture in options.image:
            show(picture, find_persons(client, picture), options.output)
        print()


def main() -> None:
    """Runs the demo; exit status 1 and one line on standard error where it fails."""
    # As Ctrl-C does, SIGTERM ends the server too, which is in a session of its own.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        run(parse_options())
    except (DemoError, ServerError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
