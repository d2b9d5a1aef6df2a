"""What a YOLOX network predicts, as boxes.

Decoding: Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv 2107.08430, section 2.1 (the
head of YOLOv3 with one prediction for each cell of three grids, without anchors). Suppression of
double detections: the greedy one of Neubeck and Van Gool, "Efficient Non-Maximum Suppression",
ICPR 2006.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRIDES = (8, 16, 32)
"""Pixels of the network's input for each cell, grid by grid."""

Floats = NDArray[np.floating]


def cells(width: int, height: int) -> NDArray[np.int64]:
    """Column, row and stride of each prediction, [P, 3], for an input of so many pixels."""
    grids = []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        strides = np.full(rows.size, stride)
        grids.append(np.stack([columns.ravel(), rows.ravel(), strides], axis=1))
    return np.concatenate(grids)


def decode(predictions: Floats, grid: NDArray[np.int64], label: int) -> tuple[Floats, Floats]:
    """Boxes and scores of one class.

    Args:
        predictions: [P, 5 + classes]: centre in cells from the cell's corner, logarithm of width
            and height in cells, how sure it is that there is something, and of each class.
        grid: from ``cells``.
        label: number of the class.

    Returns:
        [P, 4], x, y, width, height in pixels of the network's input, counted in pixel edges; [P],
        scores from 0 to 1.
    """
    stride = grid[:, 2:]
    centres = (predictions[:, :2] + grid[:, :2]) * stride
    # No box is a million cells wide: what would overflow is cut off.
    sizes = np.exp(np.minimum(predictions[:, 2:4], 14)) * stride
    boxes = np.concatenate([centres - sizes / 2, sizes], axis=1)
    return boxes, predictions[:, 4] * predictions[:, 5 + label]


def clipped(boxes: Floats, width: int, height: int) -> Floats:
    """What of boxes [N, 4] lies in a picture of so many pixels: nothing is 0 wide or high."""
    low = np.clip(boxes[:, :2], 0, (width, height))
    high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, (width, height))
    return np.concatenate([low, high - low], axis=1)


def overlaps(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one box [4] with each of others [N, 4]."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=1)
    shared: Floats = common / (np.prod(box[2:]) + np.prod(boxes[:, 2:], axis=1) - common)
    return shared


def best_boxes(boxes: Floats, scores: Floats, overlap: float, most: int) -> NDArray[np.int64]:
    """Indices of the boxes to keep, best first: of those that overlap more, the one that is surer.

    Args:
        boxes, scores: [N, 4], [N].
        overlap: intersection over union from which on two boxes are of the same thing.
        most: that are kept.
    """
    left = np.argsort(-scores, kind="stable")
    kept: list[np.int64] = []
    while left.size and len(kept) < most:
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[overlaps(boxes[best], boxes[left]) <= overlap]
    return np.array(kept, np.int64)
