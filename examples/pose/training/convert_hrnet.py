"""Turns a published HRNet-W32 or HRNet-W48 pose checkpoint into ONNX for the model repository.

The checkpoint is a PyTorch file with the keys of the original release of HRNet for human pose
(COCO, 17 keypoints), such as pose_hrnet_w32_256x192.pth: a state dict, plain or under "state_dict"
or "model", with or without the prefix "module.". The ONNX model takes ``input``
[batch, 3, height, width] and gives ``heatmaps`` [batch, 17, height / 4, width / 4], float32, with
the same meaning as those of this example's own network.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from hrnet import WIDTHS, HRNet
from onnx_export import export_onnx

SIZES = {"256x192": (256, 192), "384x288": (384, 288)}
_SHOWN = 8  # how many keys an error lists


class CheckpointError(Exception):
    """The file is no checkpoint of an HRNet that this script knows; the message says why."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name, without wrappers and prefixes.

    Only tensors and plain containers are unpickled, never code. Raises ``CheckpointError``.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a PyTorch file of tensors: {reason}") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a state dict")
    state = {
        str(key).removeprefix("module."): value
        for key, value in content.items()
        if isinstance(value, Tensor)
    }
    if not state:
        raise CheckpointError(f"{path}: holds no tensors")
    return state


def _some(names: list[str]) -> str:
    listed = ", ".join(names[:_SHOWN])
    return listed + (f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def build_hrnet(state: Mapping[str, Tensor], origin: str) -> HRNet:
    """Build the HRNet whose weights are ``state``, its width read off the weights.

    Raises ``CheckpointError``, naming ``origin``, for weights that are missing, unexpected or of a
    wrong shape. The step counters of batch normalisation (``num_batches_tracked``) may be absent.
    """
    marker = state.get("transition1.0.0.weight")
    if marker is None or marker.dim() != 4:
        raise CheckpointError(
            f"{origin}: key 'transition1.0.0.weight' is missing or no convolution, so this is no "
            f"HRNet checkpoint of the original release; its first keys are: {_some(sorted(state))}"
        )
    width = marker.shape[0]
    if width not in WIDTHS:
        raise CheckpointError(f"{origin}: HRNet-W{width}; known are W32 and W48")
    network = HRNet(width)
    expected = network.state_dict()
    needed = [key for key in expected if not key.endswith("num_batches_tracked")]
    problems = {
        "missing": [key for key in needed if key not in state],
        "unexpected": [key for key in state if key not in expected],
        "of another shape": [
            f"{key} {list(state[key].shape)} instead of {list(expected[key].shape)}"
            for key in needed
            if key in state and state[key].shape != expected[key].shape
        ],
    }
    found = [f"{len(keys)} {problem}: {_some(keys)}" for problem, keys in problems.items() if keys]
    if found:
        raise CheckpointError(f"{origin}: not the weights of HRNet-W{width}; " + "; ".join(found))
    network.load_state_dict({key: state[key] for key in expected if key in state}, strict=False)
    return network.eval()


def convert(checkpoint: Path, output: Path, size: str) -> tuple[int, float]:
    """Convert ``checkpoint`` for pictures of ``size`` (a key of ``SIZES``).

    Returns the width of the network and the largest difference between onnxruntime and torch.
    Raises ``CheckpointError`` and what ``export_onnx`` raises.
    """
    network = build_hrnet(read_state_dict(checkpoint), str(checkpoint))
    height, width = SIZES[size]
    return network.final_layer.in_channels, export_onnx(network, output, height, width)


def main() -> None:
    """Read the command line and convert."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="PyTorch file (.pth)")
    parser.add_argument("output", type=Path, help="ONNX file to write")
    parser.add_argument("--size", choices=SIZES, default="256x192", help="height x width")
    options = parser.parse_args()
    try:
        width, difference = convert(options.checkpoint, options.output, options.size)
    except CheckpointError as error:
        raise SystemExit(f"error: {error}") from None
    print(
        f"{options.output}: HRNet-W{width}, {options.size}, "
        f"differs from torch by at most {difference:.1e}"
    )


if __name__ == "__main__":
    main()
