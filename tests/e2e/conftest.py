"""Fixtures of the tests that need a server process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures" / "plugins"))

from harness.certificates import Certificates  # noqa: E402
from harness.fixtures import server, zoo  # noqa: E402
from harness.repository import add_model, identity  # noqa: E402

__all__ = ["server", "zoo"]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one model."""
    folder = tmp_path_factory.mktemp("identities")
    add_model(folder, "identity_fp32", identity("FP32"))
    return folder
