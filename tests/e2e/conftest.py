"""Fixtures of the tests that need a server process."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures" / "plugins"))

from harness.fixtures import server, zoo  # noqa: E402

__all__ = ["server", "zoo"]
