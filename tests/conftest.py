"""Fixtures of all tests that cross packages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real models and photographs, which are not part of the repository."""
    folder = Path(os.environ.get("DESPINA_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no models and photographs in {folder} (DESPINA_SHARED_DATA names the folder)")
    return folder
