"""Fixtures of the tests that compare with the real Triton."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"
sys.path[:0] = [str(HERE), str(FIXTURES), str(FIXTURES / "plugins")]

from servers import Both, running  # noqa: E402


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Anew for each module: a Triton that has failed to load a model is not ready ever after."""
    with running(tmp_path_factory.mktemp("differential")) as servers:
        yield servers
