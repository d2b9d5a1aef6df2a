"""Lets the tests import the scripts of the demo, and finds what they need."""

import os
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(EXAMPLE), str(EXAMPLE / "training")]


@pytest.fixture(scope="session")
def example() -> Path:
    return EXAMPLE


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real models and photographs, which are not part of the repository."""
    default = EXAMPLE.parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DESPINA_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no models and photographs in {folder} (DESPINA_SHARED_DATA names the folder)")
    return folder
