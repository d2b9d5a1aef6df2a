"""Decoding and suppression, on predictions whose boxes are known."""

from __future__ import annotations

import numpy as np
import pytest

from yolox_persons.detection import best_boxes, cells, clipped, decode, overlaps

BOX = np.array([10.0, 10.0, 20.0, 20.0])


def test_each_cell_of_each_grid_has_a_prediction() -> None:
    grid = cells(416, 416)
    assert len(grid) == 52 * 52 + 26 * 26 + 13 * 13 == 3549
    assert grid[1].tolist() == [1, 0, 8]  # columns first
    assert grid[52].tolist() == [0, 1, 8]
    assert grid[-1].tolist() == [12, 12, 32]


def test_an_input_that_is_not_square_has_its_own_grids() -> None:
    assert cells(64, 32)[-2:].tolist() == [[0, 0, 32], [1, 0, 32]]


def test_a_prediction_is_a_centre_and_the_logarithm_of_a_size() -> None:
    grid = np.array([[3, 5, 8]])
    prediction = np.array([[0.5, 0.25, np.log(2), 0, 0.5, 0.1, 0.8]])
    boxes, scores = decode(prediction, grid, label=1)
    np.testing.assert_allclose(boxes, [[28 - 8, 42 - 4, 16, 8]])
    np.testing.assert_allclose(scores, [0.4])


def test_a_size_beyond_all_measure_is_a_number() -> None:
    boxes, _ = decode(np.full((1, 6), 1e30), np.array([[0, 0, 32]]), label=0)
    assert np.isfinite(boxes).all()


def test_of_a_box_stays_what_lies_in_the_picture() -> None:
    boxes = np.array([[-5, -3, 20, 10], [90, 40, 20, 20], [10, 10, 5, 5], [200, 0, 9, 9]], float)
    inside = [[0, 0, 15, 7], [90, 40, 10, 10], [10, 10, 5, 5], [100, 0, 0, 9]]
    assert clipped(boxes, 100, 50).tolist() == inside


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([10, 10, 20, 20], 1.0),
        ([20, 10, 20, 20], 1 / 3),
        ([10, 10, 20, 10], 0.5),
        ([30, 10, 20, 20], 0.0),
        ([100, 100, 5, 5], 0.0),
    ],
)
def test_overlap_is_intersection_over_union(other: list[float], expected: float) -> None:
    np.testing.assert_allclose(overlaps(BOX, np.array([other], float)), [expected])


def test_of_boxes_that_overlap_the_surest_is_kept() -> None:
    boxes = np.stack([BOX, BOX + [1, 0, 0, 0], BOX + [15, 0, 0, 0], BOX + [100, 0, 0, 0]])
    scores = np.array([0.6, 0.9, 0.5, 0.7])
    assert best_boxes(boxes, scores, overlap=0.45, most=9).tolist() == [1, 3, 2]
    assert best_boxes(boxes, scores, overlap=0.45, most=2).tolist() == [1, 3]


def test_a_box_that_was_suppressed_suppresses_none() -> None:
    boxes = np.stack([BOX, BOX + [6, 0, 0, 0], BOX + [12, 0, 0, 0]])
    assert best_boxes(boxes, np.array([0.9, 0.8, 0.7]), overlap=0.45, most=9).tolist() == [0, 2]


def test_without_boxes_none_is_kept() -> None:
    assert best_boxes(np.empty((0, 4)), np.empty(0), overlap=0.45, most=9).tolist() == []
