"""Trains the pose network on synthetic people.

Sample i of the training set is rendered when it is needed and used once. A checkpoint is written
now and then; started again with the same file, training goes on from there, also with another
batch or number of samples: the learning rate then follows the new schedule.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from network import (
    HEATMAP_HEIGHT,
    HEATMAP_STRIDE,
    HEATMAP_WIDTH,
    IMAGENET_MEAN,
    IMAGENET_STD,
    PoseNetwork,
)  # fmt: skip
from synthetic_people import FORMAT_VERSION, SyntheticPeople

TRAINING_SEED = 1
_HEATMAP_DEVIATION = 2.0  # in cells of the heatmap
_WARM_UP = 6400  # samples

Batch = tuple[Tensor, Tensor]  # images [N, H, W, 3] uint8, keypoints [N, 17, 3] float32


def normalise(images: NDArray[np.uint8]) -> Tensor:
    """[N, H, W, 3] uint8 RGB → [N, 3, H, W] float32 as the network takes it."""
    mean, deviation = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    scaled = torch.from_numpy(images).to(torch.float32) / 255
    return ((scaled - mean) / deviation).permute(0, 3, 1, 2)


def target_heatmaps(keypoints: Tensor) -> Tensor:
    """[N, 17, 3] keypoints in pixels → [N, 17, 64, 48] with a Gaussian of height 1 at each.

    Cell (i, j) stands for the pixel (4 i, 4 j), as in HRNet. Keypoints of visibility 0 get an empty
    heatmap: they are outside, or on a face turned away.
    """
    cells = keypoints[..., :2] / HEATMAP_STRIDE
    x = torch.arange(HEATMAP_WIDTH) - cells[..., 0:1]
    y = torch.arange(HEATMAP_HEIGHT) - cells[..., 1:2]
    factor = -0.5 / _HEATMAP_DEVIATION**2
    gaussian = torch.exp(factor * y**2)[..., :, None] * torch.exp(factor * x**2)[..., None, :]
    return gaussian * (keypoints[..., 2] > 0)[..., None, None]


class RenderedSamples(IterableDataset[tuple[NDArray[np.uint8], NDArray[np.float32]]]):
    """Samples ``first``, ``first`` + 1, … of the training set, shared out among the workers."""

    def __init__(self, seed: int, first: int, end: int) -> None:
        self.seed, self.first, self.end = seed, first, end

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        cv2.setNumThreads(0)
        worker = get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        people = SyntheticPeople(self.seed)
        for index in range(self.first + number, self.end, count):
            sample = people.sample(index)
            yield sample.image, sample.keypoints


class Training:
    """Network, optimiser and progress; written to and read from one checkpoint file."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.network = PoseNetwork()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=options.learning_rate, weight_decay=0.01
        )
        self.seen = 0  # samples
        if options.checkpoint.exists():
            self._resume()

    def _resume(self) -> None:
        path = self.options.checkpoint
        saved = torch.load(path, map_location="cpu", weights_only=True)
        for name in ("format_version", "seed"):
            if saved[name] != self._settings()[name]:
                raise SystemExit(
                    f"{path}: was made with {name} {saved[name]}, "
                    f"this run has {self._settings()[name]}; choose another file"
                )
        self.network.load_state_dict(saved["network"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.seen = saved["seen"]
        print(f"{path}: goes on from sample {self.seen}")

    def _settings(self) -> dict[str, int]:
        return {"format_version": FORMAT_VERSION, "seed": self.options.seed}

    def save(self) -> None:
        """Write the checkpoint; a crash in between leaves the previous one."""
        path: Path = self.options.checkpoint
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".partial")
        state = {
            **self._settings(),
            "seen": self.seen,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, temporary)
        temporary.replace(path)

    def learning_rate(self) -> float:
        """Linear warm-up, then half a cosine down to nothing."""
        peak: float = self.options.learning_rate
        if self.seen < _WARM_UP:
            return peak * (self.seen + 1) / _WARM_UP
        done = (self.seen - _WARM_UP) / max(1, self.options.samples - _WARM_UP)
        return peak * 0.5 * (1 + math.cos(math.pi * done)) + 1e-6

    def update(self, images: Tensor, keypoints: Tensor) -> float:
        """One step of the optimiser; returns the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        inputs = normalise(images.numpy()).contiguous(memory_format=torch.channels_last)
        # On processors that compute in bfloat16 a step takes half the time.
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bfloat16):
            heatmaps = self.network(inputs)
        error = (heatmaps.float() - target_heatmaps(keypoints)) ** 2
        loss = error.sum(dim=(2, 3)).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.seen += len(images)
        return float(loss.detach())

    def run(self) -> None:
        """Train to the last sample."""
        options = self.options
        samples = RenderedSamples(options.seed, self.seen, options.samples)
        loader: Iterable[Batch] = DataLoader(
            samples, batch_size=options.batch, num_workers=options.workers,
            prefetch_factor=8 if options.workers else None,
        )  # fmt: skip
        started, first, average = time.monotonic(), self.seen, 0.0
        self.network.train()
        for step, (images, keypoints) in enumerate(loader, start=1):
            loss = self.update(images, keypoints)
            average = loss if average == 0.0 else 0.98 * average + 0.02 * loss
            if step % options.report_every == 0:
                pace = (time.monotonic() - started) / (self.seen - first)
                minutes = pace * (options.samples - self.seen) / 60
                print(
                    f"sample {self.seen}/{options.samples}  loss {average:.3f}  "
                    f"{pace * 1e3:.1f} ms per sample  {minutes:.1f} min left",
                    flush=True,
                )
            if step % options.save_every == 0:
                self.save()
        self.save()


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="file to write, or to go on from")
    parser.add_argument("--samples", type=int, default=140_000, help="samples in all")
    parser.add_argument("--batch", type=int, default=32, help="samples per step")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="its peak")
    parser.add_argument("--seed", type=int, default=TRAINING_SEED, help="of samples and weights")
    parser.add_argument("--workers", type=int, default=1, help="processes that render samples")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--report-every", type=int, default=20, help="steps")
    parser.add_argument("--save-every", type=int, default=200, help="steps")
    parser.add_argument(
        "--bfloat16", action=argparse.BooleanOptionalAction, default=True, help="compute in it"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    Training(options).run()


if __name__ == "__main__":
    main()
