"""What is around the people: backgrounds, objects in front, and what a camera does to a picture.

Pictures are [H, W, 3] RGB; uint8 while shapes are drawn, float32 0..255 afterwards.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from skeleton import Vector

Picture = NDArray[np.float32]
Canvas = NDArray[np.uint8]

_BANK_SIDE = 512
_NOISE_COUNT = 12


class TextureBank:
    """Grey uint8 textures [1024, 1024] of period 512, made once and cut at random afterwards.

    ``noise`` are clouds of several scales; ``patterns`` are stripes, checks, dots and blotches.
    ``grain`` is sensor noise of deviation 1, [512, 512, 3].
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        noise = [_clouds(rng) for _ in range(_NOISE_COUNT)]
        self.noise = [np.tile(texture, (2, 2)) for texture in noise]
        self.patterns = [np.tile(_pattern(rng, noise), (2, 2)) for _ in range(48)]
        self.grain = rng.standard_normal((_BANK_SIDE, _BANK_SIDE, 3), dtype=np.float32)

    def cut(self, rng: np.random.Generator, bank: list[Canvas], height: int, width: int) -> Picture:
        """A piece [height, width], 0..1, of a random texture, scaled at random."""
        texture = bank[rng.integers(len(bank))]
        zoom = 192.0 / width * np.exp(rng.uniform(-0.9, 0.65))
        rows, columns = max(1, int(zoom * height)), max(1, int(zoom * width))
        y, x = rng.integers(0, _BANK_SIDE, 2)
        piece = texture[y : y + rows, x : x + columns]
        if rng.random() < 0.5:
            piece = piece[::-1]
        cut = cv2.resize(piece, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.multiply(cut, np.float32(1 / 255))


def _clouds(rng: np.random.Generator) -> Canvas:
    total = np.zeros((_BANK_SIDE, _BANK_SIDE), np.float32)
    roughness = rng.uniform(0.35, 0.95)
    for octave in range(2, 9):
        cells = rng.standard_normal((2**octave, 2**octave), dtype=np.float32)
        wrapped = cv2.copyMakeBorder(cells, 2, 2, 2, 2, cv2.BORDER_WRAP)
        step = _BANK_SIDE // 2**octave
        large = cv2.resize(wrapped, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += roughness**octave * large[2 * step : -2 * step, 2 * step : -2 * step]
    low, high = np.percentile(total, (1, 99))
    clouds: Canvas = np.clip((total - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    return clouds


def _pattern(rng: np.random.Generator, noise: list[Canvas]) -> Canvas:
    y, x = np.mgrid[0:_BANK_SIDE, 0:_BANK_SIDE] * (2 * np.pi / _BANK_SIDE)
    first, second = rng.integers(-60, 60, 2)
    along, across = first * x + second * y, first * y - second * x
    kind = rng.integers(5)
    if kind == 0:  # stripes, thin or wide
        pattern = np.sin(along) > rng.uniform(-0.7, 0.7)
    elif kind == 1:  # checks
        pattern = (np.sin(along) > 0.3) * 0.5 + (np.sin(across) > 0.3) * 0.5
    elif kind == 2:  # dots
        pattern = np.sin(along) * np.sin(across) > rng.uniform(0.2, 0.6)
    elif kind == 3:  # camouflage and prints
        pattern = noise[rng.integers(len(noise))] > rng.uniform(90, 165)
    else:
        pattern = noise[rng.integers(len(noise))] / 255
    levels: Canvas = (255 * pattern).astype(np.uint8)
    return cv2.GaussianBlur(levels, (3, 3), 0).astype(np.uint8)


def scene_colour(rng: np.random.Generator) -> Vector:
    """An RGB colour 0..255 as surroundings have it: most are close to grey."""
    colour = rng.uniform(15, 240) + rng.uniform(0, 0.6) ** 1.5 * rng.uniform(-255, 255, 3)
    clipped: Vector = np.clip(colour, 0, 255)
    return clipped


def blend_colours(texture: Picture, first: Vector, second: Vector) -> Picture:
    """[H, W] texture 0..1 → [H, W, 3] between two RGB colours."""
    mixed = np.empty((*texture.shape, 3), np.float32)
    for channel in range(3):
        span = float(second[channel] - first[channel])
        np.multiply(texture, span, out=mixed[..., channel])
        mixed[..., channel] += float(first[channel])
    return mixed


def _draw_rod(
    canvas: Canvas, rng: np.random.Generator, colour: Vector, thickness: int, alpha: tuple[int, ...]
) -> None:
    """A round bar, bright along its middle: the shape most easily taken for a limb."""
    height, width = canvas.shape[:2]
    start, end = rng.uniform(-0.1, 1.1, (2, 2)) * (width, height)
    if rng.random() < 0.4:  # poles, furniture, door frames are upright
        end[0] = start[0]
    for share, light in ((1.0, 0.6), (0.7, 0.85), (0.35, 1.05)):
        lit = np.clip(colour * light, 0, 255).tolist()
        cv2.line(canvas, start.astype(int).tolist(), end.astype(int).tolist(), (*lit, *alpha),
                 max(1, int(thickness * share)))  # fmt: skip


def draw_object(
    canvas: Canvas, rng: np.random.Generator, reach: float, alpha: tuple[int, ...] = ()
) -> None:
    """Draw a rectangle, ellipse, polygon or rod of about ``reach`` × the canvas' height.

    ``alpha`` is what is written to the channels after RGB, when the canvas has any.
    """
    height, width = canvas.shape[:2]
    colour = scene_colour(rng)
    if rng.random() < 0.15:  # the colour of skin does not make an arm
        colour = np.array([215.0, 165, 135]) * rng.uniform(0.5, 1.1)
    paint = (*np.clip(colour, 0, 255).tolist(), *alpha)
    kind = rng.integers(4)
    size = reach * height * rng.uniform(0.3, 1.0, 2)
    centre = rng.uniform(0, 1, 2) * (width, height)
    if kind == 3:
        _draw_rod(canvas, rng, colour, max(2, int(0.35 * size[0])), alpha)
        return
    if kind == 0:
        turn = 0.0 if rng.random() < 0.6 else rng.uniform(0, 180)
        points = cv2.boxPoints((centre.tolist(), size.tolist(), turn))
        cv2.fillConvexPoly(canvas, points.astype(np.int32), paint)
    elif kind == 1:
        turn = rng.uniform(0, 180)
        cv2.ellipse(canvas, (centre.tolist(), size.tolist(), turn), paint, -1)
    else:
        points = centre + rng.normal(0, 0.35, (rng.integers(3, 7), 2)) * size
        cv2.fillPoly(canvas, [points.astype(np.int32)], paint)


def background(rng: np.random.Generator, bank: TextureBank, height: int, width: int) -> Picture:
    """Walls, floors, clouds of colour and clutter, sharp or out of focus."""
    texture = bank.cut(rng, bank.noise, height, width)
    first, second = scene_colour(rng), scene_colour(rng)
    if rng.random() < 0.6:  # most surfaces keep their hue
        second = np.clip(first * rng.uniform(0.5, 1.5) + rng.normal(0, 12, 3), 0, 255)
    picture = blend_colours(texture, first, second)
    if rng.random() < 0.6:  # a floor
        horizon = int(rng.uniform(0.35, 0.95) * height)
        floor = bank.cut(rng, bank.patterns if rng.random() < 0.3 else bank.noise,
                         height - horizon, width)  # fmt: skip
        first = scene_colour(rng)
        second = np.clip(first * rng.uniform(0.6, 1.4) + rng.normal(0, 10, 3), 0, 255)
        picture[horizon:] = blend_colours(floor, first, second)
    canvas = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.8:
        for _ in range(rng.integers(1, 26)):
            draw_object(canvas, rng, reach=rng.uniform(0.05, 0.6) ** 1.5)
    picture = canvas.astype(np.float32)
    if rng.random() < 0.5:
        picture *= 0.75 + 0.5 * bank.cut(rng, bank.noise, height, width)[..., None]
    if rng.random() < 0.5:
        sigma = rng.uniform(0.5, 5.0) * width / 192
        picture = cv2.GaussianBlur(picture, (0, 0), sigma).astype(np.float32)
    return picture


def _blur(rng: np.random.Generator, picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    kind = rng.random()
    if kind < 0.3:
        sigma = rng.uniform(0.3, 1.6) * width / 192
        return cv2.GaussianBlur(picture, (0, 0), sigma).astype(np.float32)
    if kind < 0.38:  # motion
        side = int(rng.integers(3, 9) * width / 192) | 1
        kernel = np.zeros((side, side), np.float32)
        angle = rng.uniform(0, np.pi)
        half = 0.5 * side * np.array([np.cos(angle), np.sin(angle)])
        middle = np.array([side // 2, side // 2])
        cv2.line(kernel, (middle - half).astype(int).tolist(), (middle + half).astype(int).tolist(),
                 (1.0,))  # fmt: skip
        return cv2.filter2D(picture, -1, kernel / max(float(kernel.sum()), 1.0)).astype(np.float32)
    if kind < 0.5:  # a picture that was small
        factor = rng.uniform(0.25, 0.7)
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height)).astype(np.float32)
    return picture


def photograph(rng: np.random.Generator, bank: TextureBank, picture: Picture) -> Canvas:
    """Uneven light, exposure, colour cast, blur, noise and JPEG: float32 scene → uint8 picture."""
    height, width = picture.shape[:2]
    picture = _blur(rng, picture)
    if rng.random() < 0.3:  # light that varies over the picture
        picture = picture * (0.6 + 0.8 * bank.cut(rng, bank.noise, height, width)[..., None])
    gain = rng.uniform(0.7, 1.25) * rng.normal(1.0, 0.05, 3)
    contrast = rng.uniform(0.65, 1.2)
    offset = (1 - contrast) * rng.uniform(60, 170)
    picture = picture * (gain * contrast).astype(np.float32) + np.float32(offset)
    if rng.random() < 0.1:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB).astype(np.float32)
    if rng.random() < 0.6:
        y, x = rng.integers(0, _BANK_SIDE - 256, 2)
        grain = bank.grain[y : y + 256, x : x + 192]
        if grain.shape[:2] != (height, width):
            grain = cv2.resize(grain, (width, height)).astype(np.float32)
        picture = picture + grain * np.float32(rng.uniform(1, 14))
    result = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        # The codec takes the channels for BGR, which is the same on the way there and back.
        encoded = cv2.imencode(".jpg", result, quality)[1]
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        assert decoded is not None
        result = decoded.astype(np.uint8)
    return result
