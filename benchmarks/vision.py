"""What preprocessing a photograph costs in C++ and in Python; what an ensemble adds to its network.

All models are in one server, in this process, and are asked in turn, one request at a time; the
median of many rounds counts. The cost is the process's CPU time from request to answer. The pose
network is served with one thread, and the share is told by the server's own statistics.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from compare import commit

import despina

PHOTOS = [
    "yoga.jpg",
    "yoga_13mp.jpg",
    "yoga_exif_orientation6.jpg",
    "three_people.jpg",
    "squat.jpg",
    "squat_rgba.png",
    "squat.bmp",
]
SHARE_PHOTOS = ["squat.jpg", "yoga.jpg", "yoga_exif_orientation6.jpg"]
WARM_UP = 5

PARAMETERS = {
    "width": "192",
    "height": "256",
    "padding": "1.0",
    "mean": "0.485,0.456,0.406",
    "std": "0.229,0.224,0.225",
}
IMPLEMENTATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "cpp": ("image_preprocess", {}),
    "python": ("image_preprocess_python", {}),
    # As an image is usually decoded with OpenCV: whole.
    "python_whole": ("image_preprocess_python", {"reduced_decode": "false"}),
}
NETWORK = """\
backend: "onnxruntime"
max_batch_size: 8
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
"""
ENSEMBLE = """\
platform: "ensemble"
max_batch_size: 8
input { name: "IMAGE" data_type: TYPE_STRING dims: 1 }
output { name: "KEYPOINTS" data_type: TYPE_FP32 dims: [ 17, 3 ] }
ensemble_scheduling {
  step {
    model_name: "cpp" model_version: -1
    input_map { key: "IMAGE" value: "IMAGE" }
    output_map { key: "TENSOR" value: "tensor" }
    output_map { key: "INVERSE_TRANSFORM" value: "inverse" }
  }
  step {
    model_name: "network" model_version: -1
    input_map { key: "image" value: "tensor" }
    output_map { key: "conv2d_441.tmp_1" value: "heatmaps" }
  }
  step {
    model_name: "postprocess" model_version: -1
    input_map { key: "HEATMAPS" value: "heatmaps" }
    input_map { key: "INVERSE_TRANSFORM" value: "inverse" }
    output_map { key: "KEYPOINTS" value: "KEYPOINTS" }
  }
}
"""


def configuration(backend: str, parameters: dict[str, str]) -> str:
    """A model's, with its tensors left to the backend."""
    lines = [f'backend: "{backend}"', "max_batch_size: 8"]
    for key, value in parameters.items():
        lines.append(f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}')
    return "\n".join(lines)


@contextmanager
def server(network: Path) -> Iterator[despina.Server]:
    """With all models of both parts."""
    models = {
        name: configuration(backend, {**PARAMETERS, **more})
        for name, (backend, more) in IMPLEMENTATIONS.items()
    }
    models |= {"network": NETWORK, "ensemble": ENSEMBLE}
    models["postprocess"] = configuration("pose_postprocess", {})
    with tempfile.TemporaryDirectory() as folder:
        for name, text in models.items():
            (Path(folder) / name / "1").mkdir(parents=True)
            (Path(folder) / name / "config.pbtxt").write_text(text)
        (Path(folder) / "network" / "1" / "model.onnx").symlink_to(network)
        with despina.Server(folder) as running:
            yield running


def cost(running: despina.Server, model: str, data: bytes) -> float:
    """Milliseconds of CPU time that one request takes."""
    images = np.array([[data]], object)
    begin = time.process_time()
    running.infer(model, {"IMAGE": images})
    return (time.process_time() - begin) * 1e3


def compare(running: despina.Server, data: bytes, rounds: int) -> dict[str, Any]:
    """Medians of the implementations, and of the rounds' ratios: how often C++ goes into each."""
    seen: dict[str, list[float]] = {name: [] for name in IMPLEMENTATIONS}
    for turn in range(WARM_UP + rounds):
        for name, costs in seen.items():
            milliseconds = cost(running, name, data)
            if turn >= WARM_UP:
                costs.append(milliseconds)
    row: dict[str, Any] = {
        f"{name}_ms": round(statistics.median(costs), 3) for name, costs in seen.items()
    }
    for name in ("python", "python_whole"):
        ratios = [other / cpp for other, cpp in zip(seen[name], seen["cpp"], strict=True)]
        row[f"{name}_ratio"] = round(statistics.median(ratios), 2)
    return row


def nanoseconds(running: despina.Server, model: str, field: str) -> int:
    """What the statistics count of a model's requests."""
    (stats,) = running.statistics(model)["model_stats"]
    return int(stats["inference_stats"][field]["ns"])


def share(running: despina.Server, data: bytes, rounds: int) -> dict[str, Any]:
    """Which part of an ensemble's time is not the network's own; the median of rounds."""
    shares, totals = [], []
    for _ in range(WARM_UP + rounds):
        before = [
            nanoseconds(running, "ensemble", "success"),
            nanoseconds(running, "network", "compute_infer"),
        ]
        running.infer("ensemble", {"IMAGE": np.array([[data]], object)})
        total = nanoseconds(running, "ensemble", "success") - before[0]
        network = nanoseconds(running, "network", "compute_infer") - before[1]
        shares.append(1 - network / total)
        totals.append(total / 1e6)
    return {
        "outside_network": round(statistics.median(shares[WARM_UP:]), 4),
        "ensemble_ms": round(statistics.median(totals[WARM_UP:]), 2),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| photograph | C++, ms | Python, ms | Python, decoded whole, ms | ratios |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        if row["what"] == "preprocess":
            lines.append(
                f"| {row['photo']} | {row['cpp_ms']:.2f} | {row['python_ms']:.2f} "
                f"| {row['python_whole_ms']:.2f} "
                f"| {row['python_ratio']:.2f}, {row['python_whole_ratio']:.2f} |"
            )
    lines += ["", "| ensemble of | outside the network | in all, ms |", "|---|---|---|"]
    for row in rows:
        if row["what"] == "ensemble":
            percent = 100 * row["outside_network"]
            lines.append(f"| {row['photo']} | {percent:.1f} % | {row['ensemble_ms']:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Measures, appends the rows to a file, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with models/ and photos/")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--out", type=Path, help="file of rows to append to")
    options = parser.parse_args()
    rows = []
    with server(options.data / "models" / "pp_tinypose_256x192.onnx") as running:
        for what, measure, photos in (
            ("preprocess", compare, PHOTOS),
            ("ensemble", share, SHARE_PHOTOS),
        ):
            for photo in photos:
                print(f"{what} of {photo}", file=sys.stderr)
                figures = measure(
                    running, (options.data / "photos" / photo).read_bytes(), options.rounds
                )
                about = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit()}
                rows.append({"what": what, "photo": photo, **figures, "rounds": options.rounds})
                rows[-1] |= about
    if options.out:
        with options.out.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    print(table(rows))


if __name__ == "__main__":
    main()
