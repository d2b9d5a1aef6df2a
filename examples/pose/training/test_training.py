"""What training, export and measurement promise, on a few steps."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

_REASON = "needs the training requirements (training/requirements.txt)"
for _module in ("cv2", "onnx", "onnxruntime", "torch"):
    pytest.importorskip(_module, reason=_REASON)

import torch  # noqa: E402

from evaluate import PoseModel, Tally, crop_transform, decode  # noqa: E402
from network import (  # noqa: E402
    INPUT_HEIGHT,
    INPUT_WIDTH,
    PoseNetwork,
    multiply_adds,
    parameter_count,
)
from onnx_export import export_onnx  # noqa: E402
from synthetic_people import SyntheticPeople  # noqa: E402
from train import Training, target_heatmaps  # noqa: E402


def options(checkpoint: Path, **changes: int) -> argparse.Namespace:
    values = {"samples": 4, "batch": 2, "seed": 3, "workers": 0, "report_every": 1, "save_every": 1}
    return argparse.Namespace(
        checkpoint=checkpoint, learning_rate=1e-3, bfloat16=False, **{**values, **changes}
    )


def test_the_network_is_small() -> None:
    network = PoseNetwork().eval()
    image = torch.zeros(1, 3, INPUT_HEIGHT, INPUT_WIDTH)
    assert network(image).shape == (1, 17, 64, 48)
    assert 4 * parameter_count(network) < 4e6, "bytes in the file"
    assert multiply_adds(network, image) < 0.3e9


def test_decoding_the_target_heatmaps_gives_the_keypoints() -> None:
    places = np.random.default_rng(0).uniform((4, 4), (186, 250), (5, 17, 2))
    keypoints = np.concatenate([places, np.full((5, 17, 1), 2)], axis=2).astype(np.float32)
    decoded = decode(target_heatmaps(torch.from_numpy(keypoints)).numpy())
    assert np.abs(decoded[..., :2] - places).max() <= 1.0 + 1e-4, "a quarter of a cell of 4 pixels"
    assert decoded[..., 2].min() > 0.9


def test_a_keypoint_outside_has_an_empty_heatmap() -> None:
    keypoints = torch.tensor([[[50.0, 50.0, visibility] for visibility in (0, 1, 2)]])
    peaks = target_heatmaps(keypoints).amax(dim=(2, 3))[0]
    assert peaks[0] == 0
    assert torch.all(peaks[1:] > 0.9)


def test_training_resumed_gives_what_training_in_one_go_gives(tmp_path: Path) -> None:
    Training(options(tmp_path / "whole.pt", samples=6)).run()
    interrupted = Training(options(tmp_path / "parts.pt", samples=6))
    interrupted.save()
    interrupted = Training(options(tmp_path / "parts.pt", samples=6))
    people = SyntheticPeople(3)
    first = [people.sample(index) for index in range(2)]
    interrupted.network.train()
    interrupted.update(
        torch.from_numpy(np.stack([sample.image for sample in first])),
        torch.from_numpy(np.stack([sample.keypoints for sample in first])),
    )
    interrupted.save()

    Training(options(tmp_path / "parts.pt", samples=6)).run()

    whole, parts = (
        torch.load(tmp_path / name, weights_only=True) for name in ("whole.pt", "parts.pt")
    )
    assert whole["seen"] == parts["seen"] == 6
    for key, value in whole["network"].items():
        torch.testing.assert_close(parts["network"][key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "value"), [("seed", 4)])
def test_going_on_with_another_setting_is_refused(name: str, value: int, tmp_path: Path) -> None:
    Training(options(tmp_path / "run.pt")).save()
    with pytest.raises(
        SystemExit, match=rf"run\.pt: was made with {name} \d, this run has {value}"
    ):
        Training(options(tmp_path / "run.pt", **{name: value}))


def test_the_exported_model_gives_keypoints_of_any_batch(tmp_path: Path) -> None:
    network = PoseNetwork().eval()
    path = tmp_path / "model.onnx"
    assert export_onnx(network, path, INPUT_HEIGHT, INPUT_WIDTH) < 1e-4
    model = PoseModel(path)
    images = np.stack([SyntheticPeople(3).sample(index).image for index in range(3)])
    together = model.keypoints(images)
    assert together.shape == (3, 17, 3)
    for image, keypoints in zip(images, together, strict=True):
        np.testing.assert_allclose(model.keypoints(image[None])[0], keypoints, atol=1e-4)


def test_an_export_that_differs_from_torch_leaves_no_file(tmp_path: Path) -> None:
    class Dropping(torch.nn.Module):
        """Gives something else each time, which no file can hold."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images + torch.rand_like(images)

    with pytest.raises(RuntimeError, match=r"model\.onnx: onnxruntime and torch differ by"):
        export_onnx(Dropping(), tmp_path / "model.onnx", 8, 8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("box", [(100.0, 50.0, 90.0, 120.0), (0.0, 10.0, 300.0, 100.0)])
def test_a_box_is_padded_to_the_middle_of_the_crop(box: tuple[float, ...]) -> None:
    matrix = crop_transform(np.array(box))
    x, y, width, height = box
    corners = np.array([(x, y, 1), (x + width, y + height, 1)]) @ matrix.T
    np.testing.assert_allclose(corners.mean(axis=0), (INPUT_WIDTH / 2, INPUT_HEIGHT / 2))
    share = (corners[1] - corners[0]) / (INPUT_WIDTH, INPUT_HEIGHT)
    assert max(share) == pytest.approx(1 / 1.25)


def test_keypoints_count_as_found_within_a_tenth_of_the_box() -> None:
    truth = np.zeros((17, 2))
    predicted = np.full((17, 2), 100.0)
    predicted[0], predicted[1] = (9.9, 0), (10.1, 0)
    asked = np.zeros(17, bool)
    asked[:2] = True
    tally = Tally()
    tally.add(predicted, truth, asked, side=100.0)
    assert tally.pck() == 0.5
    assert tally.report()["by_keypoint"] == {"nose": 1.0, "left_eye": 0.0}
