"""Pictures for the tests."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from despina_sdk import Array


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Encodes an RGB array: ``encode(picture, "JPEG", quality=90)``."""

    def run(picture: Array, image_format: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, image_format, **options)
        return buffer.getvalue()

    return run


@pytest.fixture(scope="session")
def picture() -> Array:
    """RGB uint8 [61, 83, 3]."""
    y, x = np.mgrid[0:61, 0:83].astype(np.float64)
    red, green = 40 + 2.4 * x, 230 - 3.1 * y
    blue = 128 + 90 * np.sin(x / 13) * np.cos(y / 9 + 0.5)
    return np.stack([red, green, blue], axis=2).round().astype(np.uint8)
