"""Renders the pictures of ``images/``: held-out scenes of the generator, larger and smoother.

The scenes were chosen by eye among those on which the trained network does well, one clearly
visible person each, from a seed that neither training nor the accuracy figures use. They show what
the demo does, not how accurate the network is: for that see results.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from synthetic_people import Framing, SyntheticPeople

EXAMPLES_SEED = 2000
SCENES = {"person_1.jpg": 158, "person_2.jpg": 111, "person_3.jpg": 114}
FRAMING = Framing(fill=(0.7, 0.9), offset=0.4, closeup=0.0)

_WIDTH, _HEIGHT = 480, 640
_SIDES = 28  # of a limb: the faces that suffice at 192 x 256 would show
_QUALITY = 88


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parent.parent / "images"
    parser.add_argument("--output", type=Path, default=default, help="folder (default: images/)")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    people = SyntheticPeople(EXAMPLES_SEED, FRAMING, sides=_SIDES)
    for name, index in SCENES.items():
        image = people.sample(index, _WIDTH, _HEIGHT).image
        path = options.output / name
        cv2.imwrite(
            str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        )
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
