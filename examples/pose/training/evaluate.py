"""Measures the served network on synthetic people it has never seen, and on real photographs.

The figure is PCK@0.1: the share of keypoints that are found within 0.1 × the longer side of the
person's box. Synthetic: keypoints that can be seen, in samples of a seed of their own, once framed
as by a person detector and once anywhere in a whole picture. Photographs: the keypoints that
the shared test data marks as certain; without that data this part is left out and said to be.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from skeleton import KEYPOINT_NAMES, Vector
from synthetic_people import (
    CROP_HEIGHT,
    CROP_WIDTH,
    FORMAT_VERSION,
    TOP_DOWN,
    VISIBLE,
    WHOLE_PICTURE,
    SyntheticPeople,
)  # fmt: skip

HELD_OUT_SEED = 1000  # train.py draws from seed 1
TOLERANCE = 0.1  # of the longer side of the box

_HERE = Path(__file__).resolve().parent
_CHECKOUT = _HERE.parents[2]
_SERVED_MODEL = _HERE.parent / "model_repository" / "hrnet" / "1" / "model.onnx"
_BATCH = 32
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
# The same photograph in another encoding would count twice.
_REPEATED = {"squat_bmp.pose.json"}


@dataclass
class Tally:
    """Keypoints found and asked for, by keypoint."""

    found: Vector = field(default_factory=lambda: np.zeros(len(KEYPOINT_NAMES)))
    asked: Vector = field(default_factory=lambda: np.zeros(len(KEYPOINT_NAMES)))

    def add(self, predicted: Vector, truth: Vector, asked: NDArray[np.bool_], side: float) -> None:
        """Count one person: points [17, 2], the keypoints asked for [17], the box's longer side."""
        distance = np.linalg.norm(predicted - truth, axis=1)
        self.asked += asked
        self.found += asked & (distance <= TOLERANCE * side)

    def pck(self) -> float:
        """The share found, over all keypoints."""
        return float(self.found.sum() / max(self.asked.sum(), 1))

    def report(self) -> dict[str, Any]:
        """All figures, rounded, for the results file."""
        each = self.found / np.maximum(self.asked, 1)
        return {
            "pck_at_0.1": round(self.pck(), 4),
            "keypoints": int(self.asked.sum()),
            "by_keypoint": {
                name: round(float(share), 4)
                for name, share, asked in zip(KEYPOINT_NAMES, each, self.asked, strict=True)
                if asked
            },
        }


class PoseModel:
    """The ONNX model: pictures in, keypoints out."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def keypoints(self, images: NDArray[np.uint8]) -> Vector:
        """[N, 256, 192, 3] uint8 RGB → [N, 17, 3]: x, y in pixels, score."""
        inputs = (images.astype(np.float32) / 255 - _MEAN) / _DEVIATION
        inputs = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
        (heatmaps,) = self.session.run(["heatmaps"], {"input": inputs})
        return decode(heatmaps)


def decode(heatmaps: NDArray[np.float32]) -> Vector:
    """[N, K, H, W] → [N, K, 3]: the maximum, moved a quarter cell to its higher neighbour.

    This is the decoding that HRNet was published with. x and y are in pixels of the input.
    """
    count, joints, height, width = heatmaps.shape
    padded = np.pad(heatmaps, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    best = heatmaps.reshape(count, joints, -1).argmax(axis=2)
    y, x = best // width, best % width
    sample, joint = np.ogrid[:count, :joints]
    right, left = padded[sample, joint, y + 1, x + 2], padded[sample, joint, y + 1, x]
    below, above = padded[sample, joint, y + 2, x + 1], padded[sample, joint, y, x + 1]
    score = heatmaps[sample, joint, y, x]
    stride = CROP_HEIGHT / height
    points = [x + 0.25 * np.sign(right - left), y + 0.25 * np.sign(below - above)]
    return np.stack([points[0] * stride, points[1] * stride, score], axis=2)


def evaluate_synthetic(model: PoseModel, people: SyntheticPeople, samples: int) -> Tally:
    """PCK over the first ``samples`` samples of ``people``."""
    tally = Tally()
    for first in range(0, samples, _BATCH):
        batch = [people.sample(index) for index in range(first, min(first + _BATCH, samples))]
        predicted = model.keypoints(np.stack([sample.image for sample in batch]))
        for sample, points in zip(batch, predicted, strict=True):
            asked = sample.keypoints[:, 2] == VISIBLE
            side = float(sample.box[2:].max())
            tally.add(points[:, :2], sample.keypoints[:, :2].astype(float), asked, side)
    return tally


def crop_transform(box: Vector) -> Vector:
    """Affine map [2, 3] from a picture to the crop of ``box`` (x, y, width, height).

    The box grows to the crop's aspect, then by 1.25, about its centre.
    """
    x, y, width, height = box
    scale = min(CROP_WIDTH / width, CROP_HEIGHT / height) / 1.25
    centre = np.array([x + width / 2, y + height / 2])
    shift = np.array([CROP_WIDTH / 2, CROP_HEIGHT / 2]) - scale * centre
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def evaluate_photographs(model: PoseModel, shared: Path) -> Iterator[tuple[str, Tally]]:
    """PCK for each photograph of the shared test data that has known people."""
    for path in sorted((shared / "expected").glob("*.pose.json")):
        if path.name in _REPEATED:
            continue
        expected = json.loads(path.read_text())
        picture = cv2.imread(str(shared / "photos" / expected["image"]), cv2.IMREAD_COLOR)
        if picture is None:
            raise SystemExit(f"error: {shared / 'photos' / expected['image']}: cannot be read")
        tally = Tally()
        for person in expected["topdown"]["persons"]:
            matrix = crop_transform(np.array(person["bbox_xywh"], float))
            crop = cv2.warpAffine(picture, matrix, (CROP_WIDTH, CROP_HEIGHT))
            points = model.keypoints(crop[None, ..., ::-1].astype(np.uint8))[0, :, :2]
            points = (points - matrix[:, 2]) / matrix[0, 0]
            truth = np.array([(point["x"], point["y"]) for point in person["keypoints"]])
            certain = np.array([point["must"] for point in person["keypoints"]])
            tally.add(points, truth, certain, float(max(person["bbox_xywh"][2:])))
        yield expected["image"], tally


def _print(title: str, tally: Tally) -> None:
    print(f"{title:34} PCK@0.1 {tally.pck():.3f}  ({int(tally.asked.sum())} keypoints)", flush=True)


def main() -> None:
    """Read the command line, measure, print, and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=_SERVED_MODEL, help="ONNX file")
    parser.add_argument("--samples", type=int, default=2000, help="synthetic samples per framing")
    parser.add_argument("--output", type=Path, help="JSON file to write, e.g. results.json")
    default = os.environ.get("DESPINA_SHARED_DATA", str(_CHECKOUT.parent / "shared" / "data"))
    parser.add_argument(
        "--shared-data",
        type=Path,
        default=Path(default),
        help="folder with photos/ and expected/ (env DESPINA_SHARED_DATA)",
    )
    options = parser.parse_args()
    if not options.model.is_file():
        parser.error(f"{options.model}: no such file")

    model = PoseModel(options.model)
    synthetic = {}
    for name, framing in (("detector box", TOP_DOWN), ("whole picture", WHOLE_PICTURE)):
        people = SyntheticPeople(HELD_OUT_SEED, framing)
        tally = evaluate_synthetic(model, people, options.samples)
        _print(f"synthetic, {name}", tally)
        synthetic[name] = tally.report()
    photographs: dict[str, Any] | None = None
    if (options.shared_data / "expected").is_dir():
        total, photographs = Tally(), {}
        for image, tally in evaluate_photographs(model, options.shared_data):
            _print(f"photograph {image}", tally)
            photographs[image] = tally.report()
            total.found, total.asked = total.found + tally.found, total.asked + tally.asked
        _print("all photographs", total)
        photographs["all"] = total.report()
    else:
        print(f"photographs: left out, {options.shared_data} is not there")
    if options.output:
        content = options.model.read_bytes()
        results = {
            "command": "python evaluate.py "
            f"--samples {options.samples} --output {options.output.name}",
            "model": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
            "generator": {"format_version": FORMAT_VERSION, "seed": HELD_OUT_SEED,
                          "samples": options.samples},
            "synthetic": synthetic,
            "photographs": photographs,
        }  # fmt: skip
        options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
