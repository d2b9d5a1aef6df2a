"""Keypoints from heatmaps, for many heatmaps at a time.

A heatmap is one keypoint's map of evidence; its cells are counted from the centre of the first,
which is (0, 0). Everything works on stacks [M, h, w] and on peaks given as integer columns and
rows [M].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from despina_sdk import Array

DARK_SIGMA = 2.0
"""Of the Gaussian, in cells, with which networks of this kind are trained to answer."""

_DARK_RADIUS = 5
_EPSILON = 1e-10


def find_peaks(heatmaps: Array) -> tuple[Array, Array, Array]:
    """The highest cell of each map: columns, rows, values [M]. Of equals the first is taken."""
    count, height, width = heatmaps.shape
    flat = heatmaps.reshape(count, height * width)
    index = flat.argmax(axis=1)
    return index % width, index // width, flat[np.arange(count), index]


def no_shift(heatmaps: Array, columns: Array, rows: Array) -> tuple[Array, Array]:
    """Keeps the centre of the highest cell."""
    still = np.zeros(len(heatmaps), np.float32)
    return still, still


def quarter_shift(heatmaps: Array, columns: Array, rows: Array) -> tuple[Array, Array]:
    """A quarter of a cell toward the higher neighbour, along each axis.

    Source: A. Newell, K. Yang, J. Deng, "Stacked Hourglass Networks for Human Pose Estimation",
    ECCV 2016; used likewise by B. Xiao, H. Wu, Y. Wei, "Simple Baselines for Human Pose
    Estimation and Tracking", ECCV 2018. A peak on the border has no neighbour on one side and
    stays where it is along that axis.
    """
    patches = _patches(heatmaps, columns, rows, radius=1)
    height, width = heatmaps.shape[1:]
    inner_x = (columns > 0) & (columns < width - 1)
    inner_y = (rows > 0) & (rows < height - 1)
    shift_x = 0.25 * np.sign(patches[:, 1, 2] - patches[:, 1, 0]) * inner_x
    shift_y = 0.25 * np.sign(patches[:, 2, 1] - patches[:, 0, 1]) * inner_y
    return shift_x, shift_y


def dark_shift(heatmaps: Array, columns: Array, rows: Array) -> tuple[Array, Array]:
    """To the top of the parabola that fits the logarithm of the smoothed map at its peak.

    Source: F. Zhang, X. Zhu, H. Dai, M. Ye, C. Zhu, "Distribution-Aware Coordinate Representation
    for Human Pose Estimation" (DARK), CVPR 2020: the map is modulated with a Gaussian, the second
    order Taylor expansion of its logarithm then gives the shift. There is none where that
    expansion has no maximum, nor for peaks closer than two cells to the border, and never more
    than a cell.
    """
    smooth = _smoothed_patches(heatmaps, columns, rows, radius=2)
    log = np.log(np.maximum(smooth, _EPSILON))
    dx = (log[:, 2, 3] - log[:, 2, 1]) / 2
    dy = (log[:, 3, 2] - log[:, 1, 2]) / 2
    dxx = (log[:, 2, 4] - 2 * log[:, 2, 2] + log[:, 2, 0]) / 4
    dyy = (log[:, 4, 2] - 2 * log[:, 2, 2] + log[:, 0, 2]) / 4
    dxy = (log[:, 3, 3] - log[:, 3, 1] - log[:, 1, 3] + log[:, 1, 1]) / 4
    determinant = dxx * dyy - dxy * dxy
    height, width = heatmaps.shape[1:]
    usable = (determinant > _EPSILON) & (dxx < 0)
    usable &= (columns >= 2) & (columns < width - 2) & (rows >= 2) & (rows < height - 2)
    divisor = np.where(usable, determinant, 1)
    shift_x = np.clip((dxy * dy - dyy * dx) / divisor, -1, 1) * usable
    shift_y = np.clip((dxy * dx - dxx * dy) / divisor, -1, 1) * usable
    return shift_x, shift_y


Refinement = Callable[[Array, Array, Array], tuple[Array, Array]]
REFINEMENTS: Mapping[str, Refinement] = {
    "quarter": quarter_shift,
    "dark": dark_shift,
    "none": no_shift,
}
"""Each takes heatmaps, columns and rows and gives the shifts along x and y, in cells [M]."""


def _patches(heatmaps: Array, columns: Array, rows: Array, radius: int) -> Array:
    """The square around each peak, [M, 2 * radius + 1, 2 * radius + 1], zero outside the map."""
    padded = np.pad(heatmaps, ((0, 0), (radius, radius), (radius, radius)))
    around = np.arange(2 * radius + 1)
    which = np.arange(len(heatmaps))[:, None, None]
    return padded[which, rows[:, None, None] + around[:, None], columns[:, None, None] + around]


def _smoothed_patches(heatmaps: Array, columns: Array, rows: Array, radius: int) -> Array:
    """The same, of the maps after a Gaussian. Only what is looked at is computed."""
    patches = _patches(heatmaps, columns, rows, radius + _DARK_RADIUS).astype(np.float64)
    distance = np.arange(-_DARK_RADIUS, _DARK_RADIUS + 1)
    kernel = np.exp(-(distance**2) / (2 * DARK_SIGMA**2))
    kernel /= math.fsum(kernel)
    for _ in range(2):
        # Along the last axis, then the axes change places: twice makes both, in place again.
        windows = np.lib.stride_tricks.sliding_window_view(patches, len(kernel), axis=2)
        patches = (windows @ kernel).transpose(0, 2, 1)
    return patches
