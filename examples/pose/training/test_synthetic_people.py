"""What the generator of synthetic people promises."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs the training requirements (training/requirements.txt)")

from skeleton import (  # noqa: E402
    KEYPOINT_NAMES,
    LimbAngles,
    Pose,
    build_skeleton,
    limb_directions,
    rotation,
)
from synthetic_people import (  # noqa: E402
    HIDDEN,
    OUTSIDE,
    TOP_DOWN,
    TRAINING,
    VISIBLE,
    WHOLE_PICTURE,
    Framing,
    Sample,
    SyntheticPeople,
)

COUNT = 40


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    people = SyntheticPeople(seed=7)
    return [people.sample(index) for index in range(COUNT)]


def test_a_sample_depends_on_seed_and_index_only(samples: list[Sample]) -> None:
    again = SyntheticPeople(seed=7)
    for index in (31, 4, 4):  # in another order, and twice
        sample = again.sample(index)
        np.testing.assert_array_equal(sample.image, samples[index].image)
        np.testing.assert_array_equal(sample.keypoints, samples[index].keypoints)
        np.testing.assert_array_equal(sample.box, samples[index].box)


def test_seeds_and_indices_give_different_pictures(samples: list[Sample]) -> None:
    other = SyntheticPeople(seed=8).sample(0)
    assert np.any(other.image != samples[0].image)
    assert np.any(samples[1].image != samples[0].image)


def test_shapes_and_datatypes(samples: list[Sample]) -> None:
    for sample in samples:
        for array, shape, datatype in (
            (sample.image, (256, 192, 3), np.uint8),
            (sample.keypoints, (17, 3), np.float32),
            (sample.box, (4,), np.float32),
        ):
            assert array.shape == shape
            assert array.dtype == datatype
    large = SyntheticPeople(seed=7).sample(0, width=480, height=640)
    assert large.image.shape == (640, 480, 3)


def test_keypoints_that_are_labelled_lie_inside_the_picture(samples: list[Sample]) -> None:
    for sample in samples:
        labelled = sample.keypoints[sample.keypoints[:, 2] > OUTSIDE]
        assert np.all(labelled[:, :2] >= 0)
        assert np.all(labelled[:, :2] < (192, 256))


def test_visible_keypoints_lie_in_the_box_of_the_person(samples: list[Sample]) -> None:
    for sample in samples:
        corner, size = sample.box[:2], sample.box[2:]
        seen = sample.keypoints[sample.keypoints[:, 2] == VISIBLE]
        assert np.all(seen[:, :2] >= corner - 1)
        assert np.all(seen[:, :2] <= corner + size + 1)


def test_every_kind_of_visibility_occurs_and_most_keypoints_are_seen(samples: list[Sample]) -> None:
    visibility = np.concatenate([sample.keypoints[:, 2] for sample in samples])
    assert set(visibility) == {OUTSIDE, HIDDEN, VISIBLE}
    assert np.mean(visibility == VISIBLE) > 0.5
    by_keypoint = np.array([sample.keypoints[:, 2] for sample in samples])
    for number, name in enumerate(KEYPOINT_NAMES):
        assert np.any(by_keypoint[:, number] == VISIBLE), name


def test_a_detectors_framing_fills_most_of_the_picture() -> None:
    people = SyntheticPeople(seed=7, framing=TOP_DOWN)
    for index in range(COUNT):
        _, _, width, height = people.sample(index).box
        assert 0.7 < max(width / 192, height / 256) < 0.9


def test_training_covers_a_whole_picture() -> None:
    low, high = WHOLE_PICTURE.fill
    assert TRAINING.fill[0] <= low < 0.5
    assert high <= TRAINING.fill[1]


def test_closeups_cut_the_person() -> None:
    people = SyntheticPeople(seed=7, framing=Framing(closeup=1.0))
    outside = [np.sum(people.sample(index).keypoints[:, 2] == OUTSIDE) for index in range(10)]
    assert np.mean(outside) > 2


def test_facing_the_viewer_the_left_side_is_at_the_right_of_the_picture() -> None:
    relaxed = (LimbAngles(), LimbAngles())
    skeleton = build_skeleton(np.random.default_rng(0), Pose(relaxed, relaxed))
    for part in ("eye", "ear", "shoulder", "hip", "knee", "ankle"):
        assert skeleton.joints[f"left_{part}"][0] > skeleton.joints[f"right_{part}"][0], part
    turned = skeleton.turned(rotation(1, 180))
    assert turned.joints["left_shoulder"][0] < turned.joints["right_shoulder"][0]
    heights = [skeleton.joints[name][1] for name in ("nose", "neck", "left_hip", "left_knee")]
    assert heights == sorted(heights)


def test_joints_bend_the_way_people_do() -> None:
    forwards, up, outwards = np.array([0, 0, 1]), np.array([0, -1, 0]), np.array([1, 0, 0])
    upper, lower, _ = limb_directions(LimbAngles(bend=90), side=1.0, knee=False)
    np.testing.assert_allclose([upper, lower], [-up, forwards], atol=1e-9)
    upper, lower, _ = limb_directions(LimbAngles(bend=90), side=1.0, knee=True)
    np.testing.assert_allclose([upper, lower], [-up, -forwards], atol=1e-9)
    upper, _, _ = limb_directions(LimbAngles(flexion=90), side=1.0, knee=False)
    np.testing.assert_allclose(upper, forwards, atol=1e-9)
    for side in (1.0, -1.0):
        upper, _, _ = limb_directions(LimbAngles(abduction=90), side=side, knee=False)
        np.testing.assert_allclose(upper, side * outwards, atol=1e-9)
