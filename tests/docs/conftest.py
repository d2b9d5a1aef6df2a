"""What the tests of the pages share with others."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "fixtures"))
sys.path.insert(0, str(TESTS.parent / "scripts" / "documentation"))
