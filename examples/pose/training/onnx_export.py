"""Writes a pose network as ONNX and proves with onnxruntime that it computes the same."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch
from torch import nn

OPSET = 17
INPUT_NAME, OUTPUT_NAME = "input", "heatmaps"


def export_onnx(network: nn.Module, path: Path, height: int, width: int) -> float:
    """Write ``network`` to ``path`` and compare both on random images, alone and in a batch.

    The file holds its weights (no external data); the batch dimension is dynamic. Returns the
    largest absolute difference seen between the two. Raises ``RuntimeError`` when it exceeds what
    rounding explains (a thousandth of the largest output, and at least 1e-5); then no file is left.
    """
    network = network.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(2, 3, height, width)
    with warnings.catch_warnings():
        # The exporter that traces is deprecated, but needs no package beyond onnx.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (example,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_axes={INPUT_NAME: {0: "batch"}, OUTPUT_NAME: {0: "batch"}},
        )
    onnx.checker.check_model(str(path), full_check=True)
    difference, allowed = largest_difference(network, path, height, width)
    if difference > allowed:
        path.unlink()
        raise RuntimeError(
            f"{path}: onnxruntime and torch differ by {difference:.2e}, more than {allowed:.2e}"
        )
    return difference


def largest_difference(
    network: nn.Module, path: Path, height: int, width: int
) -> tuple[float, float]:
    """Compare ``network`` with the ONNX file on batches of 1 and 2 random images.

    Returns the largest absolute difference and the difference that rounding may cause.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    difference, magnitude = 0.0, 0.0
    for batch in (1, 2):
        images = torch.randn(batch, 3, height, width, generator=generator)
        with torch.no_grad():
            expected = network(images).numpy()
        (actual,) = session.run([OUTPUT_NAME], {INPUT_NAME: images.numpy()})
        difference = max(difference, float(np.abs(actual - expected).max()))
        magnitude = max(magnitude, float(np.abs(expected).max()))
    return difference, max(1e-5, 1e-3 * magnitude)
