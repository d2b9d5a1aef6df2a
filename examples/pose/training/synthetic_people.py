"""Renders synthetic people with their 17 COCO keypoints: the training and test data.

A sample is a function of (format version, seed, index) and nothing else. The generator was fixed
before the network was trained; whoever changes what it draws raises ``FORMAT_VERSION``.

Run as a script it writes a contact sheet to look at.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from figure import (
    BOTTOM,
    PART,
    PLAIN,
    TOP,
    Clothes,
    Light,
    build_mesh,
    random_clothes,
    random_light,
    shade,
)  # fmt: skip
from scenery import Canvas, Picture, TextureBank, background, draw_object, photograph
from skeleton import KEYPOINT_NAMES, Skeleton, Vector, build_skeleton, random_pose, random_view

FORMAT_VERSION = 1

CROP_WIDTH, CROP_HEIGHT = 192, 256
OUTSIDE, HIDDEN, VISIBLE = 0, 1, 2

_TEXTURE_SEED = 20260
_SUPERSAMPLE = 2  # the canvas is drawn at this scale, which smooths its edges
# The fourth channel of the canvas says what a pixel shows: part + 32 × region, 0 for background.
# A figure's regions (plain, top, bottom) count from one of these.
_TARGET, _OTHERS, _OBJECTS = 1, 4, 7
_NOBODY = 31  # part number of whatever does not belong to the target person
_SHIFT = 3  # fractional bits of the coordinates that OpenCV draws


@dataclass(frozen=True)
class Sample:
    """One picture and the person in its middle.

    ``image`` [H, W, 3] uint8 RGB. ``keypoints`` [17, 3] float32: x, y in pixels and visibility:
    2 seen, 1 in the picture but hidden, 0 outside of it or on a face that is turned away.
    ``box`` [4] float32: x, y, width, height of the whole person, cut at the picture's edges.
    """

    image: Canvas
    keypoints: NDArray[np.float32]
    box: NDArray[np.float32]


@dataclass(frozen=True)
class _Person:
    """A posed and dressed person, in units of stature, seen from the camera."""

    skeleton: Skeleton
    clothes: Clothes
    corners: Vector  # [Q, 4, 2], after perspective
    depth: Vector  # [Q], larger is nearer
    colours: list[list[int]]
    codes: NDArray[np.int64]
    facing: NDArray[np.bool_]
    distance: float
    low: Vector  # smallest x, y of the corners
    high: Vector  # largest x, y

    def project(self, point: Vector) -> Vector:
        """Perspective: [..., 3] → [..., 2]."""
        flat: Vector = point[..., :2] * (self.distance / (self.distance - point[..., 2:]))
        return flat


@dataclass(frozen=True)
class Framing:
    """How the target person lies in the picture.

    ``fill`` is the range of its share of the picture (of the height or the width, whichever is
    tighter); ``offset`` how far its middle may be from the picture's, as a share of what is free;
    ``closeup`` the probability that only its upper part is in the picture.
    """

    fill: tuple[float, float] = (0.42, 0.97)
    offset: float = 0.8
    closeup: float = 0.18


TRAINING = Framing()
TOP_DOWN = Framing(fill=(0.75, 0.85), offset=0.15, closeup=0.0)  # a detector's box, padded by 1.25
WHOLE_PICTURE = Framing(fill=(0.45, 0.95), closeup=0.0)  # no detector: somewhere in the picture


def _random_person(rng: np.random.Generator, light: Light, sides: int) -> _Person:
    skeleton = build_skeleton(rng, random_pose(rng)).turned(random_view(rng))
    clothes = random_clothes(rng)
    mesh = build_mesh(rng, skeleton, clothes, sides)
    brightness, normals = shade(mesh, light)
    distance = rng.uniform(2.2, 8.0)
    towards_camera = np.array([0.0, 0.0, distance]) - mesh.corners[:, 0]
    facing = np.einsum("qi,qi->q", normals, towards_camera) > 0
    colours = np.clip(mesh.colours * brightness[:, None], 0, 255).astype(int).tolist()
    corners = mesh.corners[..., :2] * (distance / (distance - mesh.corners[..., 2:]))
    codes = mesh.parts + 32 * mesh.regions
    depth = mesh.corners[..., 2] @ np.full(4, 0.25)
    x, y = corners[..., 0], corners[..., 1]
    low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
    return _Person(skeleton, clothes, corners, depth, colours, codes, facing, distance, low, high)


def _draw_person(
    canvas: Canvas, person: _Person, scale: float, place: Vector, target: bool
) -> None:
    """Draw ``person`` at ``scale`` (pixels of the canvas per stature), far faces first."""
    pixels = np.round((person.corners * scale + place) * 2**_SHIFT).astype(np.int32)
    order = np.flatnonzero(person.facing)
    order = order[np.argsort(person.depth[order])]
    if target:
        head, codes = PART["head"] + 32 * (_TARGET + PLAIN), person.codes + 32 * _TARGET
    else:
        head, codes = _NOBODY + 32 * (_OTHERS + PLAIN), person.codes + 32 * _OTHERS | _NOBODY
    colours, polygons, labels = person.colours, list(pixels), codes.tolist()
    for face in order.tolist():
        red, green, blue = colours[face]
        cv2.fillConvexPoly(canvas, polygons[face], (red, green, blue, labels[face]), 8, _SHIFT)
    _draw_face(canvas, person, scale, place, head)


def _draw_face(canvas: Canvas, person: _Person, scale: float, place: Vector, code: int) -> None:
    """Eyes, brows, nose and mouth, where the head shows its front. ``code`` is that of the head."""
    joints, head = person.skeleton.joints, person.skeleton.head
    unit = scale * person.skeleton.head_size
    facing = head[2, 2]
    if facing < 0.1:
        return
    skin, tilt = person.clothes.skin, float(np.degrees(np.arctan2(head[1, 0], head[0, 0])))

    def blob(name: str, shift: float, half: tuple[float, float], colour: Vector) -> None:
        centre = person.project(joints[name] + shift * head[:, 1]) * scale + place
        column, row = int(centre[0]), int(centre[1])
        inside = 0 <= row < canvas.shape[0] and 0 <= column < canvas.shape[1]
        if inside and canvas[row, column, 3] == code:
            size = (2 * half[0] * unit * facing, 2 * half[1] * unit)
            paint = (*np.clip(colour, 0, 255).tolist(), code)
            cv2.ellipse(canvas, (centre.tolist(), size, tilt), paint, -1)

    for eye in ("left_eye", "right_eye"):
        blob(eye, -0.012, (0.013, 0.003), person.clothes.hair)
        blob(eye, 0.0, (0.010, 0.006), np.minimum(skin * 0.4 + 150, 245))
        blob(eye, 0.0, (0.005, 0.006), np.array([40.0, 28, 20]))
    blob("nose", 0.004, (0.009, 0.006), skin * 0.78)
    blob("nose", -0.008, (0.004, 0.012), skin * 1.12)
    blob("mouth", 0.0, (0.016, 0.005), skin * (0.75, 0.5, 0.5))


class SyntheticPeople:
    """The generator. ``seed`` tells sets apart (training, held out); see ``sample``."""

    def __init__(self, seed: int, framing: Framing = TRAINING, sides: int = 10) -> None:
        self.seed = seed
        self.framing = framing
        self.sides = sides
        self.bank = TextureBank(_TEXTURE_SEED)

    def sample(self, index: int, width: int = CROP_WIDTH, height: int = CROP_HEIGHT) -> Sample:
        """Render sample ``index`` as a picture of ``width`` × ``height`` pixels."""
        rng = np.random.default_rng([FORMAT_VERSION, self.seed, index])
        light = random_light(rng)
        scene = background(rng, self.bank, height, width)
        canvas = np.zeros((height * _SUPERSAMPLE, width * _SUPERSAMPLE, 4), np.uint8)
        target = _random_person(rng, light, self.sides)
        others = int(rng.choice(3, p=(0.62, 0.28, 0.10)))
        scale, place = self._frame(rng, target, canvas, alone=others == 0)
        in_front = [rng.random() < 0.3 for _ in range(others)]
        for front in in_front:
            if not front:
                self._draw_other(canvas, rng, light, target, scale, place)
        _draw_person(canvas, target, scale, place, target=True)
        for front in in_front:
            if front:
                self._draw_other(canvas, rng, light, target, scale, place)
        if rng.random() < 0.3:
            for _ in range(rng.integers(1, 3)):
                draw_object(canvas, rng, rng.uniform(0.1, 0.45), (_NOBODY + 32 * _OBJECTS,))
        people = self._dress(canvas, rng, target)
        picture = self._composite(rng, scene, people, canvas)
        image = photograph(rng, self.bank, picture)
        return Sample(image, *_annotate(canvas, target, scale, place))

    def _frame(
        self, rng: np.random.Generator, person: _Person, canvas: Canvas, alone: bool
    ) -> tuple[float, Vector]:
        """Scale and place of the target person on the canvas.

        Beside others it is large and near the middle: otherwise nothing tells whom to look at.
        """
        size = np.array([canvas.shape[1], canvas.shape[0]], float)
        low = person.low
        extent = person.high - low
        fill, reach = rng.uniform(*self.framing.fill), self.framing.offset
        if not alone:
            fill, reach = max(fill, 0.65), min(reach, 0.3)
        if rng.random() < self.framing.closeup:
            scale = float(fill * rng.uniform(1.2, 2.4) * np.min(size / extent))
            spare = size - extent * scale
            corner = np.array([rng.uniform(0.3, 0.7) * spare[0], rng.uniform(0, 0.1) * size[1]])
        else:
            scale = float(fill * np.min(size / extent))
            spare = size - extent * scale
            corner = spare * (0.5 + reach * rng.uniform(-0.5, 0.5, 2))
        return scale, corner - low * scale

    def _draw_other(
        self, canvas: Canvas, rng: np.random.Generator, light: Light,
        target: _Person, scale: float, place: Vector,
    ) -> None:  # fmt: skip
        """Another person beside the target: of another size, and further from the middle."""
        person = _random_person(rng, light, self.sides)
        low, high = (bound * scale + place for bound in (target.low, target.high))
        own_low, own_high = person.low, person.high
        scale = scale * rng.uniform(0.55, 1.15)
        half = 0.5 * (own_high - own_low)[0] * scale
        side = 1 if rng.random() < 0.5 else -1
        edge = high[0] if side > 0 else low[0]
        x = edge + side * half * rng.uniform(0.15, 1.1)
        y = high[1] - rng.uniform(-0.05, 0.25) * (high - low)[1]
        middle = 0.5 * (own_low + own_high)
        other_place = np.array([x - middle[0] * scale, y - own_high[1] * scale])
        _draw_person(canvas, person, scale, other_place, target=False)

    def _dress(self, canvas: Canvas, rng: np.random.Generator, target: _Person) -> Picture:
        """The canvas at the picture's scale, with patterns on clothes: float32 [H, W, 3]."""
        height, width = canvas.shape[0] // _SUPERSAMPLE, canvas.shape[1] // _SUPERSAMPLE
        small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        people = small[..., :3].astype(np.float32)
        regions = canvas[::_SUPERSAMPLE, ::_SUPERSAMPLE, 3] >> 5
        # Cloth is never even: all of it is modulated a little, some of it has a pattern.
        shared = self.bank.cut(rng, self.bank.noise, height, width)
        people *= (0.88 + 0.24 * shared)[..., None]
        own = (target.clothes.top, target.clothes.bottom)
        choices = [
            (_TARGET + TOP, own[0], 0.4),
            (_TARGET + BOTTOM, own[1], 0.2),
            (_OTHERS + TOP, None, 0.4),
        ]
        for region, colour, probability in choices:
            if rng.random() >= probability:
                continue
            base = rng.uniform(20, 240, 3) if colour is None else np.maximum(colour, 8)
            ratio = np.clip(rng.uniform(5, 250, 3) / base, 0.25, 4.0)
            pattern = self.bank.cut(rng, self.bank.patterns, height, width)
            mask = regions == region
            people[mask] *= 1 + pattern[mask][:, None] * (ratio - 1).astype(np.float32)
        return people

    def _composite(
        self, rng: np.random.Generator, scene: Picture, people: Picture, canvas: Canvas
    ) -> Picture:
        """Lay the people, which are premultiplied by their coverage, and a shadow on the scene."""
        height, width = scene.shape[:2]
        drawn = cv2.threshold(cv2.extractChannel(canvas, 3), 0, 255, cv2.THRESH_BINARY)[1]
        cover = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255)
        if rng.random() < 0.4:
            small = cv2.resize(cover, (width // 4, height // 4))
            soft = cv2.GaussianBlur(small, (0, 0), rng.uniform(1.0, 6.0))
            matrix = np.array([[4.0, 0, rng.normal(0, 0.08) * width],
                               [0, 4.0, rng.uniform(-0.02, 0.08) * height]])  # fmt: skip
            shadow = cv2.warpAffine(soft, matrix, (width, height))
            scene = scene * (1 - np.float32(rng.uniform(0.2, 0.6)) * shadow)[..., None]
        return people + scene * (1 - cover)[..., None]


def _shown_on(name: str) -> set[int]:
    """The parts on which keypoint ``name`` is seen."""
    side, _, joint = name.rpartition("_")
    parts = {
        "nose": ("head",), "eye": ("head",), "ear": ("head", f"{side}_ear"),
        "shoulder": (f"{side}_upper_arm", "torso"),
        "elbow": (f"{side}_upper_arm", f"{side}_forearm"),
        "wrist": (f"{side}_forearm", f"{side}_hand"),
        "hip": (f"{side}_thigh", "torso", "skirt"),
        "knee": (f"{side}_thigh", f"{side}_shin", "skirt"),
        "ankle": (f"{side}_shin", f"{side}_foot"),
    }  # fmt: skip
    return {PART[part] for part in parts[joint]}


_SHOWN_ON = tuple(_shown_on(name) for name in KEYPOINT_NAMES)
_ON_THE_FACE = {"nose", "left_eye", "right_eye"}


def _annotate(
    canvas: Canvas, person: _Person, scale: float, place: Vector
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Keypoints [17, 3] and box [4] in pixels of the picture."""
    height, width = canvas.shape[:2]
    joints = np.stack([person.skeleton.joints[name] for name in KEYPOINT_NAMES])
    points = person.project(joints) * scale + place
    front = person.skeleton.head[2, 2]
    sideways = person.skeleton.head[2, 0]
    keypoints = np.zeros((len(KEYPOINT_NAMES), 3), np.float32)
    keypoints[:, :2] = points / _SUPERSAMPLE
    for number, name in enumerate(KEYPOINT_NAMES):
        column, row = int(points[number, 0]), int(points[number, 1])
        if not (0 <= column < width and 0 <= row < height):
            continue
        if name in _ON_THE_FACE and front <= -0.1:
            continue
        code = int(canvas[row, column, 3])
        seen = _TARGET <= code >> 5 < _OTHERS and (code & 31) in _SHOWN_ON[number]
        if name.endswith("ear"):
            seen = seen and (sideways if name == "left_ear" else -sideways) > -0.15
        keypoints[number, 2] = VISIBLE if seen else HIDDEN
    low, high = (bound * scale + place for bound in (person.low, person.high))
    low, high = np.clip(low, 0, (width, height)), np.clip(high, 0, (width, height))
    box = np.concatenate([low, high - low]) / _SUPERSAMPLE
    return keypoints, box.astype(np.float32)


LIMBS = (
    (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
    (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip


def draw_skeleton(image: Canvas, keypoints: NDArray[np.floating[Any]], threshold: float) -> Canvas:
    """A copy of ``image`` with the keypoints [17, 3] whose third value reaches ``threshold``."""
    picture = image.copy()
    size = max(1, image.shape[0] // 200)
    points = np.round(keypoints[:, :2]).astype(int).tolist()
    shown = keypoints[:, 2] >= threshold
    for first, second in LIMBS:
        if shown[first] and shown[second]:
            cv2.line(picture, points[first], points[second], (0, 255, 0), size, cv2.LINE_AA)
    for number, point in enumerate(points):
        if shown[number]:
            colour = (255, 60, 60) if number % 2 else (60, 60, 255)
            cv2.circle(picture, point, 2 * size, colour, -1, cv2.LINE_AA)
    return picture


def main() -> None:
    """Write a contact sheet of samples, every second row with its keypoints drawn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="PNG file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="index of the first sample")
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--rows", type=int, default=3)
    options = parser.parse_args()
    people = SyntheticPeople(options.seed)
    lines = []
    for row in range(options.rows):
        first = options.first + row * options.columns
        samples = [people.sample(first + column) for column in range(options.columns)]
        lines.append(np.hstack([sample.image for sample in samples]))
        drawn = [draw_skeleton(sample.image, sample.keypoints, VISIBLE) for sample in samples]
        lines.append(np.hstack(drawn))
    cv2.imwrite(str(options.output), cv2.cvtColor(np.vstack(lines), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
