"""Random human poses: joint angles become the positions of joints in space.

Lengths are in units of the person's stature. Axes: x to the right of the picture, y down, z towards
the viewer; before it is turned, a body faces the viewer, so that its left is at positive x.
Proportions follow the usual anthropometric tables (Drillis and Contini, 1966), with variation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
LEFT, RIGHT = 1.0, -1.0

KEYPOINT_NAMES = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip


@dataclass(frozen=True)
class LimbAngles:
    """Angles of one limb in degrees, all zero when it hangs straight down.

    ``flexion`` raises it forwards, ``abduction`` sideways, ``twist`` turns it about its own axis,
    ``bend`` closes the elbow or knee.
    """

    flexion: float = 0.0
    abduction: float = 0.0
    twist: float = 0.0
    bend: float = 0.0


@dataclass(frozen=True)
class Pose:
    """Joint angles of a body, in degrees. Pairs are (left, right)."""

    arms: tuple[LimbAngles, LimbAngles]
    legs: tuple[LimbAngles, LimbAngles]
    lean: float = 0.0
    side_bend: float = 0.0
    shoulder_twist: float = 0.0
    head: tuple[float, float, float] = (0.0, 0.0, 0.0)  # turn, nod, tilt


@dataclass(frozen=True)
class Skeleton:
    """Joint positions ``joints[name]`` [3] and the frames (columns x, y, z) [3, 3] of a body."""

    joints: dict[str, Vector]
    pelvis: Vector
    chest: Vector
    head: Vector
    head_size: float

    def turned(self, view: Vector) -> Skeleton:
        """The same body after the rotation ``view`` [3, 3]."""
        return Skeleton(
            {name: view @ place for name, place in self.joints.items()},
            view @ self.pelvis,
            view @ self.chest,
            view @ self.head,
            self.head_size,
        )


def rotation(axis: int, degrees: float) -> Vector:
    """Rotation matrix [3, 3] about axis 0 (x), 1 (y) or 2 (z)."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def limb_directions(angles: LimbAngles, side: float, knee: bool) -> tuple[Vector, Vector, Vector]:
    """Directions of the upper part, the lower part, and the front of the lower part."""
    turn = rotation(0, angles.flexion) @ rotation(2, -side * angles.abduction)
    twist, bend = np.radians(angles.twist), np.radians(angles.bend)
    upper = turn[:, 1]
    towards = turn @ np.array([-side * np.sin(twist), 0.0, np.cos(twist)])
    if knee:
        towards = -towards
    lower = np.cos(bend) * upper + np.sin(bend) * towards
    front = np.sin(bend) * upper - np.cos(bend) * towards
    return upper, lower, front


def _uniform_limb(
    rng: np.random.Generator,
    flexion: tuple[float, float],
    abduction: tuple[float, float],
    bend: tuple[float, float],
    twist: tuple[float, float] = (-10.0, 40.0),
) -> LimbAngles:
    low, high = zip(flexion, abduction, twist, bend, strict=True)
    return LimbAngles(*rng.uniform(low, high))


def _free_arm(rng: np.random.Generator) -> LimbAngles:
    kind = rng.integers(6)
    if kind == 0:  # forwards or up through the front
        return _uniform_limb(rng, (20, 170), (-20, 30), (0, 60))
    if kind == 1:  # sideways or up through the side
        return _uniform_limb(rng, (-15, 25), (50, 165), (0, 70), (-90, 90))
    if kind == 2:  # hand on the hip
        return _uniform_limb(rng, (-30, 10), (30, 60), (75, 115), (50, 95))
    if kind == 3:  # hand in front of the chest or at the face
        return _uniform_limb(rng, (0, 70), (0, 40), (80, 145), (-10, 70))
    if kind == 4:  # hanging
        return _uniform_limb(rng, (-20, 25), (3, 25), (0, 45))
    return _uniform_limb(rng, (-40, 170), (-15, 120), (0, 140), (-60, 90))


def _straight_leg(rng: np.random.Generator) -> LimbAngles:
    return _uniform_limb(rng, (-10, 15), (-3, 16), (0, 14), (-15, 10))


def _walking(rng: np.random.Generator) -> Pose:
    stride, swing = rng.uniform(8, 38), rng.uniform(5, 45)
    legs = (
        LimbAngles(stride, rng.uniform(-3, 6), 0.0, rng.uniform(0, 30)),
        LimbAngles(-0.8 * stride, rng.uniform(-3, 6), 0.0, rng.uniform(5, 70)),
    )
    arms = (
        LimbAngles(-swing, rng.uniform(3, 20), 20.0, rng.uniform(5, 80)),
        LimbAngles(0.8 * swing, rng.uniform(3, 20), 20.0, rng.uniform(5, 95)),
    )
    if rng.random() < 0.5:
        legs, arms = legs[::-1], arms[::-1]
    return Pose(arms, legs, lean=rng.uniform(-3, 15), shoulder_twist=rng.normal(0, 10))


def _squatting(rng: np.random.Generator) -> Pose:
    hip, knee, spread = rng.uniform(40, 115), rng.uniform(60, 135), rng.uniform(0, 40)
    legs = (
        LimbAngles(hip, spread, rng.uniform(-20, 10), knee),
        LimbAngles(hip + rng.normal(0, 8), spread, rng.uniform(-20, 10), knee + rng.normal(0, 8)),
    )
    arms = (_free_arm(rng), _free_arm(rng))
    if rng.random() < 0.4:
        both = _uniform_limb(rng, (30, 95), (-25, 10), (0, 130))
        arms = (both, both)
    return Pose(arms, legs, lean=rng.uniform(5, 65))


def _sitting(rng: np.random.Generator) -> Pose:
    legs = (
        _uniform_limb(rng, (65, 100), (-5, 30), (40, 115), (-10, 10)),
        _uniform_limb(rng, (65, 100), (-5, 30), (40, 115), (-10, 10)),
    )
    arms = (
        _uniform_limb(rng, (0, 55), (0, 25), (15, 110), (0, 70)),
        _uniform_limb(rng, (0, 55), (0, 25), (15, 110), (0, 70)),
    )
    return Pose(arms, legs, lean=rng.uniform(-20, 30))


def _wide_stance(rng: np.random.Generator) -> Pose:
    legs = [_uniform_limb(rng, (-10, 15), (15, 50), (0, 15), (-10, 10)) for _ in range(2)]
    if rng.random() < 0.6:  # a lunge to one side: the knee is above its ankle
        bent = rng.uniform(40, 85)
        legs[rng.integers(2)] = LimbAngles(rng.uniform(0, 20), bent, -90.0, bent)
    arms = (_free_arm(rng), _free_arm(rng))
    if rng.random() < 0.5:
        both = _uniform_limb(rng, (-10, 10), (60, 175), (0, 20), (-40, 40))
        arms = (both, both)
    return Pose(arms, (legs[0], legs[1]), lean=rng.uniform(-5, 20))


def _any_pose(rng: np.random.Generator) -> Pose:
    legs = (
        _uniform_limb(rng, (-35, 110), (-8, 60), (0, 125), (-25, 15)),
        _uniform_limb(rng, (-35, 110), (-8, 60), (0, 125), (-25, 15)),
    )
    return Pose((_free_arm(rng), _free_arm(rng)), legs, lean=rng.uniform(-20, 80))


def random_pose(rng: np.random.Generator) -> Pose:
    """Draw a pose: standing, walking, arms in use, squatting, sitting, wide stance, or any."""
    kind = rng.choice(7, p=[0.18, 0.17, 0.23, 0.12, 0.08, 0.12, 0.10])
    if kind == 0:
        arms = (
            _uniform_limb(rng, (-15, 20), (2, 22), (0, 40)),
            _uniform_limb(rng, (-15, 20), (2, 22), (0, 40)),
        )
        pose = Pose(arms, (_straight_leg(rng), _straight_leg(rng)), lean=rng.uniform(-6, 10))
    elif kind == 1:
        pose = _walking(rng)
    elif kind == 2:
        legs = (_straight_leg(rng), _straight_leg(rng))
        pose = Pose((_free_arm(rng), _free_arm(rng)), legs, lean=rng.uniform(-10, 30))
    else:
        pose = (_squatting, _sitting, _wide_stance, _any_pose)[kind - 3](rng)
    turn, nod, tilt = rng.normal(0, 1, 3) * (28, 14, 8)
    return replace(
        pose,
        side_bend=rng.normal(0, 6),
        shoulder_twist=pose.shoulder_twist + rng.normal(0, 8),
        head=(float(np.clip(turn, -75, 75)), float(np.clip(nod, -40, 45)), tilt),
    )


def random_view(rng: np.random.Generator) -> Vector:
    """Draw the rotation [3, 3] under which the body is seen: mostly upright, any side."""
    kind = rng.random()
    if kind < 0.5:
        yaw = rng.normal(0, 30)
    elif kind < 0.68:
        yaw = rng.normal(180, 35)
    else:
        yaw = rng.uniform(-180, 180)
    roll = rng.uniform(-110, 110) if rng.random() < 0.06 else rng.normal(0, 6)
    return rotation(2, roll) @ rotation(0, rng.normal(-6, 9)) @ rotation(1, yaw)


def _limb(
    joints: dict[str, Vector], names: tuple[str, str, str, str], frame: Vector,
    directions: tuple[Vector, Vector, Vector], lengths: tuple[float, float],
) -> Vector:  # fmt: skip
    """Add middle and end joint of a limb; returns the direction of its front."""
    start, middle, end, side = names
    upper, lower, front = (frame @ direction for direction in directions)
    joints[f"{side}_{middle}"] = joints[f"{side}_{start}"] + lengths[0] * upper
    joints[f"{side}_{end}"] = joints[f"{side}_{middle}"] + lengths[1] * lower
    return front


def build_skeleton(rng: np.random.Generator, pose: Pose) -> Skeleton:
    """Give ``pose`` a body of random proportions, its pelvis at the origin, facing the viewer."""
    scale = rng.uniform(0.92, 1.08, 8)
    head_size = rng.uniform(0.92, 1.2)
    pelvis = rotation(0, -0.6 * pose.lean)
    chest = rotation(0, -pose.lean) @ rotation(2, pose.side_bend) @ rotation(1, pose.shoulder_twist)
    turn, nod, tilt = pose.head
    # Half of a strong lean is taken back by the neck: people look where they go.
    upright = rotation(0, 0.5 * pose.lean)
    head = chest @ upright @ rotation(2, tilt) @ rotation(1, turn) @ rotation(0, -nod)

    joints: dict[str, Vector] = {"pelvis": np.zeros(3)}
    joints["waist"] = -0.1 * scale[0] * pelvis[:, 1]
    joints["neck"] = joints["waist"] - 0.2 * scale[0] * chest[:, 1]
    joints["head"] = joints["neck"] + 0.06 * (-chest[:, 1]) - head_size * 0.055 * head[:, 1]
    for side, sign, arm, leg in zip(
        ("left", "right"), (LEFT, RIGHT), pose.arms, pose.legs, strict=True
    ):
        shrug = 0.0002 * max(arm.abduction - 30.0, 0.0)
        joints[f"{side}_shoulder"] = joints["neck"] + chest @ np.array(
            [sign * (0.108 * scale[1] - 0.5 * shrug), 0.012 - shrug, 0.0]
        )
        joints[f"{side}_hip"] = pelvis @ np.array([sign * 0.06 * scale[2], 0.0, 0.0])
        directions = limb_directions(arm, sign, knee=False)
        lengths = (0.17 * scale[3], 0.148 * scale[4])
        _limb(joints, ("shoulder", "elbow", "wrist", side), chest, directions, lengths)
        directions = limb_directions(leg, sign, knee=True)
        lengths = (0.24 * scale[5], 0.235 * scale[6])
        front = _limb(joints, ("hip", "knee", "ankle", side), np.eye(3), directions, lengths)
        shin = joints[f"{side}_ankle"] - joints[f"{side}_knee"]
        hand = joints[f"{side}_wrist"] - joints[f"{side}_elbow"]
        joints[f"{side}_hand"] = joints[f"{side}_wrist"] + 0.5 * hand + rng.normal(0, 0.015, 3)
        joints[f"{side}_heel"] = joints[f"{side}_ankle"] + 0.12 * shin - 0.025 * front
        drop = rng.uniform(0.02, 0.2)
        joints[f"{side}_toe"] = joints[f"{side}_ankle"] + 0.115 * front + drop * shin
    _add_face(joints, head, head_size)
    return Skeleton(joints, pelvis, chest, head, head_size)


def _add_face(joints: dict[str, Vector], head: Vector, size: float) -> None:
    face = {
        "nose": (0.0, 0.012, 0.068), "mouth": (0.0, 0.036, 0.056),
        "left_eye": (0.02, -0.008, 0.055), "right_eye": (-0.02, -0.008, 0.055),
        "left_ear": (0.05, 0.004, -0.004), "right_ear": (-0.05, 0.004, -0.004),
    }  # fmt: skip
    for name, place in face.items():
        joints[name] = joints["head"] + size * (head @ np.array(place))
