"""A dressed body as a mesh: tubes around the bones, their colours, and how light falls on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skeleton import Skeleton, Vector

PARTS = (
    "torso", "neck", "head", "hair", "left_ear", "right_ear",
    "left_upper_arm", "right_upper_arm", "left_forearm", "right_forearm",
    "left_hand", "right_hand", "left_thigh", "right_thigh", "left_shin", "right_shin",
    "left_foot", "right_foot", "skirt", "long_hair",
)  # fmt: skip
PART = {name: number for number, name in enumerate(PARTS)}
RINGS = 7

# Regions of one figure: what is textured together.
PLAIN, TOP, BOTTOM = 0, 1, 2

# Radii of the limbs' rings along the bone, in units of stature; the last ring nearly closes it.
_ALONG = np.array([-0.05, 0.03, 0.27, 0.5, 0.75, 0.97, 1.04])
_RADII = {
    "upper_arm": (0.015, 0.033, 0.034, 0.031, 0.028, 0.025, 0.014),
    "forearm": (0.012, 0.025, 0.028, 0.025, 0.021, 0.018, 0.012),
    "hand": (0.010, 0.018, 0.022, 0.023, 0.021, 0.014, 0.004),
    "thigh": (0.035, 0.060, 0.060, 0.054, 0.047, 0.040, 0.022),
    "shin": (0.018, 0.038, 0.044, 0.039, 0.030, 0.026, 0.018),
    "foot": (0.012, 0.024, 0.026, 0.026, 0.027, 0.022, 0.008),
    "neck": (0.030, 0.032, 0.030, 0.029, 0.029, 0.029, 0.028),
}  # fmt: skip
_BONES = {
    "upper_arm": ("shoulder", "elbow"), "forearm": ("elbow", "wrist"), "hand": ("wrist", "hand"),
    "thigh": ("hip", "knee"), "shin": ("knee", "ankle"), "foot": ("heel", "toe"),
}  # fmt: skip
_BUILD_OF = {"upper_arm": 0.6, "forearm": 0.5, "thigh": 0.8, "shin": 0.5, "neck": 0.6}

# The torso from neck to crotch: place along it, half width, half depth.
_TORSO = np.array([
    (-0.06, 0.030, 0.030), (0.02, 0.085, 0.044), (0.14, 0.112, 0.058), (0.40, 0.098, 0.068),
    (0.66, 0.084, 0.060), (0.96, 0.098, 0.068), (1.16, 0.055, 0.050),
])  # fmt: skip


@dataclass(frozen=True)
class Clothes:
    """What a figure wears. Colours are RGB 0..255; lengths are fractions of the limb."""

    skin: Vector
    hair: Vector
    top: Vector
    bottom: Vector
    shoes: Vector
    sleeve: float  # 0 none, 1 to the elbow, 2 to the wrist
    leg: float  # 0 none, 1 to the knee, 2 to the ankle
    looseness: float
    skirt: float  # 0 none, otherwise length in stature
    long_hair: float  # 0 none, otherwise length in stature
    bald: bool
    jacket: Vector | None  # colour of the shirt that an open jacket shows


@dataclass(frozen=True)
class Mesh:
    """Quadrilaterals of a figure.

    ``corners`` [Q, 4, 3] in stature, ``colours`` [Q, 3] RGB 0..255, ``parts`` [Q], ``regions`` [Q].
    """

    corners: Vector
    colours: Vector
    parts: NDArray[np.int64]
    regions: NDArray[np.int64]


def _random_colour(rng: np.random.Generator) -> Vector:
    kind = rng.random()
    if kind < 0.35:  # greys, black and white
        colour = np.full(3, rng.choice((20, 45, 90, 160, 235))) + rng.normal(0, 8, 3)
    elif kind < 0.55:  # blues of denim
        colour = np.array([50, 70, 110]) * rng.uniform(0.5, 1.9) + rng.normal(0, 10, 3)
    else:
        colour = rng.uniform(10, 245, 3)
    return np.clip(colour, 5, 250)


def random_clothes(rng: np.random.Generator) -> Clothes:
    """Draw skin, hair and clothes."""
    light, dark = np.array([240.0, 200, 175]), np.array([80.0, 50, 38])
    skin = light + (dark - light) * rng.random() ** 1.3 + rng.normal(0, 6, 3)
    hairs = ((25, 20, 18), (60, 40, 28), (110, 75, 45), (190, 155, 100), (150, 150, 150))
    top, bottom = _random_colour(rng), _random_colour(rng)
    has_skirt = rng.random() < 0.12
    bare = rng.random() < 0.06
    if has_skirt and rng.random() < 0.5:
        bottom = top
    return Clothes(
        skin=np.clip(skin, 20, 255),
        hair=np.clip(np.array(hairs[rng.integers(5)]) + rng.normal(0, 10, 3), 5, 255),
        top=skin if bare else top,
        bottom=bottom,
        shoes=skin if rng.random() < 0.15 else _random_colour(rng),
        sleeve=0.0 if bare else float(rng.choice((0.0, 0.4, 0.7, 1.0, 1.6, 2.0, 2.0))),
        leg=float(rng.choice((0.0, 0.4, 0.8, 1.2, 2.0, 2.0, 2.0, 2.0))),
        looseness=rng.uniform(1.0, 1.35),
        skirt=rng.uniform(0.2, 0.45) if has_skirt else 0.0,
        long_hair=rng.uniform(0.1, 0.25) if rng.random() < 0.3 else 0.0,
        bald=bool(rng.random() < 0.08),
        jacket=_random_colour(rng) if rng.random() < 0.15 else None,
    )


class _Rings:
    """Collects for each part its rings: centres and two half axes, [RINGS, 3] each."""

    def __init__(self) -> None:
        self.parts: list[int] = []
        self.centres: list[Vector] = []
        self.across: list[Vector] = []
        self.deep: list[Vector] = []

    def add(self, part: str, centres: Vector, across: Vector, deep: Vector) -> None:
        self.parts.append(PART[part])
        self.centres.append(centres)
        self.across.append(across)
        self.deep.append(deep)

    def add_bone(self, part: str, start: Vector, end: Vector, radii: Vector, flat: float) -> None:
        """A tube of ring radii ``radii`` from start to end, flattened by ``flat``."""
        bone = end - start
        x, y, z = (bone / max(float(np.linalg.norm(bone)), 1e-6)).tolist()
        if abs(y) > 0.7:  # the cross product with the x axis, else with the y axis
            norm = float(np.hypot(y, z))
            across = np.array([0.0, z / norm, -y / norm])
            deep = np.array([-norm, x * y / norm, x * z / norm])
        else:
            norm = float(np.hypot(x, z))
            across = np.array([-z / norm, 0.0, x / norm])
            deep = np.array([x * y / norm, -norm, y * z / norm])
        self.add(part, start + _ALONG[:, None] * bone, radii[:, None] * across,
                 flat * radii[:, None] * deep)  # fmt: skip

    def add_ball(self, part: str, centre: Vector, frame: Vector, half: Vector) -> None:
        """An ellipsoid with half axes ``half`` [3] along the columns of ``frame``."""
        angle = np.radians(np.linspace(-88, 88, RINGS))[:, None]
        self.add(part, centre + half[1] * np.sin(angle) * frame[:, 1],
                 half[0] * np.cos(angle) * frame[:, 0],
                 -half[2] * np.cos(angle) * frame[:, 2])  # fmt: skip


def _collect_rings(skeleton: Skeleton, clothes: Clothes, build: float) -> _Rings:
    rings, joints = _Rings(), skeleton.joints
    along, width, depth = _TORSO.T[:, :, None]
    blend = np.clip(along * 1.3 - 0.3, 0, 1)
    spine = joints["neck"] + np.clip(along / 0.66, None, 1) * (joints["waist"] - joints["neck"])
    spine = spine + np.clip(along - 0.66, 0, None) / 0.3 * (joints["pelvis"] - joints["waist"])
    shoulder_span = np.linalg.norm(joints["left_shoulder"] - joints["right_shoulder"]) / 0.216
    size = build * (0.5 + 0.5 * clothes.looseness)
    width = width * np.where(along < 0.3, shoulder_span, size)
    across = skeleton.chest[:, 0] * (1 - blend) + skeleton.pelvis[:, 0] * blend
    deep = skeleton.chest[:, 2] * (1 - blend) + skeleton.pelvis[:, 2] * blend
    rings.add("torso", spine, width * across, -depth * size * deep)

    covered = {"upper_arm": 0.3, "forearm": 1.3, "thigh": 0.3, "shin": 1.3}
    for name, (start, end) in _BONES.items():
        reach = clothes.sleeve if "arm" in name else clothes.leg
        thickness = 1.0 + (build - 1.0) * _BUILD_OF.get(name, 0.0)
        if reach > covered.get(name, 9.0):
            thickness *= clothes.looseness
        radii = np.array(_RADII[name]) * thickness
        flat = 0.55 if name == "hand" else 1.0
        for side in ("left", "right"):
            rings.add_bone(f"{side}_{name}", joints[f"{side}_{start}"], joints[f"{side}_{end}"],
                           radii, flat)  # fmt: skip
    if clothes.skirt:
        _add_skirt(rings, skeleton, clothes.skirt, build)
    _add_head(rings, skeleton, clothes)
    return rings


def _add_skirt(rings: _Rings, skeleton: Skeleton, length: float, build: float) -> None:
    joints = skeleton.joints
    knees = 0.5 * (joints["left_knee"] + joints["right_knee"])
    spread = float(np.linalg.norm(joints["left_knee"] - joints["right_knee"]))
    down = (knees - joints["pelvis"]) / max(float(np.linalg.norm(knees - joints["pelvis"])), 1e-6)
    along = np.linspace(-0.08, length, RINGS)[:, None]
    grow = np.linspace(0, 1, RINGS)[:, None] * length / 0.24
    across = (0.092 * build + grow * (0.03 + 0.5 * spread)) * skeleton.pelvis[:, 0]
    deep = -(0.07 * build + 0.035 * grow) * skeleton.pelvis[:, 2]
    rings.add("skirt", joints["pelvis"] + along * down, across, deep)


def _add_head(rings: _Rings, skeleton: Skeleton, clothes: Clothes) -> None:
    centre, frame, size = skeleton.joints["head"], skeleton.head, skeleton.head_size
    rings.add_bone("neck", skeleton.joints["neck"], centre, np.array(_RADII["neck"]) * size, 1.0)
    rings.add_ball("head", centre, frame, size * np.array([0.048, 0.068, 0.060]))
    for side in ("left", "right"):
        place = skeleton.joints[f"{side}_ear"]
        rings.add_ball(f"{side}_ear", place, frame, size * np.array([0.007, 0.018, 0.012]))
    if not clothes.bald:
        shift = size * (frame @ np.array([0.0, -0.014, -0.019]))
        rings.add_ball("hair", centre + shift, frame, size * np.array([0.053, 0.064, 0.058]))
    if clothes.long_hair:
        along = np.linspace(-0.03, clothes.long_hair, RINGS)[:, None]
        behind = centre - 0.03 * size * frame[:, 2]
        fall = 0.5 * frame[:, 1] + 0.5 * skeleton.chest[:, 1]
        taper = np.linspace(1.0, 0.7, RINGS)[:, None]
        rings.add("long_hair", behind + along * fall, 0.054 * size * taper * frame[:, 0],
                  -0.035 * size * taper * frame[:, 2])  # fmt: skip


def _paint(
    clothes: Clothes, parts: NDArray[np.int64], sides: int
) -> tuple[Vector, NDArray[np.int64]]:
    """Colours [P, RINGS-1, sides, 3] and regions [P, RINGS-1, sides] of the tubes' faces."""
    colours = np.broadcast_to(clothes.skin, (len(parts), RINGS - 1, sides, 3)).copy()
    regions = np.zeros((len(parts), RINGS - 1, sides), np.int64)
    middle = 0.5 * (_ALONG[1:] + _ALONG[:-1])
    for row, number in enumerate(parts):
        name = PARTS[number]
        if "hair" in name:
            colours[row] = clothes.hair
        elif name == "skirt":
            colours[row], regions[row] = clothes.bottom, BOTTOM
        elif name == "torso":
            colours[row], regions[row] = clothes.top, TOP
            colours[row, 4:], regions[row, 4:] = clothes.bottom, BOTTOM
            if clothes.jacket is not None:
                front = (np.arange(sides) + 0.5) / sides
                colours[row, :, np.abs(front - 0.75) < 0.07] = clothes.jacket
        elif name.endswith("foot"):
            colours[row] = clothes.shoes
        elif name.endswith(("upper_arm", "forearm")):
            covered = middle + name.endswith("forearm") < clothes.sleeve
            colours[row, covered], regions[row, covered] = clothes.top, TOP
        elif name.endswith(("thigh", "shin")):
            covered = middle + name.endswith("shin") < max(clothes.leg, 0.25)
            colours[row, covered], regions[row, covered] = clothes.bottom, BOTTOM
    return colours, regions


def build_mesh(rng: np.random.Generator, skeleton: Skeleton, clothes: Clothes, sides: int) -> Mesh:
    """Surround ``skeleton`` with tubes of ``sides`` faces around."""
    rings = _collect_rings(skeleton, clothes, build=rng.uniform(0.85, 1.3))
    angle = np.arange(sides) * (2 * np.pi / sides)
    centres, across, deep = (
        np.stack(stack)[:, :, None] for stack in (rings.centres, rings.across, rings.deep)
    )
    points = centres + across * np.cos(angle)[:, None] + deep * np.sin(angle)[:, None]
    following = np.roll(points, -1, axis=2)
    corners = np.stack([points[:, :-1], following[:, :-1], following[:, 1:], points[:, 1:]], axis=3)
    parts = np.array(rings.parts)
    colours, regions = _paint(clothes, parts, sides)
    colours *= rng.normal(1.0, 0.035, colours.shape[:3])[..., None]  # folds and creases
    numbers = np.broadcast_to(parts[:, None, None], regions.shape)
    return Mesh(
        corners.reshape(-1, 4, 3), colours.reshape(-1, 3), numbers.reshape(-1), regions.reshape(-1)
    )


@dataclass(frozen=True)
class Light:
    """A lamp far away in ``direction`` [3] (unit length, towards it) and light from all around."""

    direction: Vector
    ambient: float
    diffuse: float


def random_light(rng: np.random.Generator) -> Light:
    """Draw a light, most often from above and from the viewer's side."""
    direction = rng.normal(0, 1, 3) * (0.7, 0.5, 0.5) + (0.0, -0.6, 0.6)
    direction /= np.linalg.norm(direction)
    ambient = rng.uniform(0.3, 0.8)
    return Light(direction, ambient, 1.15 - ambient)


def shade(mesh: Mesh, light: Light) -> tuple[Vector, Vector]:
    """Brightness [Q] of the faces, 1 is their own colour, and their normals [Q, 3]."""
    first = mesh.corners[:, 2] - mesh.corners[:, 0]
    second = mesh.corners[:, 3] - mesh.corners[:, 1]
    normals = np.cross(first, second)
    squared = np.einsum("qi,qi->q", normals, normals)
    normals /= np.sqrt(np.maximum(squared, 1e-18))[:, None]
    return light.ambient + light.diffuse * np.clip(normals @ light.direction, 0, 1), normals
