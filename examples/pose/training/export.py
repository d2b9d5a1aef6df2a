"""Exports a trained checkpoint to the ONNX file that the model repository serves."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from network import INPUT_HEIGHT, INPUT_WIDTH, PoseNetwork
from onnx_export import export_onnx

EXAMPLE = Path(__file__).resolve().parent.parent
SERVED_MODEL = EXAMPLE / "model_repository" / "hrnet" / "1" / "model.onnx"


def main() -> None:
    """Read the command line, export, and print how far onnxruntime is from torch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="file written by train.py")
    parser.add_argument("--output", type=Path, default=SERVED_MODEL, help="(default: %(default)s)")
    options = parser.parse_args()
    if not options.checkpoint.is_file():
        parser.error(f"{options.checkpoint}: no such file")

    network = PoseNetwork()
    checkpoint = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
    network.load_state_dict(checkpoint["network"])
    difference = export_onnx(network, options.output, INPUT_HEIGHT, INPUT_WIDTH)
    size = options.output.stat().st_size
    print(f"{options.output}: {size} bytes, differs from torch by at most {difference:.1e}")


if __name__ == "__main__":
    main()
